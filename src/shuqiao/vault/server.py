"""The vault's socket: who may connect, what they may ask, and the bounds of all of it."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from shuqiao.rules.errors import BatchMalformed
from shuqiao.vault.batch import BatchUnreadable
from shuqiao.vault.operations import Operations, entries_digest
from shuqiao.vault.store import log_operation
from shuqiao.wire.vault import (
    ALLOWED,
    MAX_HANDSHAKE_BYTES,
    NONCE_BYTES,
    PROTOCOL,
    Answer,
    Assign,
    Challenge,
    Compare,
    FindByName,
    FrameRefused,
    Hello,
    OpenSealed,
    Refused,
    Request,
    Resolve,
    Reveal,
    RevealRecords,
    Welcome,
    client_proof,
    encode_message,
    read_frame,
    vault_proof,
)

if TYPE_CHECKING:
    from shuqiao.vault.store import Pool

log = logging.getLogger("shuqiao.vault")

_hello_decoder: msgspec.msgpack.Decoder[Hello] = msgspec.msgpack.Decoder(Hello)
_request_decoder = msgspec.msgpack.Decoder(Request)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the vault waits and how much it takes on at once."""

    connections: int = 64
    requests_per_connection: int = 32
    greeting_s: float = 5.0
    frame_s: float = 30.0
    write_s: float = 10.0
    read_operation_s: float = 10.0
    assign_s: float = 60.0
    drain_s: float = 5.0


class ClientRefused(Exception):
    """The peer didn't prove that it is a client of the vault."""


class VaultServer:
    """Serves a listening socket until told to stop; knows nothing of what the operations do."""

    def __init__(
        self, operations: Operations, pool: Pool, client_keys: Mapping[str, bytes], limits: Limits
    ) -> None:
        """Take the opened parts; `client_keys` maps each client of `ALLOWED` to its secret."""
        self._operations = operations
        self._pool = pool
        self._client_keys = dict(client_keys)
        self._limits = limits
        self._peers: set[asyncio.Task[None]] = set()

    async def serve(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Accept peers until `stop` is set; what is under way then gets a few seconds to finish."""
        server = await asyncio.start_unix_server(self._accept, sock=listening)
        log.info("ready")
        await stop.wait()
        server.close()
        for peer in self._peers:
            peer.cancel()
        if self._peers:
            await asyncio.wait(set(self._peers), timeout=self._limits.drain_s)
        log.info("stopped")

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._peers) >= self._limits.connections:
            log.warning("connection_refused reason=too_many")
            writer.close()
            return
        peer = asyncio.create_task(self._serve_peer(reader, writer), name="vault-peer")
        self._peers.add(peer)
        peer.add_done_callback(self._peers.discard)

    async def _serve_peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = "unknown"
        try:
            async with asyncio.timeout(self._limits.greeting_s):
                client = await self._greet(reader, writer)
            log.info("client_connected client=%s", client)
            await self._answer_requests(client, reader, writer)
        except asyncio.CancelledError:
            # The vault is stopping; what was under way has had its time in `_answer_requests`.
            pass
        except (asyncio.IncompleteReadError, ConnectionError):
            log.info("client_gone client=%s", client)
        except Exception as error:
            # The boundary of the process: one peer's fault, or the database's while it is greeted, ends this
            # connection only. Its words may quote what the peer sent, so only its kind is logged.
            log.warning("connection_dropped client=%s reason=%s", client, type(error).__name__)
        finally:
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        nonce = secrets.token_bytes(NONCE_BYTES)
        await self._send(writer, Challenge(PROTOCOL, nonce))
        hello = _hello_decoder.decode(await read_frame(reader, MAX_HANDSHAKE_BYTES))
        # A stranger's name is checked against a random key, in the same steps as a client's.
        key = self._client_keys.get(hello.client, secrets.token_bytes(32))
        if not hmac.compare_digest(client_proof(key, hello.client, nonce, hello.nonce), hello.proof):
            await self._send(writer, Refused(0, "vault_access_refused"))
            await log_operation(
                self._pool, "unknown", "hello", None, 0, entries_digest(()), "vault_access_refused"
            )
            raise ClientRefused
        await self._send(writer, Welcome(vault_proof(key, hello.client, nonce, hello.nonce)))
        return hello.client

    async def _answer_requests(
        self, client: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        slots = asyncio.Semaphore(self._limits.requests_per_connection)
        under_way: set[asyncio.Task[None]] = set()

        def done(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            slots.release()

        try:
            while True:
                # No slot, no reading: a client that asks too much waits in its own socket.
                await slots.acquire()
                request = _request_decoder.decode(await self._read_request(reader))
                task = asyncio.create_task(self._answer(client, request, writer), name="vault-request")
                under_way.add(task)
                task.add_done_callback(done)
        finally:
            if under_way:
                await asyncio.wait(under_way, timeout=self._limits.drain_s)
            for task in under_way:
                task.cancel()

    async def _read_request(self, reader: asyncio.StreamReader) -> bytes:
        # A client may be silent for long, but a frame once begun must arrive.
        first = await reader.readexactly(1)
        async with asyncio.timeout(self._limits.frame_s):
            return await read_frame(reader, begun=first)

    async def _answer(self, client: str, request: Request, writer: asyncio.StreamWriter) -> None:
        answer = await self._answer_for(client, request)
        try:
            await self._send(writer, answer)
        except FrameRefused:
            await self._send(writer, Refused(request.id, "vault_answer_too_large"))
        except (OSError, TimeoutError):
            writer.close()

    async def _answer_for(self, client: str, request: Request) -> Answer:
        operation = request.__struct_config__.tag
        resource = request.resource
        try:
            if operation not in ALLOWED[client]:
                return await self._refuse(client, request, "vault_operation_not_allowed")
            limit_s = self._limits.assign_s if isinstance(request, Assign) else self._limits.read_operation_s
            async with asyncio.timeout(limit_s):
                return await self._do(client, request)
        except BatchUnreadable as error:
            log.warning("batch_refused resource=%s reason=%s", resource, error)
            return await self._refuse(client, request, BatchMalformed.code)
        except Exception as error:
            # The boundary of the process: whatever failed, this client gets an answer and the others go on.
            # The words of a fault may quote a row, so only its kind is logged.
            log.error(
                "operation_failed op=%s resource=%s reason=%s", operation, resource, type(error).__name__
            )
            return Refused(request.id, "vault_unavailable")

    async def _do(self, client: str, request: Request) -> Answer:
        match request:
            case Resolve():
                return await self._operations.resolve(client, request)
            case Compare():
                return await self._operations.compare(client, request)
            case Reveal():
                return await self._operations.reveal(client, request)
            case RevealRecords():
                return await self._operations.reveal_records(client, request)
            case FindByName():
                return await self._operations.find_by_name(client, request)
            case OpenSealed():
                return await self._operations.open_sealed(client, request)
            case Assign():
                return await self._operations.assign(client, request)

    async def _refuse(self, client: str, request: Request, code: str) -> Refused:
        operation = str(request.__struct_config__.tag)
        log.warning("operation_refused client=%s op=%s code=%s", client, operation, code)
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            digest = entries_digest(request.entries)
            await log_operation(self._pool, client, operation, request.resource, 0, digest, code)
        return Refused(request.id, code)

    async def _send(self, writer: asyncio.StreamWriter, message: msgspec.Struct) -> None:
        async with asyncio.timeout(self._limits.write_s):
            writer.write(encode_message(message))
            await writer.drain()
