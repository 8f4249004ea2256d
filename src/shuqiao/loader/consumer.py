"""One department's batches, in order: the next ones are checked while the one before is being merged.

Every message ends in exactly one of four ways: merged and acknowledged after the commit; acknowledged because
the ledger has it already; refused whole, noted in ledger and audit log, and taken out of the stream; or given
back, to come again when what it waits for is there. A batch leaves its node's spool only with the receipt, so
taking a message out of the stream never loses it.

Up to three batches stand in the line: one being merged, two at the vault, which stores them in this order.
Each waits for the one before it, so a failure ahead is a failure of all behind it, and the ledger takes no
batch out of its turn, whatever happens here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import asyncpg

from shuqiao.loader import ledger
from shuqiao.loader.ledger import Counts, LastBatch, Merge
from shuqiao.loader.prepare import Trusted, check_sequence, is_past, separate, trust
from shuqiao.loader.screening import RulesInForce
from shuqiao.loader.streams import ensure_consumer
from shuqiao.rules.errors import BatchError, BatchMalformed, BatchOutOfSequence
from shuqiao.rules.screening import Screen
from shuqiao.security.keys import SigningKey
from shuqiao.wire.batch_receipt import BatchReceipt, Refusal, sign_receipt, sign_refusal
from shuqiao.wire.nats_library import JetStreamContext, Msg, NatsError, NotFoundError
from shuqiao.wire.package import Manifest
from shuqiao.wire.subjects import STREAM, consumer_name, parse_subject
from shuqiao.wire.vault import VaultClient, VaultError

_log = logging.getLogger("shuqiao.loader")
_ZONE = ZoneInfo("Asia/Shanghai")
_FETCH = 2
_FETCH_S = 5.0
_BUSY_S = 0.5
"""While batches are in the line, their failures are looked for this often."""
_IN_LINE = 3
_RETRY_S = 1.0
_FAILED_S = 10.0
_GIVE_UP_AFTER = 15
"""Times a batch that came too early is offered again; then its node must send it once more."""

OUTAGES = (
    NatsError,
    VaultError,
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # Said where a server that was killed cut its answer short.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
)
"""What passes by itself: the batch is offered again."""


def today_here() -> date:
    """Return the day in the regulations' time zone."""
    return datetime.now(_ZONE).date()


@dataclass(frozen=True)
class ReceiptKey:
    """The key that signs receipts, and its id."""

    id: str
    key: SigningKey


@dataclass(frozen=True)
class Workshop:
    """What all departments' consumers share; `refusals` are signed, by department and resource.

    `keep_stream` makes the stream where it is missing.
    """

    pool: asyncpg.Pool
    stream: JetStreamContext
    keep_stream: Callable[[], Awaitable[None]]
    vault: VaultClient
    receipt_key: ReceiptKey
    today: Callable[[], date] = today_here
    refusals: dict[tuple[str, str], str] = field(default_factory=dict)
    rules: RulesInForce = field(default_factory=RulesInForce)


class DepartmentConsumer:
    """Takes one department's batches from the stream to the base tables."""

    def __init__(self, workshop: Workshop, department: str) -> None:
        """Remember what to work with; nothing is fetched yet."""
        self._shop = workshop
        self._department = department
        self._last: dict[str, LastBatch] = {}
        self._line: deque[asyncio.Task[None]] = deque()

    async def run(self) -> None:
        """Work until cancelled, starting afresh after any outage."""
        while True:
            try:
                await self._consume()
            except (*OUTAGES, NotFoundError) as error:
                _log.warning("loading_waits %s %s", self._department, type(error).__name__)
                await asyncio.sleep(_RETRY_S)
                if isinstance(error, NotFoundError):
                    # Whoever removed the stream took no batch with it that its node does not keep.
                    with suppress(*OUTAGES):
                        await self._shop.keep_stream()
            except Exception as error:
                # A fault nobody foresaw holds up this department only, and drops nothing. The text of the
                # error may quote a row, so only its kind and place are written down.
                place = "".join(traceback.format_tb(error.__traceback__))
                _log.error("loading_failed %s %s\n%s", self._department, type(error).__name__, place)
                await asyncio.sleep(_FAILED_S)

    async def _consume(self) -> None:
        # Made anew at every start, so that what a killed loader held comes again at once and in order.
        await ensure_consumer(self._shop.stream, self._department)
        subscription = await self._shop.stream.pull_subscribe_bind(consumer_name(self._department), STREAM)
        self._last.clear()
        try:
            while True:
                try:
                    messages = await subscription.fetch(_FETCH, timeout=_BUSY_S if self._line else _FETCH_S)
                except TimeoutError:
                    messages = []
                    await self._finish()
                for message in messages:
                    await self._finish(but=_IN_LINE - 1)
                    await self._handle(message)
        finally:
            for task in self._line:
                task.cancel()
            await asyncio.gather(*self._line, return_exceptions=True)
            self._line.clear()
            await subscription.unsubscribe()

    async def _handle(self, message: Msg) -> None:
        """Put a batch that is next into the line; whatever else it may be is settled after the line."""
        resource = None
        try:
            department, resource = _addressed(message)
            batch = await trust(self._shop.pool, department, resource, message.data)
            if await self._is_next(batch.manifest):
                # Read before it has its place: two that read at once could reach the vault in any order.
                screen = await self._shop.rules.screen(self._shop.pool)
                self._last[resource] = LastBatch(batch.manifest.sequence, batch.manifest.generation)
                before = self._line[-1] if self._line else None
                self._line.append(asyncio.create_task(self._work(batch, message, screen, before)))
                return
        except BatchOutOfSequence as early:
            await self._finish()
            await self._give_back(message, early)
        except BatchError as refusal:
            await self._finish()
            await self._refuse(message, resource, refusal)
        else:
            await self._finish()
            await self._settle_repeated(batch.manifest, message)

    async def _is_next(self, manifest: Manifest) -> bool:
        """Say whether a batch follows the last one of the line or the ledger; False if its time is past."""
        resource = manifest.resource
        if resource not in self._last:
            pool = self._shop.pool
            self._last[resource] = await ledger.last_batch(pool, manifest.department, resource)
        return check_sequence(manifest, self._last[resource])

    async def _settle_repeated(self, manifest: Manifest, message: Msg) -> None:
        """Take a batch that the ledger is past out of the stream; one that the line failed to merge stays."""
        last = await ledger.last_batch(self._shop.pool, manifest.department, manifest.resource)
        if is_past(manifest, last):
            await message.ack()
        else:
            self._last.pop(manifest.resource, None)
            await message.nak(delay=_RETRY_S)

    async def _finish(self, but: int = 0) -> None:
        """Wait until at most `but` batches are left in the line; a failure is raised here."""
        while len(self._line) > but:
            await self._line[0]
            self._line.popleft()

    async def _work(
        self, batch: Trusted, message: Msg, screen: Screen, before: asyncio.Task[None] | None
    ) -> None:
        """Check and separate a batch at once, and merge it after the one before it.

        Where that one failed, its failure is raised here, and this one is not merged either.
        """
        refusal, merge = None, None
        try:
            merge = await separate(self._shop.vault, batch, self._shop.today(), screen)
        except BatchError as error:
            refusal = error
        if before is not None:
            await before
        if merge is not None:
            refusal = await self._merge(merge, message)
        if refusal is not None:
            # The batches behind it find the ledger without it, and wait for it in the stream.
            manifest = batch.manifest
            self._last.pop(manifest.resource, None)
            await self._refuse(message, manifest.resource, refusal)

    async def _merge(self, batch: Merge, message: Msg) -> BatchError | None:
        """Merge and acknowledge, or return why the batch is refused."""
        try:
            counts = await self._commit(batch)
        except asyncpg.DataError:
            # A value that no check foresaw must not stop the department for ever.
            return BatchMalformed(part="plain")
        except asyncpg.ObjectNotInPrerequisiteStateError:
            # Another loader merged it meanwhile, or the one before it was refused: the ledger is read again
            # when the message comes back.
            self._last.pop(batch.resource, None)
            await message.nak(delay=_RETRY_S)
            return None
        self._shop.refusals.pop((batch.department, batch.resource), None)
        _log.info(
            "batch_merged %s %s sequence=%d accepted=%d inserted=%d updated=%d removed=%d rejected=%d",
            batch.department,
            batch.resource,
            batch.sequence,
            counts.accepted,
            counts.inserted,
            counts.updated,
            counts.removed,
            len({fault.row for fault in batch.rejected}),
        )
        await message.ack()
        return None

    async def _commit(self, batch: Merge) -> Counts:
        """Merge, sign and keep the receipt in one transaction."""
        async with self._shop.pool.acquire(timeout=10) as connection, connection.transaction():
            counts = await ledger.stage_and_merge(connection, batch)
            receipt = BatchReceipt(
                department=batch.department,
                resource=batch.resource,
                sequence=batch.sequence,
                manifest_digest=batch.manifest_digest.hex(),
                accepted=counts.accepted,
                inserted=counts.inserted,
                updated=counts.updated,
                unchanged=counts.unchanged,
                rejected=batch.rejected,
                merged_at=datetime.now(UTC),
                removed=counts.removed,
            )
            key = self._shop.receipt_key
            text = sign_receipt(receipt, key.id, key.key)
            await ledger.note_screened(connection, batch)
            await ledger.store_receipt(connection, batch.department, batch.resource, batch.sequence, text)
        return counts

    async def _give_back(self, message: Msg, early: BatchOutOfSequence) -> None:
        if message.metadata.num_delivered > _GIVE_UP_AFTER:
            _log.warning("batch_too_early %s %s", self._department, early.fields)
            await message.term()
        else:
            await message.nak(delay=_RETRY_S)

    async def _refuse(self, message: Msg, resource: str | None, refusal: BatchError) -> None:
        """Note a refusal, tell the node why, and take the message out of the stream."""
        digest = hashlib.sha256(message.data).digest()
        await ledger.refuse(self._shop.pool, self._department, resource, refusal, digest)
        if resource is not None:
            told = Refusal(self._department, resource, digest.hex(), refusal.code, refusal.rule or "")
            key = self._shop.receipt_key
            self._shop.refusals[(self._department, resource)] = sign_refusal(told, key.id, key.key)
        part = f" part={refusal.fields['part']}" if "part" in refusal.fields else ""
        _log.warning("batch_refused %s %s %s%s", self._department, resource, refusal.code, part)
        await message.term()


def _addressed(message: Msg) -> tuple[str, str]:
    """Return the department and the resource on whose subject a message came."""
    try:
        return parse_subject(message.subject)
    except ValueError:
        raise BatchMalformed(part="subject") from None
