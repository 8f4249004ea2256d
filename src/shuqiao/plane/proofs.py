"""What is kept of a call so that it can be shown to a third party later, and of the promises given.

Both are sealed to the vault's key. A worker makes a new exchange from time to time and forgets the old one.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from shuqiao.plane.database import Database, DatabaseUnavailable, PromiseRow
from shuqiao.plane.keeper import Keeper
from shuqiao.security.http_signatures import RequestSignature
from shuqiao.security.sealing import Sealer
from shuqiao.security.sessions import request_digest
from shuqiao.wire.call_proof import (
    PROMISE_CONTEXT,
    REQUEST_CONTEXT,
    GivenPromises,
    SignedRequest,
    encode_promises,
    encode_request,
)
from shuqiao.wire.receipt import Promise

log = logging.getLogger("shuqiao.plane")

SEALS_EACH = 1_000_000
FLUSH_EVERY_S = 0.5
MAX_KEPT = 20_000


class CallProof(NamedTuple):
    """What the entry of a call says of its signature; `sealed` is empty where no vault has a key."""

    algorithm: str
    request: str
    sealed: str
    session: UUID | None = None
    number: int | None = None


NO_PROOF = CallProof("", "", "")


class Sealing:
    """Seals to the vault's key of the current snapshot."""

    def __init__(self, keeper: Keeper) -> None:
        """Keep the keeper; the first call makes an exchange."""
        self._keeper = keeper
        self._recipient = b""
        self._sealer: Sealer | None = None

    def seal(self, plaintext: bytes, context: bytes) -> bytes | None:
        """Seal, or give None where the platform has published no vault key."""
        recipient = self._keeper.current.vault_key
        if recipient is None:
            return None
        if self._sealer is None or recipient != self._recipient or self._sealer.count >= SEALS_EACH:
            self._sealer, self._recipient = Sealer(X25519PublicKey.from_public_bytes(recipient)), recipient
        return self._sealer.seal(plaintext, context)

    def proof(
        self,
        signature: RequestSignature,
        algorithm: str,
        session: UUID | None = None,
        number: int | None = None,
    ) -> CallProof:
        """Make what the call's entry says of its signature."""
        signed = SignedRequest(signature.covered, signature.signature)
        sealed = self.seal(encode_request(signed), REQUEST_CONTEXT)
        text = "" if sealed is None else base64.b64encode(sealed).decode("ascii")
        digest = request_digest(signature.base, signature.signature).hex()
        return CallProof(algorithm, digest, text, session, number)


class PromiseKeeper:
    """Keeps promises that were given, some at a time and after their answers.

    What is not yet written when a worker is killed is lost here and nowhere else: the caller has the promise,
    and the entry it speaks of is durable.
    """

    def __init__(self, database: Database, sealing: Sealing) -> None:
        """Keep the parts; `run` writes."""
        self._database = database
        self._sealing = sealing
        self._waiting: deque[PromiseRow] = deque(maxlen=MAX_KEPT)

    def add(self, promises: Sequence[Promise]) -> None:
        """Queue the promises of one batch, which share a signature."""
        given = GivenPromises(
            b"".join([bytes.fromhex(promise.digest) for promise in promises]),
            b"".join([bytes.fromhex(promise.answer) for promise in promises]),
        )
        sealed = self._sealing.seal(encode_promises(given), PROMISE_CONTEXT)
        if sealed is None:
            return
        entries = "{" + ",".join([promise.entry.hex for promise in promises]) + "}"
        first = promises[0]
        self._waiting.append(
            PromiseRow(
                datetime.fromisoformat(first.at),
                entries,
                first.key_id,
                bytes.fromhex(first.signature),
                sealed,
            )
        )

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits now."""
        rows = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not rows:
            return
        try:
            await self._database.keep_promises(rows)
        except DatabaseUnavailable as error:
            log.warning("promises_wait error=%s count=%d", error, len(rows))
            self._waiting.extendleft(reversed(rows))
