"""The binary log of a MySQL or MariaDB server as a stream of what happened to one table.

A thread of its own reads, since the library blocks; it stops reading while what it has read is not taken.
What it hands over is small: where a transaction begins and ends, its rows, and statements that are no rows.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import queue
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.constants import NONE_SOURCE
from pymysqlreplication.event import (
    GtidEvent,
    MariadbGtidEvent,
    NotImplementedEvent,
    QueryEvent,
    XAPrepareEvent,
    XidEvent,
)
from pymysqlreplication.row_event import (
    DeleteRowsEvent,
    PartialUpdateRowsEvent,
    RowsEvent,
    TableMapEvent,
    UpdateRowsEvent,
    WriteRowsEvent,
)

from shuqiao.edge.connectors import SourceError, Unreadable
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.connectors.log import LogLost
from shuqiao.edge.connectors.mysql import base_of, connection_options
from shuqiao.edge.connectors.mysql_places import PURGED, Spot, Start
from shuqiao.edge.connectors.mysql_setup import CODES, FollowedTable, members
from shuqiao.edge.words import Words
from shuqiao.rules.errors import DateImpossible

# The library warns of its own accord in many words; what matters is said by this module.
logging.getLogger("pymysqlreplication").setLevel(logging.CRITICAL)

_HEARTBEAT_S = 1
_QUEUE = 512
_CLOSE_S = 5.0
_PURGED = 1236
_NOBODY = "00000000-0000-0000-0000-000000000001:1"
_PARTIAL = Words(
    "来源的日志只记录JSON的局部，节点不能读取：请管理员清空 binlog_row_value_options",
    "the source's log has parts of JSON alone, which the node can't read: have its administrator empty"
    " binlog_row_value_options",
)
_UNREAD: Mapping[int, Words] = {
    34: Words(
        "来源的日志含有没有GTID的事务，请管理员设置 gtid_mode = ON",
        "the source's log has transactions without a GTID: have its administrator set gtid_mode = ON",
    ),
    40: Words(
        "来源的日志是压缩的，节点不能读取：请管理员设置 binlog_transaction_compression = OFF",
        "the source's log is compressed, which the node can't read: have its administrator set"
        " binlog_transaction_compression = OFF",
    ),
    **dict.fromkeys(
        range(165, 172),
        Words(
            "来源的日志是压缩的，节点不能读取：请管理员设置 log_bin_compress = OFF",
            "the source's log is compressed, which the node can't read: have its administrator set"
            " log_bin_compress = OFF",
        ),
    ),
    42: Words(
        "来源的日志含有带标签的GTID，节点不能读取：请在此按changes或ranges采集",
        "the source's log has transactions with tagged GTIDs, which the node can't read:"
        " capture by changes or ranges here",
    ),
}
"""Events that can't be passed over. Source: MySQL's binlog_event.h and MariaDB's log_event.h."""

_INCIDENT = 26
_GAP = Words(
    "来源自述其日志有缺失",
    "the source says itself that something is missing in its log",
)

_NO_DAYS = (
    NONE_SOURCE.OUT_OF_DATE_RANGE,
    NONE_SOURCE.OUT_OF_DATETIME_RANGE,
    NONE_SOURCE.OUT_OF_DATETIME2_RANGE,
)
_ALONE, _PREPARED = 1, 64
"""Flags of a statement that is a transaction by itself, and of one that is written undecided (XA)."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Begun:
    """A transaction begins; `gtid` is its global name."""

    at: Spot
    gtid: str
    is_undecided: bool


@dataclass(frozen=True)
class Rows:
    """Rows of the table: before and after; None where there was or is none."""

    rows: tuple[tuple[Row | None, Row | None], ...]


@dataclass(frozen=True)
class Ended:
    """Everything up to here is complete."""

    at: Spot


@dataclass(frozen=True)
class Reached:
    """Reading has come so far; it may be in the midst of a transaction."""

    at: Spot


@dataclass(frozen=True)
class Statement:
    """A statement that is in the log as it was written, such as one that alters a table."""

    text: str


@dataclass(frozen=True)
class Broken:
    """Reading has ended."""

    error: Exception


Happening = Begun | Rows | Ended | Reached | Statement | Broken


class BinlogStream:
    """One running stream from a place in the log. Use `close` in the end."""

    def __init__(self, url: str, start: Start) -> None:
        """Start the thread; must be called with the loop running."""
        self._loop = asyncio.get_running_loop()
        self._readable = asyncio.Event()
        self._queue: queue.Queue[Happening] = queue.Queue(_QUEUE)
        self._ends = threading.Event()
        self._table = start.table
        self._is_alone = False
        self._named: tuple[Spot, str] | None = None
        self._links: list[pymysql.connections.Connection] = []
        self._twins: list[socket.socket] = []
        self._reader = self._opened(url, start)
        self._thread = threading.Thread(target=self._run, name="binlog", daemon=True)
        self._thread.start()

    def take(self) -> Happening | None:
        """Return what happened next if it is here already."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None

    async def wait(self, timeout_s: float) -> bool:
        """Wait until more may be here; returns False when the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._readable.wait()
        except TimeoutError:
            return False
        self._readable.clear()
        return True

    async def close(self) -> None:
        """End the thread and its connections."""
        self._ends.set()
        for twin in self._twins:
            # The thread waits in this connection; to close it properly would be to wait as well.
            with suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)
        await asyncio.to_thread(self._thread.join, _CLOSE_S)

    def _opened(self, url: str, start: Start) -> BinLogStreamReader:
        schema, table = start.table.schema, start.table.name
        number = hashlib.sha256(f"{schema}.{table} {socket.gethostname()}".encode()).digest()
        return BinLogStreamReader(
            connection_settings=connection_options(url),
            # Among the server's followers each needs a number of its own.
            server_id=int.from_bytes(number[:4]) | 0x40000000,
            log_file=start.file,
            log_pos=start.place.spot.byte,
            # An empty set is none to the library, so a name stands in it that no server gives.
            auto_position=None if start.executed is None else start.executed or _NOBODY,
            resume_stream=True,
            blocking=True,
            filter_non_implemented_events=False,
            only_schemas=[schema],
            only_tables=[table],
            slave_heartbeat=_HEARTBEAT_S,
            enable_logging=False,
            pymysql_wrapper=self._connect,
        )

    def _connect(self, **options: Any) -> pymysql.connections.Connection:
        """Connect once for the log and once for questions; the library would go on in mid-transaction."""
        if len(self._links) >= 2:
            raise SourceError(
                Words("来源数据库关闭了日志的连接", "the source database closed the stream of its log")
            )
        link = pymysql.connect(**options, defer_connect=True)
        wire = _connected(options)
        # The driver's own may go behind TLS; what ends this one ends the connection all the same.
        self._twins.append(wire.dup())
        self._links.append(link)
        link.connect(wire)
        return link

    def _run(self) -> None:
        try:
            while not self._ends.is_set():
                event = self._reader.fetchone()
                if event is None:
                    raise SourceError(
                        Words("来源数据库结束了日志的发送", "the source database ended the stream of its log")
                    )
                self._tell(event)
        # The boundary of the thread: whatever it is, the loop hears of it, by its class alone.
        except Exception as error:
            self._put(Broken(_said(error)))
        finally:
            for link in self._links:
                with suppress(Exception):
                    link.close()
            for twin in self._twins:
                twin.close()

    def _tell(self, event: Any) -> None:
        match event:
            case MariadbGtidEvent():
                self._is_alone = bool(event.flags & _ALONE)
                self._put(Begun(self._start_of(event), event.gtid, bool(event.flags & _PREPARED)))
            case GtidEvent():
                self._named = (self._start_of(event), event.gtid)
            case TableMapEvent():
                describe(event.columns, self._table)
            case PartialUpdateRowsEvent():
                raise SourceError(_PARTIAL)
            case RowsEvent():
                self._put(Rows(tuple(_sides(event, row) for row in event.rows)))
            case XidEvent() | XAPrepareEvent():
                self._put(Ended(self._spot(event.packet.log_pos)))
            case QueryEvent():
                self._tell_statement(event.query, self._spot(event.packet.log_pos))
            case NotImplementedEvent() if event.event_type == _INCIDENT:
                raise LogLost(_GAP)
            case NotImplementedEvent() if event.event_type in _UNREAD:
                raise SourceError(_UNREAD[event.event_type])
            case _:
                self._put(Reached(self._spot(self._reader.log_pos)))

    def _tell_statement(self, query: str, end: Spot) -> None:
        """Tell a statement; in MySQL the first one behind a transaction's name says what begins with it."""
        if self._named is not None:
            (at, gtid), self._named = self._named, None
            is_undecided = query.startswith("XA START")
            self._is_alone = query != "BEGIN" and not is_undecided
            self._put(Begun(at, gtid, is_undecided))
        is_end = query in ("COMMIT", "ROLLBACK")
        if not is_end and query != "BEGIN":
            self._put(Statement(query))
        if is_end or self._is_alone:
            self._put(Ended(end))

    def _start_of(self, event: Any) -> Spot:
        return self._spot(event.packet.log_pos - event.packet.event_size)

    def _spot(self, byte: int) -> Spot:
        return Spot(int(self._reader.log_file.rpartition(".")[2]), byte)

    def _put(self, happening: Happening) -> None:
        while not self._ends.is_set():
            try:
                self._queue.put(happening, timeout=0.2)
            except queue.Full:
                continue
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._readable.set)
            return


def _sides(event: RowsEvent, row: Mapping[str, Any]) -> tuple[Row | None, Row | None]:
    match event:
        case UpdateRowsEvent():
            return _values(row, "before_"), _values(row, "after_")
        case DeleteRowsEvent():
            return _values(row), None
        case WriteRowsEvent():
            return None, _values(row)
    raise SourceError(Words("来源的日志有未知种类的行", "the source's log has rows of an unknown kind"))


def _values(row: Mapping[str, Any], side: str = "") -> Row:
    """Return a row's values; of a day such as 0000-00-00 the library makes nothing, as if it were empty."""
    values: Row = row[f"{side}values"]
    meant = {
        name: _meant(source)
        for name, source in row[f"{side}none_sources"].items()
        if source != NONE_SOURCE.NULL
    }
    return {**values, **meant} if meant else values


def _meant(source: str) -> Any:
    """Return what stands for a value of which the library makes nothing."""
    if source in _NO_DAYS:
        return Unreadable(DateImpossible.code)
    if source == NONE_SOURCE.EMPTY_SET:
        return ""
    raise LogLost(
        Words(
            "日志中的行不完整：写入者更改了会话的binlog_row_image",
            "rows of the log are not whole: a session that wrote them has changed binlog_row_image",
        )
    )


def describe(columns: Sequence[Any], table: FollowedTable) -> None:
    """Say of a log's columns what the log itself doesn't; raises SourceError where they are others."""
    if table.is_named or all(one.name for one in columns):
        return
    if len(columns) != len(table.columns) or any(
        told.type not in CODES.get(base_of(known.kind), (told.type,))
        for told, known in zip(columns, table.columns, strict=True)
    ):
        raise SourceError(
            Words(
                "日志中该表的列与数据库所述不同，请重新装载或按changes或ranges采集",
                "the log has other columns of the table than the database describes: load it again, or"
                " capture by changes or ranges",
            )
        )
    for told, known in zip(columns, table.columns, strict=True):
        told.name, told.unsigned, told.character_set_name = known.name, known.is_unsigned, known.charset
        told.enum_values, told.set_values = ["", *members(known.kind)], members(known.kind)


def _said(error: Exception) -> Exception:
    if isinstance(error, SourceError):
        return error
    if error.args and error.args[0] == _PURGED:
        return LogLost(PURGED)
    return diagnose(error)


def _connected(options: Mapping[str, Any]) -> socket.socket:
    """Return a connection to the server by the driver's own settings."""
    if options.get("unix_socket"):
        wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        wire.settimeout(options["connect_timeout"])
        try:
            wire.connect(options["unix_socket"])
        except BaseException:
            wire.close()
            raise
        return wire
    wire = socket.create_connection((options["host"], options["port"]), options["connect_timeout"])
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return wire
