"""A logical replication stream of a PostgreSQL server, over libpq as psycopg wraps it.

The server pushes what is committed, so nothing is polled and no transaction is decoded twice, which the SQL
functions on a slot would do at each call. libpq holds what has come and was not taken; beyond that the server
waits, and spills large transactions to its own disk.
"""

from __future__ import annotations

import asyncio
import struct
import time
from contextlib import suppress
from typing import NoReturn

import psycopg
from psycopg import conninfo, pq

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.log import LogLost
from shuqiao.edge.connectors.pgoutput import MalformedMessage
from shuqiao.edge.words import Words

_SETTINGS = "-c DateStyle=ISO -c TimeZone=UTC -c IntervalStyle=postgres -c extra_float_digits=1"
_CONNECT_S = 10
_REPORT_S = 5.0
_EPOCH_S = 946_684_800
"""PostgreSQL counts microseconds from the year 2000 on."""

_OWN_FAULT = "XX"
"""Internal errors: the server would fail at this place of its log again and again."""

_CLOSED = Words("来源数据库关闭了日志流", "the source database closed the stream of its log")
_AWAY = Words("连不上来源数据库的日志", "the source database can't be reached for its log")

_DATA = struct.Struct(">QQq")
_ALIVE = struct.Struct(">QqB")
_REPORT = struct.Struct(">cQQQqB")


class StreamBroken(SourceError):
    """The stream ended; it is opened again where the position says."""


def session_url(url: str, **more: str) -> str:
    """Return the connection text for a session in which values are written as the stream writes them."""
    given = conninfo.conninfo_to_dict(url)
    options = f"{given.pop('options', '')} {_SETTINGS}".strip()
    given |= {"connect_timeout": _CONNECT_S, "client_encoding": "UTF8", "application_name": "shuqiao-node"}
    return conninfo.make_conninfo("", **(given | {"options": options} | more))


class StreamRefused(SourceError):
    """The server would not start the stream; `state` is its code."""

    def __init__(self, state: str) -> None:
        """Keep the code."""
        super().__init__(
            Words(
                f"来源数据库不开放日志流：{state}",
                f"the source database refuses the stream of its log: {state}",
            )
        )
        self.state = state


class WalStream:
    """One running stream. Use `open_stream`; `sent` is how far the server has decoded the log.

    Reports go out by themselves, so that a reader who pauses is not taken for a dead one.
    """

    def __init__(self, link: pq.abc.PGconn, start: int) -> None:
        """Take over a connection in copy mode; must be called with the loop running."""
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._readable = asyncio.Event()
        self._confirmed = start
        self.sent = start
        self._socket = link.socket
        self._loop.add_reader(self._socket, self._on_readable)
        self._reporting = self._loop.create_task(self._report_on())

    def take(self) -> bytes | None:
        """Return the next message of the plugin if it is here already."""
        while True:
            length, data = self._copied()
            if length == 0:
                self.gather()
                length, data = self._copied()
            if length == 0:
                return None
            if length < 0:
                self._raise_end()
            message = bytes(data)
            if message[:1] == b"w" and len(message) > _DATA.size:
                return message[1 + _DATA.size :]
            self._note_alive(message)

    async def wait(self, timeout_s: float) -> bool:
        """Wait until more may be here; returns False when the time is over."""
        if not self._readable.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._readable.wait()
            except TimeoutError:
                return False
        self._readable.clear()
        self.gather()
        self._loop.add_reader(self._socket, self._on_readable)
        return True

    def gather(self) -> None:
        """Take in what has come meanwhile, without waiting: libpq reads a few kilobytes at a time."""
        try:
            self._link.consume_input()
        except psycopg.Error:
            raise StreamBroken(_CLOSED) from None

    def ask(self) -> None:
        """Ask the server how far it has come; the answer shows in `sent`."""
        self._report(answer=True)

    def confirm(self, place: int) -> None:
        """Tell the server that it may forget the log up to here."""
        if place > self._confirmed:
            self._confirmed = place
            self._report()

    async def close(self) -> None:
        """End the stream; the slot is free for the next one as soon as the server notices."""
        self._reporting.cancel()
        await asyncio.gather(self._reporting, return_exceptions=True)
        self._loop.remove_reader(self._socket)
        self._link.finish()

    def _on_readable(self) -> None:
        # Watched again only after the input was taken, or the loop would spin while a reader pauses.
        self._loop.remove_reader(self._socket)
        self._readable.set()

    def _copied(self) -> tuple[int, memoryview | bytes]:
        try:
            return self._link.get_copy_data(1)
        except psycopg.Error:
            self._raise_end()

    def _note_alive(self, message: bytes) -> None:
        if message[:1] != b"k" or len(message) != 1 + _ALIVE.size:
            raise MalformedMessage("a message of the stream of an unknown kind")
        place, _, wants_answer = _ALIVE.unpack_from(message, 1)
        self.sent = max(self.sent, place)
        if wants_answer:
            self._report()

    def _report(self, *, answer: bool = False) -> None:
        now = int((time.time() - _EPOCH_S) * 1_000_000)
        place = self._confirmed
        try:
            self._link.put_copy_data(_REPORT.pack(b"r", place, place, place, now, answer))
            self._link.flush()
        except psycopg.Error:
            raise StreamBroken(_CLOSED) from None

    async def _report_on(self) -> None:
        with suppress(StreamBroken):
            while True:
                await asyncio.sleep(_REPORT_S)
                self._report()

    def _raise_end(self) -> NoReturn:
        state = ""
        with suppress(psycopg.Error):
            result = self._link.get_result()
            if result is not None:
                state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode("ascii", "replace")
        if state.startswith(_OWN_FAULT):
            raise LogLost(Words("来源数据库读不出自己的日志", "the source database can't read its own log"))
        raise StreamBroken(
            Words(
                f"来源数据库结束了日志流 {state}".strip(),
                f"the source database ended the stream of its log {state}".strip(),
            )
        )


async def open_stream(url: str, slot: str, publication: str, start: int) -> WalStream:
    """Start reading a slot behind a place in the log; raises SourceError."""
    try:
        link = await asyncio.to_thread(_connect, url, _command(slot, publication, start))
    except psycopg.Error:
        raise StreamBroken(_AWAY) from None
    return WalStream(link, start)


def _command(slot: str, publication: str, start: int) -> bytes:
    place = f"{start >> 32:X}/{start & 0xFFFFFFFF:X}"
    name = publication.replace('"', '""').replace("'", "''")
    options = f"proto_version '1', publication_names '\"{name}\"'"
    return f'START_REPLICATION SLOT "{slot}" LOGICAL {place} ({options})'.encode()


def _connect(url: str, command: bytes) -> pq.abc.PGconn:
    link = pq.PGconn.connect(session_url(url, replication="database").encode())
    if link.status != pq.ConnStatus.OK:
        link.finish()
        raise StreamBroken(_AWAY)
    result = link.exec_(command)
    if result.status != pq.ExecStatus.COPY_BOTH:
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode("ascii", "replace")
        link.finish()
        raise StreamRefused(state)
    link.nonblocking = 1
    return link
