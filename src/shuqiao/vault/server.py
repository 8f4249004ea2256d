"""The vault's socket: who may connect, what they may ask, and the bounds of all of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from shuqiao.rules.errors import BatchMalformed
from shuqiao.vault.batch import BatchUnreadable
from shuqiao.vault.operations import Operations, entries_digest
from shuqiao.vault.peer import Limits, Peer
from shuqiao.vault.store import log_operation
from shuqiao.wire.vault import (
    ALLOWED,
    Answer,
    Assign,
    Compare,
    FindByName,
    OpenSealed,
    Reconcile,
    Refused,
    Request,
    Resolve,
    Reveal,
    RevealRecords,
)

if TYPE_CHECKING:
    from shuqiao.vault.store import Pool

log = logging.getLogger("shuqiao.vault")

CHECK_EVERY_S = 0.5


class VaultServer:
    """Serves a listening socket until told to stop; knows nothing of what the operations do."""

    def __init__(
        self, operations: Operations, pool: Pool, client_keys: Mapping[str, bytes], limits: Limits
    ) -> None:
        """Take the opened parts; `client_keys` maps each client of `ALLOWED` to its secret."""
        self.limits = limits
        self.client_keys: Mapping[str, bytes] = dict(client_keys)
        self.loop = asyncio.get_running_loop()
        self._operations = operations
        self._pool = pool
        self._peers: set[Peer] = set()
        self._noting: set[asyncio.Task[None]] = set()

    async def serve(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Accept peers until `stop` is set; what is under way then gets a few seconds to finish."""
        server = await self.loop.create_unix_server(lambda: Peer(self), sock=listening)
        checking = asyncio.create_task(self._check(), name="vault-clock")
        log.info("ready")
        await stop.wait()
        server.close()
        checking.cancel()
        finishing = [peer.finish(self.limits.drain_s) for peer in self._peers]
        await asyncio.gather(*finishing, *self._noting)
        log.info("stopped")

    def now_s(self) -> float:
        """Give the loop's time."""
        return self.loop.time()

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            for peer in list(self._peers):
                peer.check(self.now_s())

    def enter(self, peer: Peer) -> bool:
        """Note a peer; false when there are too many."""
        if len(self._peers) >= self.limits.connections:
            return False
        self._peers.add(peer)
        return True

    def leave(self, peer: Peer) -> None:
        """Forget a peer."""
        self._peers.discard(peer)

    def note_stranger(self) -> None:
        """Record that somebody came without a client's key."""
        note = self._log_refusal("unknown", "hello", None, (), "vault_access_refused")
        task = self.loop.create_task(note)
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def answer(self, client: str, request: Request) -> Answer:
        """Do what a client asks for, and give the answer whatever goes wrong."""
        operation = str(request.__struct_config__.tag)
        resource = request.resource
        try:
            if operation not in ALLOWED[client]:
                return await self._refuse(client, request, "vault_operation_not_allowed")
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
            case Compare():
                return await self._operations.compare(client, request)
            case Reveal():
                return await self._operations.reveal(client, request)
            case Resolve():
                return await self._operations.resolve(client, request)
            case RevealRecords():
                return await self._operations.reveal_records(client, request)
            case FindByName():
                return await self._operations.find_by_name(client, request)
            case OpenSealed():
                return await self._operations.open_sealed(client, request)
            case Assign():
                return await self._operations.assign(client, request)
            case Reconcile():
                return await self._operations.reconcile(client, request)

    async def _refuse(self, client: str, request: Request, code: str) -> Refused:
        operation = str(request.__struct_config__.tag)
        log.warning("operation_refused client=%s op=%s code=%s", client, operation, code)
        await self._log_refusal(client, operation, request.resource, request.entries, code)
        return Refused(request.id, code)

    async def _log_refusal(
        self, client: str, operation: str, resource: str | None, entries: Sequence[UUID], code: str
    ) -> None:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await log_operation(self._pool, client, operation, resource, 0, entries_digest(entries), code)
