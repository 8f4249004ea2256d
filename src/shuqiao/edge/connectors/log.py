"""What a database's own log gives: changes in the order of their commits, and pages of the table beside it.

The log says what changed from a position on, deletions included, without a column of times and without
asking the table; a page of the table says which rows there are. `edge.following` joins the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from shuqiao.edge.connectors import SourceError, SourceRow


class LogLost(SourceError):
    """The log no longer has what comes behind the position, or is another one: the table is read in full."""


def place_of(position: str) -> str:
    """Return the part of a position that sorts as the log runs; behind the bar is what it is checked by."""
    return position.partition("|")[0]


@dataclass(frozen=True)
class LogChange:
    """One row as a transaction left it; `transaction` is the number that a page's `sees` understands."""

    row: SourceRow
    transaction: str


@dataclass(frozen=True)
class LogPage:
    """Changes in the order of their commits, and the position behind them.

    `again` are changes before the position that reading was resumed at: they are in the spool already.
    `broken` says that the table is to be read in full, and why: it was emptied, or altered in a way that the
    log doesn't tell by rows.
    """

    changes: Sequence[LogChange]
    again: Sequence[LogChange]
    position: str
    broken: str = ""


@dataclass(frozen=True)
class TablePage:
    """Rows with the next greater keys as they stood at one moment.

    The log has all that was done until that moment before `high`. `sees` says of a transaction whether the
    rows show it: one may be in the log already and yet not be seen.
    """

    rows: Sequence[SourceRow]
    high: str
    sees: Callable[[str], bool]


@dataclass(frozen=True)
class LogState:
    """What the log costs the source: bytes of it kept for this node alone, None where it keeps none."""

    retained_bytes: int | None


@runtime_checkable
class MakesSlots(Protocol):
    """A log for which something is made at the source: it can be looked at without that."""

    async def check(self) -> None:
        """Raise SourceError naming what keeps the log from being followed."""


class ChangeLog(Protocol):
    """The log of one table. Positions are compared by `place_of`; any call may raise SourceError."""

    async def begin(self) -> str:
        """Make what the log needs, afresh, and return the position from which on no change is missed."""

    async def resume(self, position: str) -> None:
        """Read on behind a position, showing again what was not released before it. Raises LogLost."""

    async def ready(self, timeout_s: float) -> bool:
        """Wait until there may be something to read; False when the time is over."""

    async def read(self, limit: int) -> LogPage:
        """Return what has come, about `limit` changes at the most, without waiting."""

    async def read_table(self, after: str | None, limit: int) -> TablePage:
        """Return the rows with the next greater keys."""

    async def release(self, position: str) -> None:
        """Let the source forget what lies before a position: all of it is in the spool."""

    async def state(self) -> LogState:
        """Say what is kept for this node."""

    async def give_up(self) -> None:
        """Let the source forget the whole log; `begin` starts over."""

    async def close(self) -> None:
        """Stop reading; the source keeps the log for later."""
