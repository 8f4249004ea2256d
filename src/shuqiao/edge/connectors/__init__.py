"""Where a department's rows come from: one small interface, one module for each kind of database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.printing import printable
from shuqiao.wire.tables import TableDescription

WEIGHTS = 2**64
MOST_OF_A_CELL = 256 * 1024 + 1
"""So much of a long value is read that it is seen to be too long: characters of a text, or bytes."""


class SourceError(Exception):
    """The source can't be read now, or its table isn't as the mapping says; the message names no values."""

    def __str__(self) -> str:
        """Return the message on one line: a name of a file or a column is the source's own."""
        return printable(super().__str__())


@dataclass(frozen=True)
class Unreadable:
    """Stands for a value that can't be taken over; `code` is the stable code of its row's fault."""

    code: str


@dataclass(slots=True)
class SourceRow:
    """One row: its key and time of change as texts of the connector, and the mapped columns in order.

    A `removed` row is gone from the source: its key is the value of the record key, its values are all None.
    `weight` is what the row adds to the sum of its range, where the source makes sums. `discarded` are
    columns for whose absence the row is not to be merged. Nobody changes a row; to freeze each of them would
    cost more than to read it.
    """

    key: str
    changed: str
    values: tuple[Any, ...]
    removed: bool = False
    weight: int | None = None
    discarded: tuple[str, ...] = ()


@dataclass(frozen=True)
class RangeSum:
    """How many rows lie in a range of keys, and the sum of their weights modulo `WEIGHTS`."""

    rows: int
    weight: int


class Source(Protocol):
    """What the node needs of a database. Texts of `clock` and `SourceRow.changed` sort by time."""

    async def check(self, mapping: TableMapping) -> None:
        """Raise SourceError naming the columns that are missing or of an unfit type."""

    async def clock(self, mapping: TableMapping) -> str:
        """Return the source's time now."""

    def earlier(self, clock: str, seconds: float) -> str:
        """Return the time that lies `seconds` before `clock`."""

    async def read_all(self, mapping: TableMapping, after: str | None, limit: int) -> list[SourceRow]:
        """Return the rows with the next greater keys, in order of the key."""

    async def read_changed(
        self, mapping: TableMapping, since: str, after: SourceRow | None, limit: int
    ) -> list[SourceRow]:
        """Return rows changed at `since` or later, in order of change and key, those behind `after` only."""

    async def read_range(
        self, mapping: TableMapping, after: str | None, until: str | None, limit: int
    ) -> list[SourceRow]:
        """Return the first rows with a key greater than `after` and not greater than `until`, in its order.

        None is no bound. The order is the source's own: whoever compares ranges assumes nothing about it.
        """

    async def checksum(self, mapping: TableMapping, after: str | None, until: str | None) -> RangeSum | None:
        """Return the sum of a range as `read_range` weighs its rows; None where the source makes no sums."""

    async def columns(self, mapping: TableMapping) -> Mapping[str, str]:
        """Return the table's columns as they are now, with their types; nothing where it can't be said."""

    async def read_one(
        self, mapping: TableMapping, column: str, values: Sequence[str], timeout_s: float, /
    ) -> SourceRow | None:
        """Return the row whose column has one of these values, the one changed last where there are more."""

    async def close(self) -> None:
        """Give connections back."""


class Tables(Protocol):
    """What `shuqiao node describe` needs of a database: the structure of a table, and no value of it."""

    async def describe(self, table: str, *, profile: bool = True) -> TableDescription:
        """Return a table's structure, with figures of its content if asked; raises SourceError."""
