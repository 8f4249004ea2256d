"""Places in a MySQL server's log (from 5.6), known by the global names (GTID) of all transactions before.

MySQL names no place of a snapshot. A page is one statement; what it shows was in the log before, so the end
of the log after it lies behind all of it. And before the page is read, every transaction that was taken from
the log must have come to its end in the tables: it is in the log a moment earlier.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.connectors.log import LogLost
from shuqiao.edge.connectors.mysql import Session
from shuqiao.edge.connectors.mysql_places import (
    OTHER_LOG,
    PURGED,
    Names,
    Place,
    Spot,
    Start,
    read_place,
    spot_of,
    text_of,
)
from shuqiao.edge.connectors.mysql_setup import log_status, look_at, prepare_mysql
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

_SID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ONE = re.compile(rf"({_SID})((?::\d+(?:-\d+)?)+)", re.ASCII)
_OWNED = re.compile(rf"({_SID})|:(\d+)#\d+", re.ASCII)
_ENDING_S = 20.0
_LOOK_S = 0.005

Runs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class GtidSet:
    """Global names of transactions: for each server the runs of its numbers, first and last included."""

    runs: Mapping[str, Runs] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        """Say whether a name is in the set."""
        server, _, number = name.rpartition(":")
        return any(first <= int(number) <= last for first, last in self.runs.get(server, ()))

    def with_(self, name: str) -> GtidSet:
        """Return the set with one name more."""
        server, _, number = name.rpartition(":")
        one = int(number)
        return GtidSet({**self.runs, server: _joined(self.runs.get(server, ()), (one, one))})

    def text(self) -> str:
        """Return it as the server writes it."""
        return ",".join(
            ":".join((server, *(f"{first}-{last}" if first < last else f"{first}" for first, last in runs)))
            for server, runs in sorted(self.runs.items())
        )


def read_gtids(text: str) -> GtidSet:
    """Read a set; raises SourceError for one with tags (from MySQL 8.3), which the library can't follow."""
    found: dict[str, Runs] = {}
    for part in "".join(text.lower().split()).split(","):
        if not part:
            continue
        match = _ONE.fullmatch(part)
        if match is None:
            raise SourceError(
                Words(
                    "来源的日志含有带标签的GTID，节点不能读取：请在此按changes或ranges采集",
                    "the source's log has transactions with tagged GTIDs, which the node can't read:"
                    " capture by changes or ranges here",
                )
            )
        for run in match[2][1:].split(":"):
            first, _, last = run.partition("-")
            found[match[1]] = _joined(found.get(match[1], ()), (int(first), int(last or first)))
    return GtidSet(found)


def _joined(runs: Runs, more: tuple[int, int]) -> Runs:
    if runs and runs[-1][1] + 1 == more[0]:
        return (*runs[:-1], (runs[-1][0], more[1]))
    made: list[tuple[int, int]] = []
    for first, last in sorted((*runs, more)):
        if made and first <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(made[-1][1], last))
        else:
            made.append((first, last))
    return tuple(made)


@dataclass(frozen=True)
class Executed:
    """What was read of one server's log, while a table had the columns that `shape` is the digest of."""

    server: str
    shape: str
    gtids: GtidSet

    def with_(self, name: str) -> Executed:
        """Return it with one transaction more."""
        return Executed(self.server, self.shape, self.gtids.with_(name))

    def text(self) -> str:
        """Return it as it stands in a position."""
        return f"{self.server}|{self.shape}|{self.gtids.text()}"


def read_executed(text: str) -> Executed:
    """Read such a text; raises LogLost for one of another kind."""
    server, _, rest = text.partition("|")
    shape, bar, gtids = rest.partition("|")
    if not bar:
        raise LogLost(Words("位置属于另一种来源", "the position is of another kind of source"))
    return Executed(server, shape, read_gtids(gtids))


class MysqlServer:
    """A MySQL server with GTIDs."""

    def begin(self, session: Session, mapping: TableMapping) -> Place:
        """Look at server and table."""
        prepare_mysql(session)
        _, spot, gtids = _end_of_log(session)
        # The columns afterwards: a statement that alters them in between is in the log behind the place.
        table = look_at(session, mapping, is_named=False)
        return Place(spot, Executed(_server(session), table.shape(), gtids))

    def resume(self, session: Session, mapping: TableMapping, position: str) -> Start:
        """Look whether the log is the same, has all that is missing, and the columns are as they were."""
        prepare_mysql(session)
        place = read_place(position, read_executed)
        table = look_at(session, mapping, is_named=False)
        base, _, _ = _end_of_log(session)
        known = _executed(place.names)
        if known.server != _server(session):
            raise LogLost(OTHER_LOG)
        if known.shape != table.shape():
            raise LogLost(
                Words(
                    "来源的表在节点未读取期间被更改",
                    "the table was altered at the source while the node did not read",
                )
            )
        gtids = known.gtids.text()
        if not _is_subset(session, gtids, "@@GLOBAL.gtid_executed"):
            raise LogLost(OTHER_LOG)
        if not _is_subset(session, text_of(session.rows("SELECT @@GLOBAL.gtid_purged")), "%s", gtids):
            raise LogLost(PURGED)
        return Start(table, place, f"{base}.{place.spot.file:06d}", gtids)

    def page(
        self, session: Session, place: Place, read: Callable[[], list[SourceRow]]
    ) -> tuple[Spot, list[SourceRow]]:
        """Read when all that was taken from the log has come to its end."""
        wanted = _executed(place.names).gtids
        _wait_for(session, wanted.with_(place.begun) if place.begun else wanted)
        rows = read()
        _, spot, _ = _end_of_log(session)
        return spot, rows

    def sees(self, _transaction: str, _high: Spot) -> bool:
        """Each page shows all that was taken from the log before it."""
        return True


def _executed(names: Names) -> Executed:
    if not isinstance(names, Executed):
        raise LogLost(Words("位置属于另一种来源", "the position is of another kind of source"))
    return names


def _end_of_log(session: Session) -> tuple[str, Spot, GtidSet]:
    row = log_status(session)
    base, spot = spot_of(str(row[0]), str(row[1]))
    return base, spot, read_gtids(str(row[4] or ""))


def _server(session: Session) -> str:
    return text_of(session.rows("SELECT @@GLOBAL.server_uuid"))


def _is_subset(session: Session, gtids: str, other: str, *arguments: str) -> bool:
    found = session.rows(f"SELECT GTID_SUBSET(%s, {other})", ("".join(gtids.split()), *arguments))
    return text_of(found) == "1"


def _wait_for(session: Session, wanted: GtidSet) -> None:
    """Wait until transactions are at their end: among the executed, and then not in any thread's hands.

    Before MySQL 5.7 a transaction is among the executed from its writing on, a moment before it can be seen.
    """
    until, text = time.monotonic() + _ENDING_S, wanted.text()
    while not _is_subset(session, text, "@@GLOBAL.gtid_executed") or any(
        name in wanted for name in owned_names(text_of(session.rows("SELECT @@GLOBAL.gtid_owned")))
    ):
        if time.monotonic() > until:
            raise SourceError(
                Words(
                    "来源日志中的事务迟迟没有完成，稍后自动再试",
                    "transactions in the source's log don't come to their end; it is tried again",
                )
            )
        time.sleep(_LOOK_S)


def owned_names(text: str) -> list[str]:
    """Return the names in `gtid_owned`, such as `…:7#2:8#3`: transactions in the hands of a thread."""
    names: list[str] = []
    server = ""
    for match in _OWNED.finditer(text.lower()):
        if match[1]:
            server = match[1]
        else:
            names.append(f"{server}:{match[2]}")
    return names
