"""The log of one table of MySQL or MariaDB, and pages of the table as they stood.

What the two servers differ in is `mysql_gtid` and `mysql_mariadb`: how a place in the log is known again, and
what a page shows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.connectors.log import LogChange, LogLost, LogPage, LogState, TablePage, place_of
from shuqiao.edge.connectors.mysql import FAULTS, Session, connect, key_pieces, qualified, quoted
from shuqiao.edge.connectors.mysql_gtid import MysqlServer
from shuqiao.edge.connectors.mysql_mariadb import MariadbServer
from shuqiao.edge.connectors.mysql_places import Place, Server, Spot, Start, high_of
from shuqiao.edge.connectors.mysql_setup import FollowedTable, is_mariadb, value_of
from shuqiao.edge.connectors.mysql_stream import (
    Begun,
    BinlogStream,
    Broken,
    Ended,
    Happening,
    Reached,
    Row,
    Rows,
    Statement,
)
from shuqiao.edge.connectors.threads import Connections
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

_TIMEOUT_S = 60.0
_ALTERED = Words("来源更改或清空了这张表", "the table was altered or emptied at the source")
_UNDECIDED = Words(
    "该表以XA事务写入，日志在其决定之前就已记录：请按changes或ranges采集",
    "the table is written in XA transactions, which are in the log before they are decided: capture it by"
    " changes or ranges",
)

T = TypeVar("T")


@dataclass
class _Followed:
    """What reading was resumed with, and how far it has come."""

    server: Server
    start: Start
    place: Place


class MysqlLog:
    """Follows one table; one task uses it at a time."""

    def __init__(self, url: str, mapping: TableMapping) -> None:
        """Remember where; nothing is opened yet."""
        self._url = url
        self._mapping = mapping
        self._sessions: Connections[Session] = Connections(lambda: _opened(url), 1)
        self._at: _Followed | None = None
        self._stream: BinlogStream | None = None
        self._under_way: Begun | None = None
        self._next: Happening | None = None
        self._rest: list[LogChange] = []
        self._wanted = ""
        self._passed = 0

    async def begin(self) -> str:
        """Look at the server and return a place from which on no change is missed."""
        await self._end_stream()
        place = await self._use(lambda session: _server_of(session).begin(session, self._mapping))
        return place.text()

    async def resume(self, position: str) -> None:
        """Open the stream where the log still has what is needed and is the same one."""
        await self._end_stream()

        def work(session: Session) -> tuple[Server, Start]:
            server = _server_of(session)
            return server, server.resume(session, self._mapping, position)

        server, start = await self._use(work)
        self._at = _Followed(server, start, start.place)
        self._under_way, self._next, self._rest = None, None, []
        self._stream = BinlogStream(self._url, start)

    async def ready(self, timeout_s: float) -> bool:
        """Wait for the stream."""
        stream = self._opened()
        until = time.monotonic() + timeout_s
        while not self._rest and self._next is None:
            self._next = stream.take()
            if isinstance(self._next, Reached):
                self._reach(self._next.at)
                self._next = None
                if self._wanted and place_of(self._followed().place.text()) >= self._wanted:
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
        return LogPage(changes, (), self._followed().place.text(), broken)

    async def read_table(self, after: str | None, limit: int) -> TablePage:
        """Read one page of which it is known what it shows."""
        followed = self._followed()
        server, table, place = followed.server, followed.start.table, followed.place

        def work(session: Session) -> tuple[Spot, list[SourceRow]]:
            return server.page(session, place, lambda: self._page(session, table, after, limit))

        spot, rows = await self._use(work)
        high = self._wanted = high_of(spot)
        return TablePage(rows, high, lambda transaction: server.sees(transaction, spot))

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
                if happening.at > self._followed().place.spot:
                    self._move(happening.at)
            case Rows():
                self._take_rows(happening)
            case Statement(text):
                return str(_ALTERED) if self._table.is_named_in(text) else ""
            case Ended(at):
                self._end_transaction(at)
            case Reached(at):
                self._reach(at)
            case Broken(error):
                raise error
        return ""

    def _take_rows(self, happening: Rows) -> None:
        begun = self._begun()
        if begun.is_undecided:
            raise SourceError(f"{self._mapping.path}: {_UNDECIDED}")
        for before, after in happening.rows:
            self._rest += [LogChange(row, begun.at.text()) for row in self._rows(before, after)]

    def _begun(self) -> Begun:
        if self._under_way is None:
            raise SourceError(
                Words("来源的日志有不在事务中的行", "the source's log has rows outside of a transaction")
            )
        return self._under_way

    def _counted(self, limit: int) -> list[LogChange]:
        """Take of the rows at hand as many as are wanted, but for those taken before the start."""
        followed, begun = self._followed(), self._begun()
        taken, self._rest = self._rest[:limit], self._rest[limit:]
        first, self._passed = self._passed, self._passed + len(taken)
        start, place = followed.start.place, followed.place
        taken_before = start.count if start.begun == begun.gtid else 0
        count = max(self._passed, taken_before)
        followed.place = Place(place.spot, place.names, count, begun.gtid)
        return taken[max(0, min(len(taken), taken_before - first)) :]

    def _end_transaction(self, at: Spot) -> None:
        begun, self._under_way = self._under_way, None
        followed = self._followed()
        if begun is not None:
            followed.place = Place(followed.place.spot, followed.place.names.with_(begun.gtid))
        self._reach(at)

    def _reach(self, at: Spot) -> None:
        if self._under_way is None and at > self._followed().place.spot:
            self._move(at)

    def _move(self, at: Spot) -> None:
        followed = self._followed()
        followed.place = Place(at, followed.place.names)

    def _rows(self, before: Row | None, after: Row | None) -> Iterator[SourceRow]:
        table, mapping = self._table, self._mapping
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
        value = value_of(self._table.kinds[self._mapping.key], _named(row, self._mapping.key))
        if value is None:
            said = Words("日志中有一行没有键", "a row of the log has no key")
            raise SourceError(f"{self._mapping.path}: {said}")
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

    def _followed(self) -> _Followed:
        if self._at is None:
            raise SourceError(Words("尚未查看来源的表", "the source's table was not looked at yet"))
        return self._at

    @property
    def _table(self) -> FollowedTable:
        return self._followed().start.table

    def _opened(self) -> BinlogStream:
        if self._stream is None:
            raise SourceError(Words("来源日志的读取尚未开始", "the stream of the source's log is not open"))
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


def _opened(url: str) -> Session:
    session = connect(url)
    try:
        # What a page shows is then one moment, whatever the server's own setting.
        session.rows("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    except BaseException:
        session.close()
        raise
    return session


def _server_of(session: Session) -> Server:
    return MariadbServer() if is_mariadb(session) else MysqlServer()


def _named(row: Row, name: str) -> Any:
    if name not in row:
        raise LogLost(
            Words(
                "日志中有表还是别的列时的行", "the log has rows from a time when the table had other columns"
            )
        )
    return row[name]
