"""The log of one PostgreSQL table (version 10 or later): a stream of its slot, and pages as they stood.

A page is read in one snapshot, and a mark is put into the log behind it: whatever the snapshot shows lies
before the mark. A transaction can be in the log before snapshots show it; therefore a page also says which
transactions it shows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.connectors.log import LogChange, LogLost, LogPage, LogState, TablePage
from shuqiao.edge.connectors.pgoutput import (
    Begin,
    Column,
    Commit,
    Delete,
    Insert,
    MalformedMessage,
    Message,
    Relation,
    Truncate,
    Tuple,
    Unchanged,
    Update,
    column_of,
    parse_message,
    value_of,
)
from shuqiao.edge.connectors.postgresql_slot import LoggedTable, Setup, drop_slot, find_slot, make_slot
from shuqiao.edge.connectors.postgresql_stream import StreamRefused, WalStream, open_stream, session_url
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

_TIMEOUT_S = 60.0
_BEGIN_S = 24 * 3600.0
"""A slot waits for every transaction that is open; a day is longer than any should be."""

_POLL_S = 0.05
_EMPTIED = Words("来源清空了这张表", "the table was emptied at the source")
_LOST_STATES = ("55000", "58P01")
_FAULTS = (OSError, psycopg.Error, asyncio.TimeoutError)

_EARLIER = "SELECT txid_snapshot_xmin(txid_current_snapshot()) < %s"
_MARK = "SELECT pg_logical_emit_message(true, 'shuqiao', '') - '0/0'::pg_lsn"


@dataclass(frozen=True, order=True)
class Place:
    """All that was committed before `end` has been read, and of the next transaction `count` messages."""

    end: int
    count: int

    def text(self) -> str:
        """Return it as a text that sorts alike."""
        return f"{self.end:016X}/{self.count:010d}"


def read_place(text: str) -> Place:
    """Read such a text; raises LogLost for one of another connector."""
    end, _, count = text.partition("/")
    try:
        return Place(int(end, 16), int(count))
    except ValueError:
        raise LogLost(Words("所记位置属于另一种来源", "the position is of another kind of source")) from None


@dataclass(frozen=True)
class Snapshot:
    """Which transactions a snapshot shows, by the server's own text of it."""

    lowest: int
    next: int
    open: frozenset[int]

    def sees(self, transaction: str) -> bool:
        """Say whether it shows a transaction, whose number is without the epoch and not older than that."""
        behind = (self.next - int(transaction)) & 0xFFFFFFFF
        number = self.next - (behind - 2**32 if behind >= 2**31 else behind)
        return number < self.lowest or (number < self.next and number not in self.open)


def read_snapshot(text: str) -> Snapshot:
    """Read `lowest:next:open,open`."""
    lowest, next_, open_ = text.split(":")
    return Snapshot(int(lowest), int(next_), frozenset(int(one) for one in open_.split(",") if one))


@dataclass(frozen=True)
class _Plan:
    """Where a relation has the key and the mapped columns, with their types."""

    key: int
    values: tuple[int, ...]
    types: tuple[int, ...]
    width: int


class PostgresqlLog:
    """Follows one table; one task uses it at a time."""

    def __init__(self, url: str, mapping: TableMapping) -> None:
        """Remember where; nothing is opened yet."""
        self._url = url
        self._mapping = mapping
        self._setup = Setup(mapping)
        self._link: psycopg.AsyncConnection[Any] | None = None
        self._using = asyncio.Lock()
        self._table: LoggedTable | None = None
        self._stream: WalStream | None = None
        self._plans: dict[int, _Plan] = {}
        self._columns: dict[int, tuple[Column, ...]] = {}
        self._shown: dict[int, tuple[Column, ...]] = {}
        self._start = self._place = Place(0, 0)
        self._wanted = 0
        self._is_old = False
        self._transaction: str | None = None
        self._has_more = False
        self._next: bytes | None = None

    async def check(self) -> None:
        """Look whether the log can be followed; makes nothing at the source."""
        async with self._session() as link:
            await self._setup.check(link, await self._looked_at(link))

    async def begin(self) -> str:
        """Make publication and slot, and wait until every commit before the slot's place can be seen."""
        await self._end_stream()
        async with self._session(_BEGIN_S) as link:
            table = await self._looked_at(link)
            await self._setup.prepare(link, table)
            place = await make_slot(link, await self._setup.slot_name(link))
            snapshot = await _snapshot(link)
            await _earlier_have_ended(link, snapshot.next)
        return Place(place, 0).text()

    async def resume(self, position: str) -> None:
        """Open the stream, unless the slot has lost what is needed."""
        await self._end_stream()
        start = read_place(position)
        async with self._session() as link:
            table = await self._looked_at(link)
            await self._setup.prepare(link, table)
            name = await self._setup.slot_name(link)
            slot = await find_slot(link, name)
        if slot.is_lost or slot.confirmed > start.end:
            raise LogLost(
                Words(
                    "来源已丢弃一段尚未读取的日志",
                    "the source has dropped a part of its log that was not read yet",
                )
            )
        if slot.end < start.end:
            raise LogLost(
                Words(
                    "来源的日志止于已读位置之前：它是从备份恢复的",
                    "the source's log ends before what was read of it: it was restored from a backup",
                )
            )
        try:
            self._stream = await open_stream(self._url, name, self._setup.publication, slot.confirmed)
        except StreamRefused as refused:
            if refused.state in _LOST_STATES:
                raise LogLost(str(refused)) from None
            raise
        self._start = self._place = start
        self._transaction, self._is_old, self._has_more, self._next = None, False, False, None
        self._plans.clear()
        self._shown.clear()

    async def ready(self, timeout_s: float) -> bool:
        """Wait for the stream, asking the server for its place while a mark is waited for."""
        stream = self._opened()
        until = time.monotonic() + timeout_s
        is_asked = False
        while not self._has_more and self._next is None:
            self._next = stream.take()
            left = until - time.monotonic()
            waits_for_mark = self._wanted > max(self._place.end, stream.sent)
            if self._next is not None or left <= 0 or (is_asked and not waits_for_mark):
                break
            if waits_for_mark and not is_asked:
                stream.ask()
                is_asked = True
            await stream.wait(left)
        return self._has_more or self._next is not None

    async def read(self, limit: int) -> LogPage:
        """Take what has come, and read values again that the log left out."""
        stream = self._opened()
        changes: list[LogChange] = []
        again: list[LogChange] = []
        emptied = False
        self._has_more = False
        try:
            while not emptied and not self._has_more and (data := self._next or stream.take()) is not None:
                self._next = None
                message = parse_message(data)
                if self._is_altered(message):
                    if not changes:
                        said = Words("表的结构有变化", "the table was altered")
                        raise SourceError(f"{self._mapping.path}: {said}")
                    self._next = data
                    break
                emptied = message is not None and self._take(message, changes, again)
                self._has_more = emptied or len(changes) + len(again) >= limit
        except MalformedMessage as error:
            raise SourceError(
                Words(f"来源的日志读不出来：{error}", f"the source's log can't be read: {error}")
            ) from None
        if self._transaction is None and not self._has_more and self._next is None:
            self._place = max(self._place, Place(stream.sent, 0))
        await self._complete(changes)
        return LogPage(changes, again, max(self._place, self._start).text(), str(_EMPTIED) if emptied else "")

    async def read_table(self, after: str | None, limit: int) -> TablePage:
        """Read one page in a snapshot and put the mark behind it."""
        async with self._session() as link:
            table = self._table or await self._looked_at(link)
            async with link.transaction():
                await link.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                snapshot = await _snapshot(link)
                rows = await self._page(link, table, after, limit)
            self._wanted = int(await _one(link, _MARK))
        return TablePage(rows, Place(self._wanted, 0).text(), snapshot.sees)

    async def release(self, position: str) -> None:
        """Confirm the slot up to a place."""
        if self._stream is not None:
            self._stream.confirm(read_place(position).end)

    async def state(self) -> LogState:
        """Ask what the slot keeps, and the stream how far it is: a busy server doesn't say so by itself."""
        if self._stream is not None:
            self._stream.ask()
        async with self._session() as link:
            try:
                slot = await find_slot(link, await self._setup.slot_name(link))
            except LogLost:
                return LogState(None)
        return LogState(slot.retained_bytes)

    async def give_up(self) -> None:
        """Drop the slot."""
        await self._end_stream()
        async with self._session() as link:
            await drop_slot(link, await self._setup.slot_name(link))

    async def close(self) -> None:
        """End the stream and the connection."""
        await self._end_stream()
        link, self._link = self._link, None
        if link is not None:
            with suppress(psycopg.Error):
                await link.close()

    def _take(self, message: Message, changes: list[LogChange], again: list[LogChange]) -> bool:
        """Note what a message says; returns whether the table was emptied."""
        match message:
            case Begin(place, transaction):
                self._transaction = str(transaction)
                self._is_old = place < self._start.end
                self._place = Place(self._place.end, 0)
            case Commit(end):
                self._transaction = None
                if not self._is_old:
                    self._place = Place(max(end, self._place.end), 0)
            case Relation():
                self._plans[message.number] = self._planned(message)
            case _:
                return self._take_change(message, changes, again)
        return False

    def _is_altered(self, message: Message | None) -> bool:
        """Say whether a change that was not taken yet is of a table that has other columns since the last."""
        if not isinstance(message, Insert | Update | Delete) or self._is_old:
            return False
        if Place(self._place.end, self._place.count + 1) <= self._start:
            return False
        columns = self._columns.get(message.relation, ())
        return self._shown.setdefault(message.relation, columns) != columns

    def _take_change(
        self, message: Insert | Update | Delete | Truncate, changes: list[LogChange], again: list[LogChange]
    ) -> bool:
        if self._transaction is None:
            raise MalformedMessage("a change outside of a transaction")
        here = self._place = Place(self._place.end, self._place.count + 1)
        is_old = self._is_old or here <= self._start
        if isinstance(message, Truncate):
            return not is_old
        plan = self._plans.get(message.relation)
        if plan is None:
            raise MalformedMessage("a change of a table that was not described")
        rows = self._rows(plan, message)
        (again if is_old else changes).extend(LogChange(row, self._transaction) for row in rows)
        return False

    def _rows(self, plan: _Plan, message: Insert | Update | Delete) -> list[SourceRow]:
        old = message.old if isinstance(message, Update | Delete) else None
        gone = None if old is None else _key(plan, old)
        if isinstance(message, Delete):
            return [self._removed(gone)]
        new = message.new
        if len(new) != plan.width or (old is not None and len(old) != plan.width):
            raise MalformedMessage("a row of another width than its table")
        if old is not None and isinstance(message, Update) and message.is_whole:
            new = tuple(
                old[place] if isinstance(value, Unchanged) else value for place, value in enumerate(new)
            )
        key = _key(plan, new)
        values = tuple(
            value if isinstance(value := new[place], Unchanged) else value_of(kind, value)
            for place, kind in zip(plan.values, plan.types, strict=True)
        )
        row = SourceRow(key, "", values)
        return [row] if gone is None or gone == key else [self._removed(gone), row]

    def _removed(self, key: str | None) -> SourceRow:
        if key is None:
            raise MalformedMessage("a row that went without its key")
        return SourceRow(key, "", (None,) * len(self._mapping.source_columns()), removed=True)

    def _planned(self, relation: Relation) -> _Plan:
        table = self._table
        places = {column.name: place for place, column in enumerate(relation.columns)}
        wanted = self._mapping.source_columns()
        missing = [name for name in (self._mapping.key, *wanted) if name not in places]
        if missing or table is None:
            raise LogLost(
                Words(
                    "日志中有表还是别的列时的行",
                    "the log has rows from a time when the table had other columns",
                )
            )
        self._columns[relation.number] = relation.columns
        types = {column.name: column.type for column in relation.columns} | table.types
        return _Plan(
            places[self._mapping.key],
            tuple(places[name] for name in wanted),
            tuple(types[name] for name in wanted),
            len(relation.columns),
        )

    async def _complete(self, changes: list[LogChange]) -> None:
        """Put in large values that an update left as they were; a later change of them follows in the log."""
        lacking = {
            change.row.key
            for change in changes
            if any(isinstance(one, Unchanged) for one in change.row.values)
        }
        if not lacking:
            return
        async with self._session() as link:
            table = self._table or await self._looked_at(link)
            now = {row.key: row for row in await self._page(link, table, None, None, sorted(lacking))}
        # Of a row that is gone by now the log will say so.
        changes[:] = [
            _filled(change, now.get(change.row.key))
            for change in changes
            if change.row.key not in lacking or change.row.removed or change.row.key in now
        ]

    async def _page(
        self,
        link: psycopg.AsyncConnection[Any],
        table: LoggedTable,
        after: str | None,
        limit: int | None,
        among: Sequence[str] | None = None,
    ) -> list[SourceRow]:
        """Read rows as texts of the server's output functions, which is what the log has."""
        key = sql.SQL("t.{}").format(sql.Identifier(self._mapping.key))
        kind = sql.SQL(table.type_names[self._mapping.key])
        names = self._mapping.source_columns()
        query = sql.SQL("SELECT {} FROM {} t").format(
            sql.SQL(", ").join([key, *(sql.SQL("t.{}").format(sql.Identifier(name)) for name in names)]),
            table.place,
        )
        values: list[Any] = []
        if after is not None:
            query += sql.SQL(" WHERE {} > %s::text::{}").format(key, kind)
            values.append(after)
        elif among is not None:
            query += sql.SQL(" WHERE {} = ANY(%s::text[]::{}[])").format(key, kind)
            values.append(list(among))
        query += sql.SQL(" ORDER BY {}").format(key)
        if limit is not None:
            query += sql.SQL(" LIMIT {}").format(sql.Literal(limit))
        result = (await link.execute(query, values or None, binary=False)).pgresult
        if result is None:
            raise SourceError("the source database gave no rows")
        get, places = result.get_value, range(result.ntuples)
        columns = [
            column_of(table.types[name], [get(row, index) for row in places])
            for index, name in enumerate(names, 1)
        ]
        keys = [_key_text(get(row, 0)) for row in places]
        rows = zip(*columns, strict=True) if columns else [()] * len(keys)
        return [SourceRow(key, "", values) for key, values in zip(keys, rows, strict=True)]

    async def _looked_at(self, link: psycopg.AsyncConnection[Any]) -> LoggedTable:
        self._table = table = await self._setup.table(link)
        return table

    def _opened(self) -> WalStream:
        if self._stream is None:
            raise SourceError("the stream of the source's log is not open")
        return self._stream

    async def _end_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    @asynccontextmanager
    async def _session(self, timeout_s: float = _TIMEOUT_S) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Lend the connection; after any fault it is closed, for nobody knows in what state it is."""
        async with self._using:
            try:
                async with asyncio.timeout(timeout_s):
                    if self._link is None:
                        self._link = await psycopg.AsyncConnection.connect(
                            session_url(self._url), autocommit=True
                        )
                        # A mark need not wait for standbys.
                        await self._link.execute("SET synchronous_commit = local")
                    yield self._link
            except BaseException as error:
                link, self._link = self._link, None
                self._table = None
                if link is not None:
                    link.pgconn.finish()
                if isinstance(error, MalformedMessage):
                    raise SourceError(f"the source's rows can't be read: {error}") from None
                if isinstance(error, _FAULTS):
                    raise diagnose(error) from None
                raise


def _key(plan: _Plan, row: Tuple) -> str:
    return _key_text(row[plan.key] if plan.key < len(row) else None)


def _key_text(value: bytes | Unchanged | None) -> str:
    text = value_of(0, value) if isinstance(value, bytes) else None
    if not isinstance(text, str):
        raise MalformedMessage("a row without a key that is a text")
    return text


def _filled(change: LogChange, now: SourceRow | None) -> LogChange:
    if now is None:
        return change
    values = tuple(
        now.values[place] if isinstance(value, Unchanged) else value
        for place, value in enumerate(change.row.values)
    )
    return replace(change, row=replace(change.row, values=values))


async def _snapshot(link: psycopg.AsyncConnection[Any]) -> Snapshot:
    return read_snapshot(str(await _one(link, "SELECT txid_current_snapshot()::text")))


async def _earlier_have_ended(link: psycopg.AsyncConnection[Any], until: int) -> None:
    """Wait for the transactions that began before one; the server tells nobody, so it is asked."""
    while True:
        if not await _one(link, _EARLIER, until):
            return
        await asyncio.sleep(_POLL_S)


async def _one(link: psycopg.AsyncConnection[Any], query: str, *values: Any) -> Any:
    row = await (await link.execute(query.encode(), values or None)).fetchone()
    return None if row is None else row[0]
