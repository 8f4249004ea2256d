"""Takes the steps of reconciliations that nodes say, keeps them in the ledger, and says what was answered.

What is to be answered is found by `loader.reconciling`. Source: decision 41.
"""

from __future__ import annotations

from uuid import UUID

from shuqiao.loader import ledger
from shuqiao.loader.consumer import Workshop
from shuqiao.wire.nats_library import Msg
from shuqiao.wire.node_signed import NotTheNodes
from shuqiao.wire.reconciliation import Failed, Mended, Reply, Step, Waiting, encode_reply, read_step
from shuqiao.wire.subjects import check_department

_TAKE = "SELECT exchange.take_reconciliation_step($1, $2, $3, $4, $5, $6)::text"
_FOLLOW = "SELECT exchange.follow_reconciliation($1, $2, $3, $4)"
_FAIL = "SELECT exchange.fail_reconciliation($1, $2, $3)"
_END_MENDING = "SELECT exchange.end_mending($1, $2, $3)"


async def answer_step(shop: Workshop, message: Msg) -> None:
    """Keep one step and say what was answered to it; raises `NotTheNodes`."""
    department = check_department(message.subject.split(".")[1])
    key = await ledger.node_key(shop.pool, department)
    if key is None:
        raise NotTheNodes("no node")
    step = read_step(message.data, key)
    if step.department != department:
        raise NotTheNodes("another's reconciliation")
    await message.respond(await _take(shop, step, message.data))


async def _take(shop: Workshop, step: Step, data: bytes) -> bytes:
    pool, task, over = shop.pool, UUID(hex=step.id), Reply("over")
    match step.said:
        case Waiting(phase, done):
            wanted = await pool.fetchval(_FOLLOW, step.department, task, phase, done, timeout=10)
            return encode_reply(Reply("working") if wanted else over)
        case Failed(code):
            await pool.execute(_FAIL, step.department, task, code, timeout=10)
            return encode_reply(over)
        case Mended(rows):
            await pool.execute(_END_MENDING, step.department, task, rows, timeout=10)
            return encode_reply(over)
    given = (step.department, step.resource, task, step.run, step.step, data)
    found = await pool.fetchval(_TAKE, *given, timeout=10)
    return encode_reply(Reply("working")) if found is None else str(found).encode()
