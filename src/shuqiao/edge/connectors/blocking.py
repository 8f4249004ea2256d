"""What connectors have in common whose driver blocks: each page is one statement, run in a thread."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from shuqiao.edge.connectors import WEIGHTS, RangeSum, SourceError, SourceRow
from shuqiao.edge.connectors.checking import earlier, key_of
from shuqiao.edge.connectors.threads import Closes, Connections
from shuqiao.edge.mapping import TableMapping

TIMEOUT_S = 60


class Reads(Closes, Protocol):
    """A read-only connection."""

    def rows(self, sql: str, arguments: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        """Run one statement."""


class Pieces(Protocol):
    """SQL pieces of one mapping, made from what the database says about its columns."""

    @property
    def table(self) -> str:
        """The table's name."""

    @property
    def select(self) -> str:
        """The key and the time of change as text, then the columns that are read."""

    @property
    def key(self) -> str:
        """What rows are paged by."""

    @property
    def key_place(self) -> str:
        """The place of a key that is given as text."""

    @property
    def changed(self) -> str:
        """What rows are ordered by in the order of their changes."""

    @property
    def weight(self) -> str:
        """What a row adds to the sum of its range; empty where the database makes no such sums."""


@dataclass(frozen=True)
class Driver:
    """How one kind of database is spoken to: a value's place, a name's quotes, what its driver raises.

    Among `faults` is OSError, of which a read that takes too long is one.
    """

    place: str
    quoted: Callable[[str], str]
    faults: tuple[type[Exception], ...]
    fault_of: Callable[[Exception], SourceError]


S = TypeVar("S", bound=Reads)
P = TypeVar("P", bound=Pieces)
T = TypeVar("T")


class BlockingSource(ABC, Generic[S, P]):
    """Reads one database over a few read-only connections; knows tables, and no database's own SQL."""

    def __init__(self, driver: Driver, open_one: Callable[[], S], connections: int) -> None:
        """Keep the parts; nothing is opened before the first read."""
        self._driver = driver
        self._connections = Connections(open_one, connections)
        self._known: dict[tuple[str, tuple[str, ...]], P] = {}

    @abstractmethod
    async def _described(self, mapping: TableMapping) -> P:
        """Ask the database about a table's columns; raises SourceError where they are not as mapped."""

    @abstractmethod
    async def columns(self, mapping: TableMapping) -> Mapping[str, str]:
        """Return the table's columns with their types."""

    async def check(self, mapping: TableMapping) -> None:
        """Compare the mapping with the table."""
        await self._describe(mapping)

    def earlier(self, clock: str, seconds: float) -> str:
        """Return the text of a time before `clock`."""
        return earlier(clock, seconds)

    async def read_range(
        self, mapping: TableMapping, after: str | None, until: str | None, limit: int
    ) -> list[SourceRow]:
        """Return one page of a range in key order, each row with its weight."""
        c = await self._describe(mapping)
        where, arguments = _between(c, after, until)
        sql = (
            f"SELECT {c.weight or 'NULL'}, {c.select} FROM {c.table} t WHERE {where}"
            f" ORDER BY {c.key} LIMIT {self._driver.place}"
        )
        rows = await self._use(lambda session: session.rows(sql, (*arguments, limit)))
        return [
            SourceRow(
                key_of(row[1]), row[2] or "", tuple(row[3:]), weight=None if row[0] is None else int(row[0])
            )
            for row in rows
        ]

    async def checksum(self, mapping: TableMapping, after: str | None, until: str | None) -> RangeSum | None:
        """Return the sum the database makes of a range, None where it can't."""
        c = await self._describe(mapping)
        if not c.weight:
            return None
        where, arguments = _between(c, after, until)
        # The one answer is limited so that there is always a value to bind, as with every other statement.
        sql = (
            f"SELECT COUNT(*), COALESCE(SUM({c.weight}), 0) FROM {c.table} t WHERE {where}"
            f" LIMIT {self._driver.place}"
        )
        rows = await self._use(lambda session: session.rows(sql, (*arguments, 1)))
        return RangeSum(int(rows[0][0]), int(rows[0][1]) % WEIGHTS)

    async def read_one(
        self, mapping: TableMapping, column: str, values: Sequence[str], timeout_s: float
    ) -> SourceRow | None:
        """Return the one row by one statement; an index on the column makes it a quick one."""
        c = await self._describe(mapping)
        places = ", ".join([self._driver.place] * len(values))
        where = f"t.{self._driver.quoted(column)} IN ({places})"
        sql = f"SELECT {c.select} FROM {c.table} t WHERE {where} ORDER BY {c.changed} DESC LIMIT 1"
        rows = await self._page(sql, values, timeout_s)
        return rows[0] if rows else None

    async def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    async def _describe(self, mapping: TableMapping) -> P:
        place = (mapping.resource, mapping.source_columns())
        known = self._known.get(place)
        if known is None:
            known = self._known[place] = await self._described(mapping)
        return known

    async def _page(
        self, sql: str, arguments: Sequence[Any], timeout_s: float = TIMEOUT_S
    ) -> list[SourceRow]:
        rows = await self._use(lambda session: session.rows(sql, arguments), timeout_s)
        return [SourceRow(key_of(row[0]), row[1] or "", tuple(row[2:])) for row in rows]

    async def _use(self, work: Callable[[S], T], timeout_s: float = TIMEOUT_S) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._connections.use(work)
        except self._driver.faults as error:
            # The table may have been altered, so the next read looks at its columns again.
            self._known.clear()
            raise self._driver.fault_of(error) from None


def _between(c: Pieces, after: str | None, until: str | None) -> tuple[str, list[str]]:
    """Return the condition on keys of a range, and its values."""
    bounds = [(sign, bound) for sign, bound in ((">", after), ("<=", until)) if bound is not None]
    parts = [f"{c.key} IS NOT NULL", *(f"{c.key} {sign} {c.key_place}" for sign, _ in bounds)]
    return " AND ".join(parts), [bound for _, bound in bounds]
