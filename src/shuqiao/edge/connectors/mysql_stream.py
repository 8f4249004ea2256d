"""The binary log of a MariaDB server as a stream of what happened to one table.

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
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.constants import NONE_SOURCE
from pymysqlreplication.event import MariadbGtidEvent, QueryEvent, XAPrepareEvent, XidEvent
from pymysqlreplication.row_event import DeleteRowsEvent, RowsEvent, UpdateRowsEvent, WriteRowsEvent

from shuqiao.edge.connectors import SourceError, Unreadable
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.connectors.log import LogLost
from shuqiao.edge.connectors.mysql import connection_options
from shuqiao.rules.errors import DateImpossible

# The library warns of its own accord in many words; what matters is said by this module.
logging.getLogger("pymysqlreplication").setLevel(logging.CRITICAL)

_HEARTBEAT_S = 1
_QUEUE = 512
_CLOSE_S = 5.0
_PURGED = 1236
_NO_DAYS = (
    NONE_SOURCE.OUT_OF_DATE_RANGE,
    NONE_SOURCE.OUT_OF_DATETIME_RANGE,
    NONE_SOURCE.OUT_OF_DATETIME2_RANGE,
)
_ALONE, _PREPARED = 1, 64
"""Flags of a statement that is a transaction by itself, and of one that is written undecided (XA)."""

Row = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Spot:
    """A place in the log: the file's number and the byte in it."""

    file: int
    byte: int


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

    def __init__(self, url: str, schema: str, table: str, base: str, start: Spot) -> None:
        """Start the thread; must be called with the loop running."""
        self._loop = asyncio.get_running_loop()
        self._readable = asyncio.Event()
        self._queue: queue.Queue[Happening] = queue.Queue(_QUEUE)
        self._ends = threading.Event()
        self._is_alone = False
        self._links: list[pymysql.connections.Connection] = []
        self._twins: list[socket.socket] = []
        self._reader = self._opened(url, schema, table, f"{base}.{start.file:06d}", start.byte)
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

    def _opened(self, url: str, schema: str, table: str, file: str, byte: int) -> BinLogStreamReader:
        number = hashlib.sha256(f"{schema}.{table} {socket.gethostname()}".encode()).digest()
        return BinLogStreamReader(
            connection_settings=connection_options(url),
            # Among the server's followers each needs a number of its own.
            server_id=int.from_bytes(number[:4]) | 0x40000000,
            log_file=file,
            log_pos=byte,
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
            raise SourceError("the source database closed the stream of its log")
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
                    raise SourceError("the source database ended the stream of its log")
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
                start = event.packet.log_pos - event.packet.event_size
                self._is_alone = bool(event.flags & _ALONE)
                self._put(Begun(self._spot(start), event.gtid, bool(event.flags & _PREPARED)))
            case RowsEvent():
                self._put(Rows(tuple(_sides(event, row) for row in event.rows)))
            case XidEvent() | XAPrepareEvent():
                self._put(Ended(self._spot(event.packet.log_pos)))
            case QueryEvent():
                is_end = event.query in ("COMMIT", "ROLLBACK")
                if not is_end and event.query != "BEGIN":
                    self._put(Statement(event.query))
                if is_end or self._is_alone:
                    self._put(Ended(self._spot(event.packet.log_pos)))
            case _:
                self._put(Reached(self._spot(self._reader.log_pos)))

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
    raise SourceError("the source's log has rows of an unknown kind")


def _values(row: Mapping[str, Any], side: str = "") -> Row:
    """Return a row's values; of a day such as 0000-00-00 the library makes nothing, as if it were empty."""
    values: Row = row[f"{side}values"]
    odd = {name for name, source in row[f"{side}none_sources"].items() if source in _NO_DAYS}
    if not odd:
        return values
    return {name: Unreadable(DateImpossible.code) if name in odd else one for name, one in values.items()}


def _said(error: Exception) -> Exception:
    if isinstance(error, SourceError):
        return error
    if error.args and error.args[0] == _PURGED:
        return LogLost("the source has removed a part of its log that was not read yet")
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
