"""One department's batches, in order: the next is checked while the one before is being merged.

Every message ends in exactly one of four ways: merged and acknowledged after the commit; acknowledged because
the ledger has it already; refused whole, noted in ledger and audit log, and taken out of the stream; or given
back, to come again when what it waits for is there. A batch leaves its node's spool only with the receipt, so
taking a message out of the stream never loses it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import asyncpg
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from shuqiao.loader import ledger
from shuqiao.loader.ledger import Counts, Merge
from shuqiao.loader.prepare import check_sequence, separate, trust
from shuqiao.loader.streams import ensure_consumer
from shuqiao.rules.errors import BatchError, BatchMalformed, BatchOutOfSequence
from shuqiao.security.keys import SigningKey
from shuqiao.wire.batch_receipt import BatchReceipt, Refusal, sign_receipt
from shuqiao.wire.subjects import STREAM, consumer_name, parse_subject
from shuqiao.wire.vault import VaultClient, VaultError

_log = logging.getLogger("shuqiao.loader")
_ZONE = ZoneInfo("Asia/Shanghai")
_FETCH = 2
_FETCH_S = 5.0
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
    """What all departments' consumers share; `refusals` are hints for nodes, by department and resource."""

    pool: asyncpg.Pool
    stream: JetStreamContext
    vault: VaultClient
    receipt_key: ReceiptKey
    today: Callable[[], date] = today_here
    refusals: dict[tuple[str, str], Refusal] = field(default_factory=dict)


class DepartmentConsumer:
    """Takes one department's batches from the stream to the base tables."""

    def __init__(self, workshop: Workshop, department: str) -> None:
        """Remember what to work with; nothing is fetched yet."""
        self._shop = workshop
        self._department = department
        self._last: dict[str, int] = {}
        self._merging: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Work until cancelled, starting afresh after any outage."""
        while True:
            try:
                await self._consume()
            except (*OUTAGES, NotFoundError) as error:
                _log.warning("loading_waits %s %s", self._department, type(error).__name__)
                await asyncio.sleep(_RETRY_S)
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
                    messages = await subscription.fetch(_FETCH, timeout=_FETCH_S)
                except TimeoutError:
                    messages = []
                for message in messages:
                    await self._handle(message)
                await self._finish()
        finally:
            if self._merging is not None:
                self._merging.cancel()
                await asyncio.gather(self._merging, return_exceptions=True)
                self._merging = None
            await subscription.unsubscribe()

    async def _handle(self, message: Msg) -> None:
        try:
            department, resource = parse_subject(message.subject)
        except ValueError:
            await self._finish()
            await self._refuse(message, None, BatchMalformed(part="subject"))
            return
        try:
            batch = await self._prepare(department, resource, message)
            if batch is None:
                await self._finish()
                await message.ack()
                return
        except BatchOutOfSequence as early:
            await self._finish()
            await self._give_back(message, resource, early)
            return
        except BatchError as refusal:
            await self._finish()
            await self._refuse(message, resource, refusal)
            return
        await self._finish()
        self._last[resource] = batch.sequence
        self._merging = asyncio.create_task(self._merge(batch, message))

    async def _prepare(self, department: str, resource: str, message: Msg) -> Merge | None:
        """Return what is to be merged, or None where the ledger has the batch already."""
        pool = self._shop.pool
        batch = await trust(pool, department, resource, message.data)
        if resource not in self._last:
            self._last[resource] = await ledger.last_sequence(pool, department, resource)
        if not check_sequence(batch.manifest, self._last[resource]):
            return None
        return await separate(self._shop.vault, batch, self._shop.today())

    async def _finish(self) -> None:
        """Wait until the batch before is merged; its failure is raised here."""
        if self._merging is not None:
            task, self._merging = self._merging, None
            await task

    async def _merge(self, batch: Merge, message: Msg) -> None:
        try:
            counts = await self._commit(batch)
        except asyncpg.DataError:
            # A value that no check foresaw must not stop the department for ever.
            self._last.pop(batch.resource, None)
            await self._refuse(message, batch.resource, BatchMalformed(part="plain"))
            return
        except asyncpg.ObjectNotInPrerequisiteStateError:
            # Another loader merged it meanwhile: the ledger is read again when the message comes back.
            self._last.pop(batch.resource, None)
            await message.nak(delay=_RETRY_S)
            return
        self._shop.refusals.pop((batch.department, batch.resource), None)
        _log.info(
            "batch_merged %s %s sequence=%d accepted=%d inserted=%d updated=%d rejected=%d",
            batch.department,
            batch.resource,
            batch.sequence,
            counts.accepted,
            counts.inserted,
            counts.updated,
            len({fault.row for fault in batch.rejected}),
        )
        await message.ack()

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
            )
            key = self._shop.receipt_key
            text = sign_receipt(receipt, key.id, key.key)
            await ledger.store_receipt(connection, batch.department, batch.resource, batch.sequence, text)
        return counts

    async def _give_back(self, message: Msg, resource: str, early: BatchOutOfSequence) -> None:
        if message.metadata.num_delivered > _GIVE_UP_AFTER:
            _log.warning("batch_too_early %s %s %s", self._department, resource, early.fields)
            await message.term()
        else:
            await message.nak(delay=_RETRY_S)

    async def _refuse(self, message: Msg, resource: str | None, refusal: BatchError) -> None:
        digest = hashlib.sha256(message.data).digest()
        await ledger.refuse(self._shop.pool, self._department, resource, refusal.code, digest)
        if resource is not None:
            hint = Refusal(self._last.get(resource, 0), refusal.code)
            self._shop.refusals[(self._department, resource)] = hint
        _log.warning("batch_refused %s %s %s", self._department, resource, refusal.code)
        await message.term()
