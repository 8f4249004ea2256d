"""Where a department's rows come from: one small interface, one module for each kind of database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shuqiao.edge.mapping import TableMapping
from shuqiao.wire.tables import TableDescription


class SourceError(Exception):
    """The source can't be read now, or its table isn't as the mapping says; the message names no values."""


@dataclass(frozen=True)
class SourceRow:
    """One row: its key and time of change as texts of the connector, and the mapped columns in order."""

    key: str
    changed: str
    values: tuple[Any, ...]


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

    async def read_one(
        self, mapping: TableMapping, column: str, values: Sequence[str], timeout_s: float
    ) -> SourceRow | None:
        """Return the row whose column has one of these values, the one changed last where there are more."""

    async def close(self) -> None:
        """Give connections back."""


class Tables(Protocol):
    """What `shuqiao node describe` needs of a database: the structure of a table, and no value of it."""

    async def describe(self, table: str, *, profile: bool = True) -> TableDescription:
        """Return a table's structure, with figures of its content if asked; raises SourceError."""
