"""Serves one listening socket: the books of its connections, and their clock."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from email.utils import formatdate

from shuqiao.plane.connection import Connection, Handler
from shuqiao.plane.door import TlsDoor
from shuqiao.security.tls import RenewedTls

MAX_CONNECTIONS = 2048
CHECK_EVERY_S = 0.5
BACKLOG = 2048


class Server:
    """Accepts connections until told to stop. One clock serves them all: no timer for each request."""

    def __init__(self, handler: Handler) -> None:
        """Keep the handler; nothing is accepted yet."""
        self.handler = handler
        self.is_stopping = False
        self._connections: set[Connection] = set()
        self._left = asyncio.Event()
        self._tick()

    def _tick(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now_s = self._loop.time()
        self.date = formatdate(usegmt=True)
        for connection in list(self._connections):
            connection.check(self.now_s)
        self._timer = self._loop.call_later(CHECK_EVERY_S, self._tick)

    async def start(self, listening: socket.socket, tls: RenewedTls | None = None) -> None:
        """Begin to accept, with TLS or in clear."""
        self._server: asyncio.Server | TlsDoor
        if tls is not None:
            self._server = TlsDoor(tls, lambda: Connection(self), listening)
            return
        self._server = await self._loop.create_server(
            lambda: Connection(self), sock=listening, backlog=BACKLOG
        )

    def enter(self, connection: Connection) -> bool:
        """Note a connection; false when there are too many, or the end has come."""
        self._connections.add(connection)
        return len(self._connections) <= MAX_CONNECTIONS and not self.is_stopping

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if not self._connections:
            self._left.set()

    def close(self) -> None:
        """Accept no more; connections close as soon as no answer is due on them."""
        self.is_stopping = True
        self._server.close()
        for connection in list(self._connections):
            connection.stop()

    async def wait_closed(self, timeout_s: float) -> None:
        """Wait for the last answers to leave, then cut what is left."""
        if self._connections:
            self._left.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), timeout_s)
        self._timer.cancel()
        for connection in list(self._connections):
            connection.cut()
