"""Sending one resource's batches in order, and deleting each when the hub's signed receipt is there.

A refused batch stays in the spool. Where its content is at fault its rows are read again in smaller pages,
until the one row that the hub can't take is found and reported; where something else is, it is sent again
after pauses that double.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from shuqiao.edge.capture import Capture
from shuqiao.edge.disk import DiskFull
from shuqiao.edge.hub import Hub, HubAwayError, UnansweredError
from shuqiao.edge.spool import Outcome, Spool, SpooledBatch
from shuqiao.rules.errors import BatchMalformed, BatchSignatureInvalid
from shuqiao.security.keys import PublicKey
from shuqiao.wire.batch_receipt import BatchReceipt, ReceiptsReply, Refusal, check_receipt, check_refusal
from shuqiao.wire.node_state import Unacknowledged
from shuqiao.wire.package import MAX_ROWS

_log = logging.getLogger("shuqiao.edge")
_WINDOW = 4
_BUSY_S = 0.1
_IDLE_S = 5.0
_RETRY_S = 1.0
_LONGEST_PAUSE_S = 900.0
"""Between two tries of a batch that is refused: long enough to cost nothing, short enough after a repair."""
_MOST_REBUILDS = 8
"""So often a refused batch is built anew at once: the search for a row at fault needs fewer, and no search
finds a removal that is refused."""


@dataclass
class DeliveryState:
    """What the status file says about sending one resource; `next_try` is on the monotonic clock.

    `rule` cites what a refusal rests on, as the hub says it. `hub_away` says why the hub is out of reach, and
    is empty where it is not. `unacknowledged` is the last time that batches were not acknowledged.
    """

    hub_away: str = ""
    unacknowledged: Unacknowledged | None = None
    refused: str | None = None
    rule: str = ""
    next_try: float | None = None
    receipt_fault: str | None = None

    @property
    def is_unacknowledged(self) -> bool:
        """Whether the batch that is next was not acknowledged when it was last handed over."""
        return self.unacknowledged is not None and self.unacknowledged.lasts


def once_more(known: Unacknowledged | None, why: str, now: datetime) -> Unacknowledged:
    """Count a try that was not acknowledged to those that lasted, or as the first of new ones."""
    if known is None or not known.lasts:
        return Unacknowledged(1, now, None, why)
    return msgspec.structs.replace(known, tries=known.tries + 1, why=why)


def acknowledged(known: Unacknowledged | None, now: datetime) -> Unacknowledged | None:
    """Note that the message server has acknowledged what was to be handed over."""
    if known is None or not known.lasts:
        return known
    return msgspec.structs.replace(known, until=now)


class Delivery:
    """Sends what the capture of one resource puts into the spool."""

    def __init__(
        self,
        department: str,
        capture: Capture,
        spool: Spool,
        hub: Hub,
        receipt_keys: dict[str, PublicKey],
        resend_s: float,
    ) -> None:
        """Put the parts together; nothing is sent yet."""
        self.state = DeliveryState()
        self._department = department
        self._capture = capture
        self._resource = capture.mapping.resource
        self._spool = spool
        self._hub = hub
        self._keys = receipt_keys
        self._resend_s = resend_s
        self._progress = (0, time.monotonic())
        self._tries = 0
        self._rebuilds = 0
        self._refused: str | None = None

    async def run(self) -> None:
        """Send and collect receipts until cancelled; a hub that is away is asked again and again."""
        while True:
            try:
                waits = await self.step()
                self.state.hub_away = ""
                pause_s = _BUSY_S if waits else _IDLE_S
                if self.state.is_unacknowledged:
                    pause_s = _RETRY_S
            except DiskFull:
                # A receipt that can't be noted is asked for again; the capture tells why it waits.
                pause_s = _RETRY_S
            except HubAwayError as error:
                if self.state.hub_away != str(error):
                    _log.warning("hub_away %s %s", self._resource, error)
                self.state.hub_away = str(error)
                pause_s = _RETRY_S
            await self._pause(pause_s)

    async def step(self) -> bool:
        """Send what has not been sent, then ask for receipts; returns whether batches still wait."""
        if await asyncio.to_thread(self._spool.state, self._resource) is None:
            return False
        await self._send()
        first, _, _ = await asyncio.to_thread(self._spool.waiting, self._resource)
        reply = await self._hub.receipts(self._resource, first - 1)
        await self._take(reply)
        _, _, since = await asyncio.to_thread(self._spool.waiting, self._resource)
        return since is not None

    async def _send(self) -> None:
        """Hand over what is not in the stream; receipts are asked for even where it takes nothing."""
        for batch in await asyncio.to_thread(self._spool.unsent, self._resource, _WINDOW):
            try:
                await self._hub.hand_over(self._resource, batch.message)
            except HubAwayError as error:
                known = self.state.unacknowledged
                if known is None or not known.lasts:
                    _log.warning("batch_unacknowledged %s sequence=%d", self._resource, batch.sequence)
                self.state.unacknowledged = once_more(known, str(error), datetime.now(UTC))
                if not isinstance(error, UnansweredError):
                    raise
                return
            await asyncio.to_thread(self._spool.mark_sent, self._resource, batch.sequence)
        # Nothing is left that was not taken; a receipt may have settled what had no answer.
        self.state.unacknowledged = acknowledged(self.state.unacknowledged, datetime.now(UTC))

    async def _take(self, reply: ReceiptsReply) -> None:
        if not await self._agrees(reply):
            return
        for text in reply.receipts:
            try:
                receipt = check_receipt(text, self._keys)
                await self._settle(receipt)
            except (ValueError, msgspec.DecodeError) as error:
                # Without a receipt that can be trusted the batch stays in the spool.
                self.state.receipt_fault = str(error)
                _log.error("receipt_refused %s", self._resource)
                return
        self.state.receipt_fault = None
        if reply.last != self._progress[0]:
            self._progress, self._tries, self._rebuilds = (reply.last, time.monotonic()), 0, 0
        _, _, since = await asyncio.to_thread(self._spool.waiting, self._resource)
        first = None
        if since is not None and reply.refusal is not None:
            first = await asyncio.to_thread(self._spool.first, self._resource)
        refusal = self._refusal_of(first, reply)
        self.state.refused = refusal.code if refusal else None
        self.state.rule = refusal.rule if refusal else ""
        if since is None:
            self._progress = (reply.last, time.monotonic())
        elif first is not None and refusal is not None:
            await self._after_refusal(first, refusal, reply)
        else:
            await self._watch_progress()

    async def _agrees(self, reply: ReceiptsReply) -> bool:
        """Compare the hub's ledger with the spool; where they contradict each other, load in full again.

        That is so when the hub was restored from an older backup, or the node's disk was.
        """
        async with self._capture.state.exclusive:
            first, _, _ = await asyncio.to_thread(self._spool.waiting, self._resource)
            state = await asyncio.to_thread(self._spool.state, self._resource)
            # The hub takes nothing of an earlier generation than it has already merged.
            if (
                state is not None
                and first - 1 <= reply.last < state.next.sequence
                and reply.generation <= state.next.generation
            ):
                return True
            _log.error("ledger_disagrees %s last=%d first=%d", self._resource, reply.last, first)
            await self._capture.begin_after(reply)
            return False

    async def _settle(self, receipt: BatchReceipt) -> None:
        if (receipt.department, receipt.resource) != (self._department, self._resource):
            raise ValueError("the receipt is for another resource")
        digest = await asyncio.to_thread(self._spool.digest, self._resource, receipt.sequence)
        if digest is None:
            return
        if digest != receipt.manifest_digest:
            _log.error("receipt_of_other_batch %s sequence=%d", self._resource, receipt.sequence)
            async with self._capture.state.exclusive:
                reply = await self._hub.receipts(self._resource, receipt.sequence)
                await self._capture.begin_after(reply)
            return
        rejected = msgspec.json.encode(receipt.rejected).decode()
        outcome = Outcome(receipt.accepted, rejected, receipt.merged_at.isoformat())
        await asyncio.to_thread(
            self._spool.receipted,
            self._resource,
            receipt.sequence,
            outcome,
            is_full=receipt.accepted >= MAX_ROWS,
            gained=receipt.inserted - receipt.removed,
        )

    def _refusal_of(self, first: SpooledBatch | None, reply: ReceiptsReply) -> Refusal | None:
        """Return the hub's refusal of the batch that is next, if that is what it refused."""
        if first is None or reply.refusal is None:
            return None
        try:
            refusal = check_refusal(reply.refusal, self._keys)
        except (ValueError, msgspec.DecodeError) as error:
            self.state.receipt_fault = str(error)
            return None
        place = (refusal.department, refusal.resource, refusal.message)
        is_this = place == (self._department, self._resource, hashlib.sha256(first.message).hexdigest())
        return refusal if is_this else None

    async def _after_refusal(self, first: SpooledBatch, refusal: Refusal, reply: ReceiptsReply) -> None:
        """Build the batch again, at once while that may help, else after a pause; or send it again."""
        now = time.monotonic()
        is_content = refusal.code == BatchMalformed.code
        # A batch from before the node got another key is signed anew by being built again.
        is_old_key = refusal.code == BatchSignatureInvalid.code and not self._capture.signs_as(first.message)
        is_new = first.digest != self._refused
        self._refused = first.digest
        may_search = not self._capture.has_emptied and self._rebuilds < _MOST_REBUILDS
        may_help = is_old_key or (is_content and may_search)
        if is_new and may_help:
            self.state.next_try = None
        elif is_new or self.state.next_try is None:
            # What was built anew after a pause is refused within the next one, which goes on.
            if self.state.next_try is None or now >= self.state.next_try:
                self._wait_longer(now)
            return
        elif now < self.state.next_try:
            return
        else:
            self._wait_longer(now)
        _log.warning("refused_batch_again %s %s sequence=%d", self._resource, refusal.code, first.sequence)
        if is_content or is_old_key:
            self._rebuilds += 1
            await self._capture.build_again(first, reply, narrower=is_content)
        else:
            await asyncio.to_thread(self._spool.send_again, self._resource)

    def _wait_longer(self, now: float) -> None:
        self.state.next_try = now + min(self._resend_s * 2**self._tries, _LONGEST_PAUSE_S)
        self._tries = min(self._tries + 1, 30)

    async def _watch_progress(self) -> None:
        """Send everything again when the hub's ledger has not moved for a while although batches wait."""
        last, since = self._progress
        if time.monotonic() - since > self._resend_s:
            _log.warning("sending_again %s after=%d", self._resource, last)
            await asyncio.to_thread(self._spool.send_again, self._resource)
            self._progress = (last, time.monotonic())

    async def _pause(self, seconds: float) -> None:
        spooled = self._capture.state.spooled
        try:
            async with asyncio.timeout(seconds):
                await spooled.wait()
        except TimeoutError:
            return
        finally:
            spooled.clear()
