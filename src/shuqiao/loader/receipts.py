"""Answering nodes that ask for their receipts: each sees its own department's only."""

from __future__ import annotations

import logging

import msgspec

from shuqiao.loader import ledger
from shuqiao.loader.consumer import OUTAGES, Workshop
from shuqiao.wire.batch_receipt import ReceiptsReply, ReceiptsRequest, encode_reply
from shuqiao.wire.nats_library import Msg
from shuqiao.wire.subjects import parse_subject

_log = logging.getLogger("shuqiao.loader")
_MAX_REQUEST_BYTES = 1024


class ReceiptsService:
    """Answers on `receipts.<department>.<resource>` from the ledger.

    NATS lets a department publish on its own subject only, so the subject says who asks. A request that can't
    be answered now gets no answer: the node asks again.
    """

    def __init__(self, workshop: Workshop) -> None:
        """Remember where the ledger is."""
        self._shop = workshop

    async def answer(self, message: Msg) -> None:
        """Answer one request."""
        try:
            department, resource = parse_subject(message.subject)
            if len(message.data) > _MAX_REQUEST_BYTES:
                return
            request = msgspec.json.decode(message.data, type=ReceiptsRequest)
            await message.respond(encode_reply(await self._reply(department, resource, request.after)))
        except (ValueError, msgspec.DecodeError):
            _log.warning("receipts_request_malformed")
        except OUTAGES as error:
            _log.warning("receipts_wait %s", type(error).__name__)

    async def _reply(self, department: str, resource: str, after: int) -> ReceiptsReply:
        pool = self._shop.pool
        last = await ledger.last_batch(pool, department, resource)
        found = (
            await ledger.receipts_after(pool, department, resource, after) if last.sequence > after else []
        )
        refusal = self._shop.refusals.get((department, resource))
        receipts = tuple(receipt for _, receipt in found)
        return ReceiptsReply(last.sequence, receipts, refusal, last.generation)
