"""HTTP/1.1 for the plane: one request at a time on a connection, everything bounded, no task per request.

The grammar is llhttp's (httptools), without its leniencies; the bounds are here. What a request means is the
handler's business. A request that is sent before the last one is answered is dropped and the connection
closed after the answer; so is what is left of a body that nobody reads.

Source: our choice, decision 9
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol, cast

import httptools

from shuqiao.plane.answers import Reply, Streamed
from shuqiao.plane.settings import BODY_TIMEOUT_S, MAX_BODY_BYTES
from shuqiao.rules.errors import CallError, RequestMalformed, RequestTimeout, Unavailable
from shuqiao.rules.pace import Pace

log = logging.getLogger("shuqiao.plane")

MAX_HEAD_BYTES = 16 * 1024
MAX_HEADERS = 64
HEAD_TIMEOUT_S = 10
IDLE_TIMEOUT_S = 60
ANSWER_TIMEOUT_S = 60
SEND_TIMEOUT_S = 10
PACE = Pace(patience_s=SEND_TIMEOUT_S, least_bytes_per_s=64 * 1024, most_s=3600)
"""What a reader of a streamed answer owes: a download has its place among few."""

LINGER_S = 5
_VERSIONS = ("1.1", "1.0")
_START_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class Request:
    """The head of a request, and the way back for its one answer."""

    __slots__ = ("_connection", "headers", "method", "pairs", "path", "query", "started_s")

    def __init__(
        self, connection: Connection, method: bytes, target: bytes, pairs: list[tuple[str, str]]
    ) -> None:
        """Split the target; header names are in lower case. `pairs` has every line, `headers` the last."""
        self._connection = connection
        self.method = method.decode("latin-1")
        self.path, _, self.query = target.decode("latin-1").partition("?")
        self.pairs = pairs
        self.headers = dict(pairs)
        self.started_s = time.perf_counter()

    def answer(self, reply: Reply | Streamed) -> bool:
        """Send the answer; false when there was one already, or nobody is there to take it."""
        return self._connection.answer(self, reply)


class BodyReader(Protocol):
    """Who waits for the body of a request, and answers the request now or later."""

    def arrived(self, body: bytes) -> None:
        """Take the whole body."""

    def broken(self, error: CallError) -> None:
        """Learn that the body did not come in time or in full."""


class Handler(Protocol):
    """What the server serves."""

    def opened(self, request: Request) -> BodyReader | None:
        """Look at a head before its body is read; None if the request needs no body or is turned away."""

    def refused(self, error: CallError) -> Reply:
        """Word the answer to what is no request."""


class _Unacceptable(Exception):
    """The bytes are HTTP, but not within the bounds."""


class Books(Protocol):
    """What a connection needs of the server: the handler, the time of the last tick, and a place."""

    handler: Handler
    now_s: float
    date: str
    is_stopping: bool

    def enter(self, connection: Connection) -> bool:
        """Note a connection; false when there are too many."""

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""


class Connection(asyncio.Protocol):
    """One connection. `_deadline` is when the present state has lasted too long.

    `_is_whole` says that nothing more of the request is read: it came in full, or its rest is dropped.
    `_is_last` says that the connection ends with the answer; `_is_clogged`, that the peer leaves too many
    answers unread.
    """

    def __init__(self, server: Books) -> None:
        """Belong to a server; nothing is known of the peer yet."""
        self._server = server
        self._handler = server.handler
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._deadline = server.now_s + HEAD_TIMEOUT_S
        self._is_feeding = self._is_last = self._is_closing = self._is_clogged = False
        self._pouring: asyncio.Task[None] | None = None
        self._drained = asyncio.Event()
        self._drained.set()
        self._reset()

    def _reset(self) -> None:
        self._request: Request | None = None
        self._reader: BodyReader | None = None
        self._reply: Reply | Streamed | None = None
        self._is_whole = False
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._head_bytes = self._body_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter the server's books, or be hung up on."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._server.enter(self):
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Leave; a late answer finds nobody."""
        self._transport = None
        if self._pouring is not None:
            self._pouring.cancel()
        self._server.leave(self)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes after the end, or before it is its turn, is dropped."""
        if self._is_closing:
            return
        if self._is_whole:
            self._is_last = True
            return
        if self._request is None:
            if not self._head_bytes:
                self._deadline = self._server.now_s + HEAD_TIMEOUT_S
            self._head_bytes += len(data)
        self._is_feeding = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._faulty(error)
        else:
            # A name or value that goes on and on reaches no callback.
            if self._request is None and self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(RequestMalformed(part="headers"))
        self._is_feeding = False
        if self._reply is not None:
            self._send(self._reply)

    def _faulty(self, error: httptools.HttpParserError) -> None:
        cause = error.__context__
        if isinstance(error, httptools.HttpParserCallbackError) and not isinstance(cause, _Unacceptable):
            self._fail(cause)
        elif self._is_clogged and self._request is None:
            self.cut()
        elif self._is_closing or self._is_whole:
            # The fault is in what follows a request that is answered, or will be.
            self._is_last = True
        elif self._request is not None:
            self._cut_short(RequestMalformed(part="body"))
        else:
            self._refuse(RequestMalformed(part="headers"))

    def on_message_begin(self) -> None:
        """Begin a request, unless another is under way or answers pile up: the parser stops here."""
        if self._is_whole or self._is_closing or self._is_clogged:
            raise _Unacceptable

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((_name_of(name), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Let the handler look at the head."""
        pairs, target = self._headers, self._target
        request = Request(self, self._parser.get_method(), target, pairs)
        is_single = len(request.headers) == len(pairs) or [name for name, _ in pairs].count("host") == 1
        if (
            len(pairs) > MAX_HEADERS
            or "host" not in request.headers
            or not is_single
            or self._parser.get_http_version() not in _VERSIONS
            or (not 0 < self._head_bytes <= MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES)
            or target[:1] != b"/"
            or self._parser.should_upgrade()
        ):
            raise _Unacceptable
        if not self._parser.should_keep_alive():
            self._is_last = True
        self._request = request
        self._deadline = self._server.now_s + BODY_TIMEOUT_S
        self._reader = self._handler.opened(request)
        if "expect" in request.headers and self._reader is not None and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _head_size(self) -> int:
        # What was received may hold a part of the body too, or have begun with the end of another request.
        return len(self._target) + sum([len(name) + len(value) for name, value in self._headers])

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body if somebody wants it."""
        self._body_bytes += len(data)
        if self._body_bytes > MAX_BODY_BYTES:
            raise _Unacceptable
        if self._reader is not None:
            self._body.append(data)

    def on_message_complete(self) -> None:
        """Hand the body over."""
        self._is_whole = True
        self._deadline = self._server.now_s + ANSWER_TIMEOUT_S
        if self._reply is not None:
            self._send(self._reply)
        elif self._reader is not None:
            body = self._body
            self._reader.arrived(body[0] if len(body) == 1 else b"".join(body))

    def eof_received(self) -> bool:
        """Keep half a connection open for the answer that is due on it."""
        if self._request is None or self._is_closing:
            return False
        if self._transport is not None and not self._transport.can_write_eof():
            # Under TLS whoever says goodbye takes no answer.
            self.cut()
            return False
        if not self._is_whole:
            self._cut_short(RequestMalformed(part="content-length"))
        self._is_last = True
        return True

    def _cut_short(self, error: CallError) -> None:
        """Read no more of a request whose body will not come in full."""
        self._is_whole = self._is_last = True
        self._deadline = self._server.now_s + ANSWER_TIMEOUT_S
        if self._reply is None and self._reader is not None:
            try:
                self._reader.broken(error)
            except Exception as fault:
                self._fail(fault)

    def _fail(self, fault: BaseException | None) -> None:
        """The boundary of a request: whatever went wrong, it gets an answer and the others go on."""
        log.error("request_failed", exc_info=fault)
        self._is_last = True
        self._send(self._handler.refused(Unavailable()))

    def _refuse(self, error: CallError) -> None:
        """Answer what is no request."""
        self._send(self._handler.refused(error))

    def answer(self, request: Request, reply: Reply | Streamed) -> bool:
        """Answer the request under way; false when this is not it, or it has an answer."""
        if request is not self._request or self._reply is not None or self._pouring is not None:
            return False
        if self._is_feeding and not self._is_whole:
            # Whether the connection can go on is known when all that was received is read.
            self._reply = reply
        else:
            self._send(reply)
        return True

    def _send(self, reply: Reply | Streamed) -> None:
        if isinstance(reply, Streamed):
            if self._pouring is None:
                self._pouring = asyncio.get_running_loop().create_task(self._pour(reply))
            return
        transport = self._transport
        is_last = self._is_last or not self._is_whole or self._server.is_stopping
        self._reset()
        if transport is None or transport.is_closing():
            return
        transport.write(_wire_form(reply, self._server.date, is_last=is_last))
        self._sent(transport, is_last=is_last)

    def _sent(self, transport: asyncio.Transport, *, is_last: bool) -> None:
        if is_last:
            # Closing at once could destroy the answer on its way; the peer may say goodbye first.
            self._is_closing = True
            self._deadline = self._server.now_s + LINGER_S
            if transport.can_write_eof():
                transport.write_eof()
            else:
                # TLS says goodbye after the answer by itself, and drops what still comes.
                transport.close()
        elif not self._is_clogged:
            self._deadline = self._server.now_s + IDLE_TIMEOUT_S

    async def _pour(self, reply: Streamed) -> None:
        """Send an answer piece by piece, as fast as the peer takes it: one piece waits here at most.

        A request that comes meanwhile is dropped and the connection closed after the answer, as ever. A body
        that can't be sent to its end is cut, so that nobody takes it for whole.
        """
        is_last = self._is_last or not self._is_whole or self._server.is_stopping
        left, began_s, waited_s = reply.size_bytes, time.monotonic(), 0.0
        try:
            head = _head(reply.status, reply.headers, left, self._server.date, is_last=is_last)
            if self._transport is not None:
                self._transport.write(head)
            async for piece in reply.pieces:
                waited_s += await self._wait_to_drain(reply.size_bytes - left, waited_s, began_s)
                if self._transport is None:
                    return
                self._transport.write(piece)
                left -= len(piece)
                if not self._is_clogged:
                    self._deadline = self._server.now_s + ANSWER_TIMEOUT_S
        except TimeoutError:
            log.info("stream_too_slow")
        except Exception:
            # The boundary of a request: its peer is cut off, and the others go on.
            log.exception("stream_failed")
        finally:
            # What the pieces come from, and their place, are let go now and not when they are collected.
            if isinstance(reply.pieces, AsyncGenerator):
                await reply.pieces.aclose()
        transport, is_last = self._transport, is_last or self._is_last
        if transport is None or left != 0:
            self.cut()
            return
        self._pouring = None
        self._reset()
        self._sent(transport, is_last=is_last)

    async def _wait_to_drain(self, sent_bytes: int, waited_s: float, began_s: float) -> float:
        """Wait until the peer has taken what was sent, and say for how long; raises TimeoutError."""
        asked_s = time.monotonic()
        left_s = PACE.left_s(sent_bytes, waited_s, asked_s - began_s)
        if left_s <= 0:
            raise TimeoutError
        if self._drained.is_set():
            return 0.0
        async with asyncio.timeout(left_s):
            await self._drained.wait()
        return time.monotonic() - asked_s

    def pause_writing(self) -> None:
        """Stop reading from a peer that doesn't take its answers; they may not pile up here."""
        self._is_clogged = True
        self._drained.clear()
        if self._transport is not None:
            self._transport.pause_reading()
            self._deadline = self._server.now_s + SEND_TIMEOUT_S

    def resume_writing(self) -> None:
        """Read on."""
        self._is_clogged = False
        self._drained.set()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._deadline = self._server.now_s + IDLE_TIMEOUT_S

    def check(self, now_s: float) -> None:
        """End what has lasted too long."""
        if self._deadline > now_s or self._transport is None:
            return
        if self._request is not None and not self._is_whole:
            self._cut_short(RequestTimeout(limit_s=BODY_TIMEOUT_S))
        elif self._head_bytes and self._request is None and not self._is_closing:
            self._refuse(RequestTimeout(limit_s=HEAD_TIMEOUT_S))
        else:
            self._transport.abort()

    def stop(self) -> None:
        """Hang up unless an answer is due, after which the connection closes by itself."""
        if self._request is None and self._transport is not None and not self._is_closing:
            self._transport.close()

    def cut(self) -> None:
        """Hang up whatever is due."""
        if self._transport is not None:
            self._transport.abort()


@lru_cache(maxsize=256)
def _name_of(name: bytes) -> str:
    """Give a header's name in lower case; the same few come with every request."""
    return name.lower().decode("latin-1")


def _wire_form(reply: Reply, date: str, *, is_last: bool) -> bytes:
    return _head(reply.status, reply.headers, len(reply.body), date, is_last=is_last) + reply.body


def _head(status: int, headers: str, size_bytes: int, date: str, *, is_last: bool) -> bytes:
    close = "connection: close\r\n" if is_last else ""
    text = f"{_START_LINES[status]}{headers}content-length: {size_bytes}\r\ndate: {date}\r\n{close}\r\n"
    return text.encode("ascii")
