"""Places in the binary log of a MySQL or MariaDB server, and what the two differ in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.connectors.log import LogLost
from shuqiao.edge.connectors.mysql import Session
from shuqiao.edge.connectors.mysql_setup import FollowedTable
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

_PLACE = re.compile(r"(\d{10})/(\d{12})/(\d{10})\|([^|]*)\|(.*)", re.ASCII)

PURGED = Words(
    "来源已删除其日志中尚未读取的部分",
    "the source has removed a part of its log that was not read yet",
)
OTHER_LOG = Words(
    "来源的日志不是先前读取的那一份，或其开头已不在",
    "the source's log is not the one that was read, or its beginning is gone",
)


@dataclass(frozen=True, order=True)
class Spot:
    """A place in the log: the file's number and the byte in it."""

    file: int
    byte: int

    def text(self) -> str:
        """Return it so that it sorts as the log runs."""
        return f"{self.file:010d}/{self.byte:012d}"


class Names(Protocol):
    """The global names of all transactions before a place."""

    def with_(self, name: str) -> Names:
        """Return them with that of one transaction more."""

    def text(self) -> str:
        """Return them as they stand in a position."""


@dataclass(frozen=True)
class Place:
    """Everything before `spot` has been read, and `count` rows of the transaction that is called `begun`."""

    spot: Spot
    names: Names
    count: int = 0
    begun: str = ""

    def text(self) -> str:
        """Return it as a position: what sorts as the log runs, and what it is checked by."""
        return f"{self.spot.text()}/{self.count:010d}|{self.begun}|{self.names.text()}"


def high_of(spot: Spot) -> str:
    """Return the part of a position at a spot that sorts."""
    return f"{spot.text()}/{0:010d}"


def read_place(text: str, read_names: Callable[[str], Names]) -> Place:
    """Read such a text; raises LogLost for one of another connector."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise LogLost(Words("位置属于另一种来源", "the position is of another kind of source"))
    return Place(Spot(int(found[1]), int(found[2])), read_names(found[5]), int(found[3]), found[4])


def spot_of(file: str, byte: str) -> tuple[str, Spot]:
    """Return a log's name without its number, and the spot."""
    base, _, number = file.rpartition(".")
    if not base or not number.isdecimal() or not byte.isdecimal():
        raise SourceError(
            Words(
                "来源没有说明某一时刻在其日志中的位置",
                "the source doesn't say where in its log a moment lies",
            )
        )
    return base, Spot(int(number), int(byte))


@dataclass(frozen=True)
class Start:
    """Where a stream begins: in a file at a byte, or behind the transactions named in `executed`."""

    table: FollowedTable
    place: Place
    file: str
    executed: str | None = None


class Server(Protocol):
    """What MySQL and MariaDB do each in its own way. Any call may raise SourceError."""

    def begin(self, session: Session, mapping: TableMapping) -> Place:
        """Look at server and table; return a place from which on no change is missed."""

    def resume(self, session: Session, mapping: TableMapping, position: str) -> Start:
        """Look at server and table; raises LogLost where the log can't be read on from the position."""

    def page(
        self, session: Session, place: Place, read: Callable[[], list[SourceRow]]
    ) -> tuple[Spot, list[SourceRow]]:
        """Read rows that show all that lies before `place`, and the spot before which lies all they show."""

    def sees(self, transaction: str, high: Spot) -> bool:
        """Say whether the next page shows a transaction that this one may not have shown."""


def text_of(rows: Sequence[Sequence[Any]]) -> str:
    """Return the one value that a question was answered with."""
    return str(rows[0][0] or "") if rows else ""
