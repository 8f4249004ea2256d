"""The ASGI application that granian serves: takes a request in whole, then lets a thread of the office work.

A thread that read a body itself would wait for whoever sends it, and a few senders that never go on would
stop the office. Here bodies come in side by side, in a bounded time and size, and a thread is taken when all
is there. Whoever takes an answer that is sent in pieces too slowly is cut off, for a thread waits for them.
How long a head may take is granian's option `--http1-header-read-timeout`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, BinaryIO, NamedTuple, cast

from shuqiao.control.wsgi import application as office
from shuqiao.rules.pace import Pace

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Environ = dict[str, Any]

THREADS = int(os.environ.get("SHUQIAO_CONTROL_THREADS", "4"))
WAITING = 64
BODIES = 256
MAX_BODY_BYTES = 64 * 1024 * 1024
KEPT_IN_MEMORY_BYTES = 256 * 1024
BODY_TIMEOUT_S = float(os.environ.get("SHUQIAO_CONTROL_BODY_TIMEOUT_S", "60"))
PACE = Pace(
    float(os.environ.get("SHUQIAO_CONTROL_SEND_PATIENCE_S", "30")),
    float(os.environ.get("SHUQIAO_CONTROL_SEND_BYTES_PER_S", "16384")),
    float(os.environ.get("SHUQIAO_CONTROL_SEND_TIMEOUT_S", "3600")),
)
RETRY_AFTER_S = 1
_ONCE = (b"host", b"content-length", b"content-type", b"authorization", b"cookie")

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="office")
_waiting = 0
_bodies = 0


class _Refused(Exception):
    """The request is not passed on."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text


class _Answered(NamedTuple):
    """An answer that is not streamed: the first message, and the body."""

    start: Message
    body: bytes


async def application(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Serve one request."""
    if scope["type"] != "http":
        return
    with tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY_BYTES) as body:
        try:
            environ = await _taken(scope, receive, cast(BinaryIO, body))
            answered = await _passed_on(environ, send)
        except _Refused as refused:
            await _refuse(refused, send)
            return
    if answered is not None:
        await send(answered.start)
        await send({"type": "http.response.body", "body": answered.body})


async def _taken(scope: Mapping[str, Any], receive: Receive, body: BinaryIO) -> Environ:
    """Receive the whole request; raises `_Refused`."""
    global _bodies
    counted = Counter(name for name, _ in scope["headers"])
    if any(counted[name] > 1 for name in _ONCE) or counted[b"host"] != 1:
        raise _Refused(400, "a header that may stand once stands twice, or Host is missing")
    if counted[b"transfer-encoding"]:
        raise _Refused(411, "say in Content-Length how long the body is")
    if _bodies >= BODIES:
        raise _Refused(503, "too many requests are on their way")
    _bodies += 1
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            size_bytes = await _received(receive, body)
    except TimeoutError:
        raise _Refused(408, "the body did not arrive in time") from None
    finally:
        _bodies -= 1
    body.seek(0)
    return _environ(scope, body, size_bytes)


async def _received(receive: Receive, body: BinaryIO) -> int:
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _Refused(400, "the body was cut off")
        piece = message.get("body", b"")
        size_bytes += len(piece)
        if size_bytes > MAX_BODY_BYTES:
            raise _Refused(413, "the body is too large")
        body.write(piece)
        if not message.get("more_body", False):
            return size_bytes


def _environ(scope: Mapping[str, Any], body: BinaryIO, size_bytes: int) -> Environ:
    """Tell of a request what PEP 3333 demands."""
    server, client = scope.get("server") or ("", 0), scope.get("client") or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "CONTENT_LENGTH": str(size_bytes),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        # An underscore in a header's name would let two names become one.
        if b"_" in raw_name or name == "CONTENT_LENGTH":
            continue
        key = name if name == "CONTENT_TYPE" else f"HTTP_{name}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


async def _passed_on(environ: Environ, send: Send) -> _Answered | None:
    """Have a thread work on a request; None where it has sent the answer itself, piece by piece."""
    global _waiting
    if _waiting >= WAITING + THREADS:
        raise _Refused(503, "too many requests wait")
    _waiting += 1
    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(_threads, partial(_work, environ, _Telling(loop, send).tell))
    finally:
        _waiting -= 1


class _Telling:
    """Sends an answer from a thread, piece by piece, as long as its reader keeps pace."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send) -> None:
        self._loop = loop
        self._send = send
        self._began_s = time.monotonic()
        self._waited_s = 0.0
        self._sent_bytes = 0

    def tell(self, message: Message) -> None:
        """Send a message; raises TimeoutError when the reader does not go on, or too slowly."""
        asked_s = time.monotonic()
        left_s = PACE.left_s(self._sent_bytes, self._waited_s, asked_s - self._began_s)
        if left_s <= 0:
            raise TimeoutError("the reader is too slow")
        asyncio.run_coroutine_threadsafe(self._within(message, left_s), self._loop).result()
        self._waited_s += time.monotonic() - asked_s
        self._sent_bytes += len(message.get("body", b""))

    async def _within(self, message: Message, left_s: float) -> None:
        async with asyncio.timeout(left_s):
            await self._send(message)


def _work(environ: Environ, tell: Callable[[Message], None]) -> _Answered | None:
    """Run the office's application in this thread."""
    start: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
        start.update(
            type="http.response.start",
            status=int(status.split(" ", 1)[0]),
            headers=[(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        )

    answer: Any = office(environ, cast(Any, start_response))
    try:
        if not getattr(answer, "streaming", False):
            return _Answered(start, b"".join(answer))
        tell(start)
        for piece in answer:
            tell({"type": "http.response.body", "body": bytes(piece), "more_body": True})
        tell({"type": "http.response.body", "body": b""})
    finally:
        answer.close()
    return None


async def _refuse(refused: _Refused, send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    if refused.status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": refused.text.encode()})
