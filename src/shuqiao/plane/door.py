"""Where connections with TLS come in: handshakes are bounded in number and in time, certificates renewed.

A connection that has not shown that it speaks TLS costs the server no place among those that have.
Source: our choice, decision 32
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from shuqiao.security.tls import RenewedTls, TlsRefused, tell_end

log = logging.getLogger("shuqiao.plane")

HANDSHAKE_TIMEOUT_S = 5.0
MAX_HANDSHAKES = 1024
GOODBYE_TIMEOUT_S = 5.0
RENEW_EVERY_S = 2.0
ACCEPTED_AT_ONCE = 64
REST_S = 0.5
BACKLOG = 2048
WRITE_BUFFER_BYTES = 64 * 1024


class TlsDoor:
    """Accepts connections of one socket until it is closed; each is made over when its handshake is done."""

    def __init__(
        self, tls: RenewedTls, make: Callable[[], asyncio.Protocol], listening: socket.socket
    ) -> None:
        """Begin to accept; `make` gives what serves one connection."""
        self._tls = tls
        self._make = make
        self._listening = listening
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        listening.listen(BACKLOG)
        self._rest: asyncio.TimerHandle | None = None
        self._renewing = self._loop.call_later(RENEW_EVERY_S, self._renew)
        self._open()

    def close(self) -> None:
        """Accept no more, and hang up on whoever has not ended the handshake."""
        self._renewing.cancel()
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for handshake in list(self._handshakes):
            handshake.cancel()

    def _open(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                peer, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Without descriptors the socket stays ready, and this would run without rest.
                log.warning("accept_failed error=%s", error.strerror)
                self._loop.remove_reader(self._listening)
                self._rest = self._loop.call_later(REST_S, self._open)
                return
            if len(self._handshakes) >= MAX_HANDSHAKES:
                peer.close()
                continue
            peer.setblocking(False)
            handshake = self._loop.create_task(self._let_in(peer))
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    async def _let_in(self, peer: socket.socket) -> None:
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                self._make,
                peer,
                ssl=self._tls.context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                ssl_shutdown_timeout=GOODBYE_TIMEOUT_S,
            )
        except OSError as error:
            # No TLS, an old one, or nothing at all: whoever speaks so has been hung up on.
            log.debug("handshake_failed error=%s", type(error).__name__)
            return
        if isinstance(transport, asyncio.WriteTransport):
            # As little waits for a slow reader as in clear, instead of the half megabyte TLS would hold.
            transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def _renew(self) -> None:
        self._renewing = self._loop.call_later(RENEW_EVERY_S, self._renew)
        try:
            if self._tls.renew():
                log.info("certificate_renewed")
                tell_end(self._tls.files, log)
        except TlsRefused as error:
            log.warning("certificate_refused error=%s", error)
