"""A source whose columns are watched: when they change, what the mapping's contract says is done.

What the columns were when the mapping was first used is kept in the spool; another version of the mapping
file takes the columns as they are then. After each read the columns are looked at, so that no row is stored
that was read from a structure nobody has agreed to. When a column is back without which rows were read,
they lack its values, and `returned` says that the table is to be read in full.

| contract | a mapped column is gone | a mapped column has another type | a new column |
|---|---|---|---|
| none | reading stops | is told | is told |
| `evolve` | its items stay empty, if they may | is told | is told |
| `freeze` | reading stops | reading stops | reading stops |
| `discard_row` | every row is a fault | a row with a value that doesn't fit is a fault | is told |
| `discard_value` | its items stay empty, if they may | such a value is left out, if it may | is told |
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from shuqiao.edge import structure
from shuqiao.edge.connectors import RangeSum, Source, SourceError, SourceRow
from shuqiao.edge.convert import fits
from shuqiao.edge.mapping import ColumnSource, TableMapping
from shuqiao.edge.spool import Spool
from shuqiao.edge.words import Words
from shuqiao.wire.schemas import ItemSpec, ResourceSpec

T = TypeVar("T")
_SHOWN = 20


class SourceChanged(SourceError):
    """The source's columns are not what they were, and the contract says to stop."""


@dataclass(frozen=True)
class Change:
    """A column that is gone, new or of another type."""

    kind: Literal["gone", "new", "retyped"]
    column: str
    before: str = ""
    now: str = ""

    def __str__(self) -> str:
        """Say it in a few words."""
        types = f" ({self.before} → {self.now})" if self.kind == "retyped" else ""
        return f"{self.kind}: {self.column}{types}"


def changes_of(
    before: Mapping[str, str], now: Mapping[str, str], read: Collection[str]
) -> tuple[Change, ...]:
    """Compare the columns of a table, by their types, with what they were; `read` are those that are read."""
    found = [Change("gone", name) for name in read if name in before and name not in now]
    found += [
        Change("retyped", name, before[name], now[name])
        for name in read
        if name in before and name in now and before[name] != now[name]
    ]
    found += [Change("new", name) for name in now if name not in before]
    return tuple(found)


class Watched:
    """Reads one table of a source under the contract of its mapping."""

    def __init__(self, source: Source, mapping: TableMapping, spec: ResourceSpec, spool: Spool) -> None:
        """Put the parts together; nothing is looked at yet."""
        self._source = source
        self._mapping = mapping
        self._spool = spool
        self._columns = mapping.source_columns()
        self._read = tuple(name for name in (mapping.key, mapping.changed, *self._columns) if name)
        self._items: Mapping[str, Sequence[ItemSpec]] = {
            name: [item for item in spec.items if _column(mapping, item.field) == name]
            for name in self._columns
        }
        self._needed = {item.field for item in spec.items if item.required} | {spec.record_key}
        self.changes: tuple[Change, ...] = ()
        self.returned: frozenset[str] = frozenset()
        self._is_known = False

    @property
    def stops(self) -> bool:
        """Say whether the contract stops the reading as the columns are now."""
        return bool(self._stopping(self.changes))

    def told(self) -> tuple[str, ...]:
        """Return what changed, in a few words each."""
        return tuple(str(change) for change in self.changes[:_SHOWN])

    async def check(self, mapping: TableMapping) -> None:
        """Compare the mapping with the table."""
        await self._under(lambda: self._source.check(self.reduced(mapping)))

    async def clock(self, mapping: TableMapping) -> str:
        """Return the source's time now."""
        return await self._under(lambda: self._source.clock(self.reduced(mapping)))

    def earlier(self, clock: str, seconds: float) -> str:
        """Return the time that lies `seconds` before `clock`."""
        return self._source.earlier(clock, seconds)

    async def read_all(self, mapping: TableMapping, after: str | None, limit: int) -> list[SourceRow]:
        """Return one page in order of the key."""
        return self.widened(
            await self._under(lambda: self._source.read_all(self.reduced(mapping), after, limit))
        )

    async def read_changed(
        self, mapping: TableMapping, since: str, after: SourceRow | None, limit: int
    ) -> list[SourceRow]:
        """Return one page in order of change and key."""
        return self.widened(
            await self._under(lambda: self._source.read_changed(self.reduced(mapping), since, after, limit))
        )

    async def read_range(
        self, mapping: TableMapping, after: str | None, until: str | None, limit: int
    ) -> list[SourceRow]:
        """Return one page of a range."""
        return self.widened(
            await self._under(lambda: self._source.read_range(self.reduced(mapping), after, until, limit))
        )

    async def checksum(self, mapping: TableMapping, after: str | None, until: str | None) -> RangeSum | None:
        """Return the sum of a range."""
        return await self._under(lambda: self._source.checksum(self.reduced(mapping), after, until))

    async def columns(self, mapping: TableMapping) -> Mapping[str, str]:
        """Return the table's columns with their types."""
        return await self._source.columns(mapping)

    async def read_one(
        self, mapping: TableMapping, column: str, values: Sequence[str], timeout_s: float
    ) -> SourceRow | None:
        """Return one row."""
        return await self._source.read_one(mapping, column, values, timeout_s)

    async def close(self) -> None:
        """Give connections back."""
        await self._source.close()

    async def _under(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read, unless the columns are not, or were not meanwhile, what was agreed to."""
        before = self.changes if self._is_known else await self.look()
        try:
            found = await read()
        except SourceError:
            await self.look()
            raise
        if await self.look() != before:
            place = self._mapping.path
            raise SourceError(
                Words(
                    f"{place}：读取时来源的列有变化，随即重读",
                    f"{place}: the source's columns changed while they were read; they are read again",
                )
            )
        return found

    async def look(self) -> tuple[Change, ...]:
        """Look at the columns; raises SourceChanged where the contract says to stop."""
        self._is_known = False
        now = dict(await self._source.columns(self._mapping))
        if now:
            await self._compare(now)
        stopping = self._stopping(self.changes)
        if stopping:
            said = "; ".join(map(str, stopping[:_SHOWN]))
            place, contract = self._mapping.path, self._mapping.on_change or Words("未写", "not said")
            raise SourceChanged(
                Words(
                    f"{place}：来源的列有变化（{said}），`on_change`为{contract}："
                    "恢复来源表即自动继续；或调整映射文件，再重启前置机",
                    f"{place}: the source's columns changed ({said}) and `on_change` is {contract}: put"
                    " the table right and it goes on by itself, or adapt the mapping file and start the node"
                    " anew",
                )
            )
        self._is_known = True
        return self.changes

    async def _compare(self, now: Mapping[str, str]) -> None:
        """Note what changed, before a row is read under it."""
        resource, version = self._mapping.resource, self._mapping.version

        def work(db: sqlite3.Connection) -> tuple[tuple[Change, ...], frozenset[str]]:
            before = structure.known(db, resource, version, now)
            changes = changes_of(before.columns, now, self._read)
            lacking = _lacking(changes)
            if lacking - before.lacked and not self._stopping(changes):
                structure.note_lacking(db, resource, before.lacked | lacking)
            return changes, before.lacked - lacking

        self.changes, self.returned = await asyncio.to_thread(self._spool.within, work)

    async def settle(self) -> None:
        """Note that the table is read anew with the columns that are back."""
        resource, lacking = self._mapping.resource, _lacking(self.changes)
        await asyncio.to_thread(self._spool.within, lambda db: structure.note_lacking(db, resource, lacking))
        self.returned = frozenset()

    def _stopping(self, changes: Sequence[Change]) -> list[Change]:
        contract = self._mapping.on_change
        if contract == "freeze":
            return list(changes)
        gone = [change for change in changes if change.kind == "gone"]
        if contract == "":
            return gone
        bare = (self._mapping.key, self._mapping.changed)
        return [change for change in gone if change.column in bare or not self._may_go(change.column)]

    def _may_go(self, column: str) -> bool:
        """Say whether a column's items may be empty, or its rows be faults."""
        if self._mapping.on_change == "discard_row":
            return True
        return all(item.field not in self._needed for item in self._items[column])

    def _gone(self) -> set[str]:
        return {change.column for change in self.changes if change.kind == "gone"}

    def reduced(self, mapping: TableMapping) -> TableMapping:
        """Return the mapping without the columns that are gone."""
        gone = self._gone()
        if not gone:
            return mapping
        items = {field: one for field, one in mapping.items.items() if _column(mapping, field) not in gone}
        return replace(mapping, items=items)

    def widened(self, rows: list[SourceRow]) -> list[SourceRow]:
        """Put the values where the mapping has them, as the contract says."""
        gone, retyped = self._gone(), {one.column for one in self.changes if one.kind == "retyped"}
        contract = self._mapping.on_change
        lenient = retyped if contract == "discard_value" else set()
        if not gone and not lenient:
            return rows
        left = [name for name in self._columns if name not in gone]
        discarded = tuple(sorted(gone)) if contract == "discard_row" else ()
        return [
            replace(
                row,
                values=self._values(dict(zip(left, row.values, strict=True)), lenient),
                discarded=discarded,
            )
            for row in rows
        ]

    def _values(self, found: Mapping[str, Any], lenient: Iterable[str]) -> tuple[Any, ...]:
        left_out = {
            name
            for name in lenient
            if name in found
            and self._may_go(name)
            and not all(fits(found[name], item) for item in self._items[name])
        }
        return tuple(None if name in left_out else found.get(name) for name in self._columns)


def _lacking(changes: Iterable[Change]) -> frozenset[str]:
    return frozenset(change.column for change in changes if change.kind != "new")


def _column(mapping: TableMapping, field: str) -> str | None:
    source = mapping.items.get(field)
    return source.column if isinstance(source, ColumnSource) else None
