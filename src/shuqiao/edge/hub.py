"""The node's side of the subjects it may use: hand over batches, ask for receipts, tell its state.

Every call waits for an answer: a publication the server forbids is otherwise dropped without a word.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from shuqiao.rules.errors import BatchMalformed
from shuqiao.wire.batch_receipt import ReceiptsReply, ReceiptsRequest, decode_reply
from shuqiao.wire.nats_client import Client, Link
from shuqiao.wire.nats_library import NatsError, NoRespondersError
from shuqiao.wire.node_state import Orders, decode_orders, state_subject
from shuqiao.wire.reconciliation import Reply, reconcile_subject
from shuqiao.wire.reconciliation import decode_reply as decode_step_reply
from shuqiao.wire.subjects import STREAM, ingest_subject, receipts_subject

_TIMEOUT_S = 5.0
_MAX_WHY = 120
_FAULTS = (
    NatsError,
    OSError,
    asyncio.TimeoutError,
    BatchMalformed,
    msgspec.DecodeError,
    msgspec.ValidationError,
)


class HubAwayError(Exception):
    """The hub gave no usable answer in time; the node keeps what it has and tries again."""


class UnansweredError(HubAwayError):
    """The link is there, and what was asked had no answer, or one that is none."""


class _StreamError(msgspec.Struct):
    description: str = ""


class _StreamAnswer(msgspec.Struct):
    stream: str = ""
    error: _StreamError | None = None


class Hub:
    """A connection to the hub that is opened when it is first needed and again whenever it broke."""

    def __init__(
        self, department: str, connect: Callable[[], Awaitable[Client]], link: Link | None = None
    ) -> None:
        """Remember how to connect; nothing is opened yet. `link` says why there is none."""
        self._department = department
        self._connect = connect
        self._link = link or Link()
        self._opening: asyncio.Task[Client] | None = None
        self.last_contact: float | None = None

    async def hand_over(self, resource: str, message: bytes) -> None:
        """Put a message into the stream; returns when the stream has acknowledged it.

        Raises `UnansweredError` where the link is there and the acknowledgement is not, `HubAwayError`.
        """
        data = await self._request(ingest_subject(self._department, resource), message)
        try:
            answer = msgspec.json.decode(data, type=_StreamAnswer)
        except _FAULTS as error:
            raise UnansweredError(type(error).__name__) from None
        if answer.error is not None or answer.stream != STREAM:
            why = answer.error.description[:_MAX_WHY] if answer.error else "it is another stream"
            raise UnansweredError(f"the stream takes no batch: {why}")
        self.last_contact = time.time()

    async def receipts(self, resource: str, after: int) -> ReceiptsReply:
        """Return the hub's last sequence and receipts after `after`."""
        question = msgspec.json.encode(ReceiptsRequest(after))
        data = await self._request(receipts_subject(self._department, resource), question)
        try:
            reply = decode_reply(data)
        except _FAULTS as error:
            raise HubAwayError(type(error).__name__) from None
        self.last_contact = time.time()
        return reply

    async def tell(self, state: bytes) -> Orders:
        """Bring the node's signed state and return what the hub asks."""
        data = await self._request(state_subject(self._department), state)
        try:
            orders = decode_orders(data)
        except _FAULTS as error:
            raise HubAwayError(type(error).__name__) from None
        self.last_contact = time.time()
        return orders

    async def reconcile(self, step: bytes) -> Reply:
        """Bring a signed step of a reconciliation and return what the hub wants next."""
        data = await self._request(reconcile_subject(self._department), step)
        try:
            reply = decode_step_reply(data)
        except _FAULTS as error:
            raise HubAwayError(type(error).__name__) from None
        self.last_contact = time.time()
        return reply

    async def close(self) -> None:
        """Close the connection."""
        if self._opening is None:
            return
        self._opening.cancel()
        with suppress(asyncio.CancelledError, *_FAULTS):
            await (await self._opening).close()

    async def _request(self, subject: str, data: bytes) -> bytes:
        try:
            client = await self._opened()
            if not client.is_connected:
                # The client would hold the message back and send it whenever the link returns.
                raise HubAwayError(self._link.fault or "the link is being restored")
        except _FAULTS as error:
            raise HubAwayError(self._link.fault or type(error).__name__) from None
        try:
            reply = await client.request(subject, data, timeout=_TIMEOUT_S)
        except NoRespondersError:
            raise UnansweredError("nobody at the hub takes it") from None
        except _FAULTS as error:
            if not client.is_connected:
                raise HubAwayError(self._link.fault or type(error).__name__) from None
            raise UnansweredError(f"no answer within {_TIMEOUT_S:.0f} s") from None
        return bytes(reply.data)

    async def _opened(self) -> Client:
        """Return the connection; one that can't be made yet is tried on, and waited for a moment only."""
        opening = self._opening
        if opening is None or (opening.done() and (opening.exception() or opening.result().is_closed)):
            opening = self._opening = asyncio.ensure_future(self._connect())
        async with asyncio.timeout(_TIMEOUT_S):
            return await asyncio.shield(opening)
