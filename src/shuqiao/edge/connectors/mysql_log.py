"""The log of one MariaDB table (version 10.5 or later), and pages of the table as they stood.

A page is read in a snapshot of which the server itself says the place in its log, so it is known exactly what
the page shows. A place is checked by the global names of the transactions before it: another server's log, or
one restored from a backup, has others.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.connectors.log import LogChange, LogLost, LogPage, LogState, TablePage, place_of
from shuqiao.edge.connectors.mysql import FAULTS, Session, connect, key_pieces, qualified, quoted
from shuqiao.edge.connectors.mysql_setup import FollowedTable, look_at, prepare, value_of
from shuqiao.edge.connectors.mysql_stream import (
    Begun,
    BinlogStream,
    Broken,
    Ended,
    Happening,
    Reached,
    Row,
    Rows,
    Spot,
    Statement,
)
from shuqiao.edge.connectors.threads import Connections
from shuqiao.edge.mapping import TableMapping

_TIMEOUT_S = 60.0
_ALTERED = "the table was altered or emptied at the source"
_PLACE = re.compile(r"(\d{10})/(\d{12})/(\d{10})\|([0-9,-]*)", re.ASCII)

_SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT"
_WHERE = "SHOW STATUS LIKE 'binlog_snapshot_%%'"

_EVENTS = 1000
_COMMITS = ("Xid", "XA_prepare")

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Everything before `spot` has been read, and of the transaction that begins there `count` rows.

    `names` are the last global names before it, one for each domain of the server.
    """

    spot: Spot
    count: int = 0
    names: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return it as a position: what sorts as the log runs, and the names."""
        names = ",".join(self.names[domain] for domain in sorted(self.names))
        return f"{_spot_text(self.spot)}/{self.count:010d}|{names}"


def read_place(text: str) -> Place:
    """Read such a text; raises LogLost for one of another connector."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise LogLost("the position is of another kind of source")
    return Place(Spot(int(found[1]), int(found[2])), int(found[3]), read_names(found[4]))


def read_names(text: str) -> dict[str, str]:
    """Read global names `domain-server-number` by their domains."""
    return {name.partition("-")[0]: name for name in text.split(",") if name}


class MysqlLog:
    """Follows one table; one task uses it at a time."""

    def __init__(self, url: str, mapping: TableMapping) -> None:
        """Remember where; nothing is opened yet."""
        self._url = url
        self._mapping = mapping
        self._sessions: Connections[Session] = Connections(lambda: connect(url), 1)
        self._table: FollowedTable | None = None
        self._stream: BinlogStream | None = None
        self._start = self._place = Place(Spot(0, 0))
        self._under_way: Begun | None = None
        self._next: Happening | None = None
        self._rest: list[LogChange] = []
        self._wanted = ""
        self._passed = 0

    async def begin(self) -> str:
        """Look at the server and return the place of a snapshot."""
        await self._end_stream()

        def work(session: Session) -> Place:
            prepare(session)
            self._table = look_at(session, self._mapping)
            base, spot = _snapshot(session)
            session.rows("COMMIT")
            return Place(spot, 0, _names_at(session, base, spot))

        return (await self._use(work)).text()

    async def resume(self, position: str) -> None:
        """Open the stream where the log still has what is needed and is the same one."""
        await self._end_stream()
        start = read_place(position)

        def work(session: Session) -> str:
            prepare(session)
            self._table = look_at(session, self._mapping)
            base, _ = _snapshot(session)
            session.rows("COMMIT")
            if _names_at(session, base, start.spot) != start.names:
                raise LogLost("the source's log is not the one that was read, or its beginning is gone")
            return base

        base = await self._use(work)
        table = self._looked_at()
        self._start = self._place = start
        self._under_way, self._next, self._rest = None, None, []
        self._stream = BinlogStream(self._url, table.schema, table.name, base, start.spot)

    async def ready(self, timeout_s: float) -> bool:
        """Wait for the stream."""
        stream = self._opened()
        until = time.monotonic() + timeout_s
        while not self._rest and self._next is None:
            self._next = stream.take()
            if isinstance(self._next, Reached):
                self._reach(self._next.at)
                self._next = None
                if self._wanted and place_of(self._place.text()) >= self._wanted:
                    break
            elif self._next is None:
                left = until - time.monotonic()
                if left <= 0 or not await stream.wait(left):
                    break
        return bool(self._rest) or self._next is not None

    async def read(self, limit: int) -> LogPage:
        """Take what has come."""
        stream = self._opened()
        changes: list[LogChange] = []
        broken = ""
        while not broken and len(changes) < limit:
            if self._rest:
                changes += self._counted(limit - len(changes))
                continue
            happening, self._next = self._next or stream.take(), None
            if happening is None:
                break
            broken = self._take(happening)
        return LogPage(changes, (), self._place.text(), broken)

    async def read_table(self, after: str | None, limit: int) -> TablePage:
        """Read one page in a snapshot whose place in the log the server tells."""
        table = self._looked_at()

        def work(session: Session) -> tuple[Spot, list[SourceRow]]:
            _, spot = _snapshot(session)
            rows = self._page(session, table, after, limit)
            session.rows("COMMIT")
            return spot, rows

        spot, rows = await self._use(work)
        high = self._wanted = place_of(Place(spot).text())
        return TablePage(rows, high, lambda transaction: transaction < high)

    async def release(self, position: str) -> None:
        """Do nothing: the server keeps its log for as long as it is set to, whoever reads it."""

    async def state(self) -> LogState:
        """Say that nothing is kept for this node."""
        return LogState(None)

    async def give_up(self) -> None:
        """Stop reading."""
        await self._end_stream()

    async def close(self) -> None:
        """End the stream and the connection."""
        await self._end_stream()
        self._sessions.close()

    def _take(self, happening: Happening) -> str:
        """Note what happened; returns why the table must be read in full, if so."""
        match happening:
            case Begun():
                self._under_way, self._passed = happening, 0
                if happening.at > self._place.spot:
                    self._place = Place(happening.at, 0, self._place.names)
            case Rows():
                self._take_rows(happening)
            case Statement(text):
                return _ALTERED if self._looked_at().is_named_in(text) else ""
            case Ended(at):
                self._end_transaction(at)
            case Reached(at):
                self._reach(at)
            case Broken(error):
                raise error
        return ""

    def _take_rows(self, happening: Rows) -> None:
        begun = self._under_way
        if begun is None:
            raise SourceError("the source's log has rows outside of a transaction")
        if begun.is_undecided:
            raise SourceError(
                f"{self._mapping.path}: the table is written in XA transactions, which are in the log before"
                " they are decided: capture it by changes or ranges"
            )
        transaction = _spot_text(begun.at)
        for before, after in happening.rows:
            self._rest += [LogChange(row, transaction) for row in self._rows(before, after)]

    def _counted(self, limit: int) -> list[LogChange]:
        """Take of the rows at hand as many as are wanted, but for those taken before the start."""
        taken, self._rest = self._rest[:limit], self._rest[limit:]
        first, self._passed = self._passed, self._passed + len(taken)
        old = 0
        if self._place.spot == self._start.spot:
            old = min(len(taken), max(0, self._start.count - first))
        count = max(self._passed, self._place.count)
        self._place = Place(self._place.spot, count, self._place.names)
        return taken[old:]

    def _end_transaction(self, at: Spot) -> None:
        begun, self._under_way = self._under_way, None
        if at > self._place.spot:
            names = self._place.names if begun is None else {**self._place.names, **read_names(begun.gtid)}
            self._place = Place(at, 0, names)

    def _reach(self, at: Spot) -> None:
        if self._under_way is None and at > self._place.spot:
            self._place = Place(at, 0, self._place.names)

    def _rows(self, before: Row | None, after: Row | None) -> Iterator[SourceRow]:
        table, mapping = self._looked_at(), self._mapping
        gone = None if before is None else self._key(before)
        key = None if after is None else self._key(after)
        if gone is not None and gone != key:
            yield SourceRow(gone, "", (None,) * len(mapping.source_columns()), removed=True)
        if after is not None and key is not None:
            values = tuple(
                value_of(table.kinds[name], _named(after, name)) for name in mapping.source_columns()
            )
            yield SourceRow(key, "", values)

    def _key(self, row: Row) -> str:
        value = value_of(self._looked_at().kinds[self._mapping.key], _named(row, self._mapping.key))
        if value is None:
            raise SourceError(f"{self._mapping.path}: a row of the log has no key")
        return value.hex().upper() if isinstance(value, bytes) else str(value)

    def _page(self, session: Session, table: FollowedTable, after: str | None, limit: int) -> list[SourceRow]:
        key = f"t.{quoted(self._mapping.key)}"
        shown, place = key_pieces(key, table.kinds[self._mapping.key])
        columns = ", ".join([shown, *(f"t.{quoted(name)}" for name in self._mapping.source_columns())])
        where = "" if after is None else f"WHERE {key} > {place} "
        source = qualified(f"{table.schema}.{table.name}")
        sql = f"SELECT {columns} FROM {source} t {where}ORDER BY {key} LIMIT %s"
        rows = session.rows(sql, (limit,) if after is None else (after, limit))
        return [SourceRow(row[0], "", tuple(row[1:])) for row in rows]

    def _looked_at(self) -> FollowedTable:
        if self._table is None:
            raise SourceError("the source's table was not looked at yet")
        return self._table

    def _opened(self) -> BinlogStream:
        if self._stream is None:
            raise SourceError("the stream of the source's log is not open")
        return self._stream

    async def _end_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def _use(self, work: Callable[[Session], T]) -> T:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._sessions.use(work)
        except FAULTS as error:
            raise diagnose(error) from None


def _snapshot(session: Session) -> tuple[str, Spot]:
    """Begin to read as of now; return the log's name without its number, and the place of this moment.

    The server names the place of the last commit. Behind it may lie what is no transaction, such as a
    statement that made or emptied a table: the moment is behind that as well.
    """
    session.rows(_SNAPSHOT)
    found = {str(name).lower(): str(value) for name, value in session.rows(_WHERE)}
    base, last = _spot_of(found.get("binlog_snapshot_file", ""), found.get("binlog_snapshot_position", ""))
    status = session.rows("SHOW MASTER STATUS")
    _, end = _spot_of(str(status[0][0]), str(status[0][1])) if status else (base, last)
    return base, end if last < end and not _has_commits(session, base, last, end) else last


def _has_commits(session: Session, base: str, after: Spot, until: Spot) -> bool:
    """Say whether transactions, or more than can be looked at, lie between two places."""
    if until.file > after.file + 1:
        return True
    seen: list[tuple[Any, ...]] = []
    for file in range(after.file, until.file + 1):
        byte = after.byte if file == after.file else 4
        rows = session.rows(f"SHOW BINLOG EVENTS IN %s FROM {byte} LIMIT {_EVENTS}", (f"{base}.{file:06d}",))
        seen += [row for row in rows if file < until.file or row[1] < until.byte]
    return len(seen) >= _EVENTS or any(row[2] in _COMMITS or row[5] == "COMMIT" for row in seen)


def _spot_of(file: str, byte: str) -> tuple[str, Spot]:
    base, _, number = file.rpartition(".")
    if not base or not number.isdecimal() or not byte.isdecimal():
        raise SourceError("the source doesn't say where in its log a moment lies")
    return base, Spot(int(number), int(byte))


def _names_at(session: Session, base: str, spot: Spot) -> dict[str, str]:
    """Return the global names before a place, none where the log doesn't have it."""
    rows = session.rows("SELECT BINLOG_GTID_POS(%s, %s)", (f"{base}.{spot.file:06d}", spot.byte))
    if not rows or rows[0][0] is None:
        raise LogLost("the source has removed a part of its log that was not read yet")
    return read_names(str(rows[0][0]))


def _spot_text(spot: Spot) -> str:
    return f"{spot.file:010d}/{spot.byte:012d}"


def _named(row: Row, name: str) -> Any:
    if name not in row:
        raise LogLost("the log has rows from a time when the table had other columns")
    return row[name]
