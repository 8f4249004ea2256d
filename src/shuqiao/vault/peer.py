"""One connection to the vault: its greeting, its requests, and what it may take up.

A request costs one task and no timer: the server's clock looks at all connections twice a second.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import msgspec

from shuqiao.wire.vault import (
    MAX_FRAME_BYTES,
    MAX_HANDSHAKE_BYTES,
    NONCE_BYTES,
    PROTOCOL,
    Answer,
    Assign,
    Challenge,
    FrameRefused,
    Frames,
    Hello,
    Refused,
    Request,
    Welcome,
    client_proof,
    encode_message,
    vault_proof,
)

log = logging.getLogger("shuqiao.vault")

_NEVER = float("inf")
_hello_decoder: msgspec.msgpack.Decoder[Hello] = msgspec.msgpack.Decoder(Hello)
_request_decoder = msgspec.msgpack.Decoder(Request)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the vault waits, to half a second, and how much it takes on at once."""

    connections: int = 64
    requests_per_connection: int = 32
    greeting_s: float = 5.0
    frame_s: float = 30.0
    write_s: float = 10.0
    read_operation_s: float = 10.0
    assign_s: float = 60.0
    drain_s: float = 5.0


class Books(Protocol):
    """What a connection needs of the server."""

    limits: Limits
    client_keys: Mapping[str, bytes]
    loop: asyncio.AbstractEventLoop

    def now_s(self) -> float:
        """Give the loop's time."""

    def enter(self, peer: Peer) -> bool:
        """Note a peer; false when there are too many."""

    def leave(self, peer: Peer) -> None:
        """Forget a peer."""

    def note_stranger(self) -> None:
        """Record that somebody came without a client's key."""

    async def answer(self, client: str, request: Request) -> Answer:
        """Do what a client asks for, and give the answer whatever goes wrong."""


class Peer(asyncio.Protocol):
    """One connection: greeted first, then answered. Knows nothing of what the operations do.

    While as many requests are under way as it may have, or it leaves answers unread, nothing is read from it:
    who asks too much waits in its own socket. `_deadline_s` is when the present state has lasted too long.
    """

    def __init__(self, server: Books) -> None:
        """Belong to a server; nothing is known of the peer yet."""
        self._server = server
        self._limits = server.limits
        self._client = ""
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._frames = Frames(MAX_HANDSHAKE_BYTES)
        self._transport: asyncio.Transport | None = None
        self._under_way: dict[asyncio.Task[None], float] = {}
        self._is_clogged = self._is_paused = self._is_ending = False
        self._deadline_s = server.now_s() + server.limits.greeting_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Challenge the peer, or turn it away where there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        if self._server.enter(self):
            self._send(Challenge(PROTOCOL, self._nonce))
        else:
            log.warning("connection_refused reason=too_many")
            self._hang_up()

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the peer as soon as what it asked for has ended, for which it now has little time."""
        if self._transport is not None:
            log.info("client_gone client=%s", self._client or "unknown")
        self._hang_up()
        until_s = self._server.now_s() + self._limits.drain_s
        self._under_way = {task: min(limit_s, until_s) for task, limit_s in self._under_way.items()}
        if not self._under_way:
            self._server.leave(self)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._frames.feed(data)
        self._take()

    def _take(self) -> None:
        """Begin what has come in full, as long as there is a place for it."""
        try:
            while self._has_place() and (frame := self._frames.take()) is not None:
                self._begin(frame)
        except Exception as error:
            # The boundary of a peer: its fault ends this connection only. The words of a fault may quote what
            # it sent, so only its kind is logged.
            self._drop(type(error).__name__)
        self._pace()

    def _has_place(self) -> bool:
        most = self._limits.requests_per_connection
        return len(self._under_way) < most and not (
            self._is_clogged or self._is_ending or self._transport is None
        )

    def _begin(self, frame: bytes) -> None:
        if self._client:
            request = _request_decoder.decode(frame)
            limit_s = self._limits.assign_s if isinstance(request, Assign) else self._limits.read_operation_s
            self._start(self._answer(request), limit_s)
        else:
            self._greet(_hello_decoder.decode(frame))

    def _start(self, work: Coroutine[None, None, None], limit_s: float) -> None:
        task = self._server.loop.create_task(work, name="vault-request")
        self._under_way[task] = self._server.now_s() + limit_s
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        if self._is_paused or self._frames.is_begun:
            self._take()
        if self._transport is None and not self._under_way:
            self._server.leave(self)

    def _pace(self) -> None:
        """Read on or not, and say until when the rest of a frame must be there."""
        if self._transport is None:
            return
        is_paused = not self._has_place()
        if is_paused is not self._is_paused:
            self._is_paused = is_paused
            if is_paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        if self._is_clogged or not self._client:
            return
        if is_paused or not self._frames.is_begun:
            # A client may be silent for long, but a frame once begun must arrive.
            self._deadline_s = _NEVER
        elif self._deadline_s == _NEVER:
            self._deadline_s = self._server.now_s() + self._limits.frame_s

    def _greet(self, hello: Hello) -> None:
        # A stranger's name is checked against a random key, in the same steps as a client's.
        key = self._server.client_keys.get(hello.client, secrets.token_bytes(32))
        proof = client_proof(key, hello.client, self._nonce, hello.nonce)
        if not hmac.compare_digest(proof, hello.proof):
            self._send(Refused(0, "vault_access_refused"))
            self._server.note_stranger()
            self._drop("ClientRefused")
            return
        self._send(Welcome(vault_proof(key, hello.client, self._nonce, hello.nonce)))
        self._client = hello.client
        self._frames.limit_bytes = MAX_FRAME_BYTES
        self._deadline_s = _NEVER
        log.info("client_connected client=%s", hello.client)

    async def _answer(self, request: Request) -> None:
        try:
            answer = await self._server.answer(self._client, request)
        except asyncio.CancelledError:
            # Only the clock and the end of the process cancel it.
            operation = request.__struct_config__.tag
            log.error("operation_failed op=%s resource=%s reason=TimeoutError", operation, request.resource)
            answer = Refused(request.id, "vault_unavailable")
        try:
            self._send(answer)
        except FrameRefused:
            self._send(Refused(request.id, "vault_answer_too_large"))

    def _send(self, message: msgspec.Struct) -> None:
        if self._transport is not None:
            self._transport.write(encode_message(message))

    def pause_writing(self) -> None:
        """Give a peer that leaves its answers unread a time to take them."""
        self._is_clogged = True
        self._deadline_s = self._server.now_s() + self._limits.write_s
        self._pace()

    def resume_writing(self) -> None:
        """Go on."""
        self._is_clogged = False
        self._deadline_s = _NEVER if self._client else self._server.now_s() + self._limits.greeting_s
        self._take()

    def check(self, now_s: float) -> None:
        """End what has lasted too long."""
        for task, until_s in self._under_way.items():
            if until_s <= now_s:
                task.cancel()
        if self._deadline_s <= now_s:
            self._drop("TimeoutError")

    def _drop(self, reason: str) -> None:
        if self._transport is not None:
            log.warning("connection_dropped client=%s reason=%s", self._client or "unknown", reason)
            self._hang_up()

    def _hang_up(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            if self._is_clogged:
                # What it doesn't read would keep the connection open for ever.
                transport.abort()
            else:
                transport.close()

    async def finish(self, patience_s: float) -> None:
        """Let what is under way finish for a time, then hang up."""
        self._is_ending = True
        self._pace()
        if self._under_way:
            await asyncio.wait(list(self._under_way), timeout=patience_s)
        for task in self._under_way:
            task.cancel()
        self._hang_up()
