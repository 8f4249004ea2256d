"""What nodes report: their logs, held against the platform's own day by day, and how they are."""

from __future__ import annotations

import hashlib
import logging
from uuid import UUID

import asyncpg
import msgspec

from shuqiao.loader import ledger
from shuqiao.loader.consumer import OUTAGES, Workshop
from shuqiao.loader.steps import answer_step
from shuqiao.security import keys
from shuqiao.wire.held import Compared, Report, answered_of, encode, read_report
from shuqiao.wire.nats_library import Msg
from shuqiao.wire.node_signed import NotTheNodes
from shuqiao.wire.node_state import NODE, decode_orders, encode_orders, read_state
from shuqiao.wire.reconciliation import RECONCILE
from shuqiao.wire.subjects import check_department, parse_subject

_log = logging.getLogger("shuqiao.loader")
_HEAR = "SELECT exchange.hear_node($1, $2::text::jsonb)"
_HEAR_MAPPINGS = "SELECT exchange.hear_mappings($1, $2::text::jsonb, $3::text::jsonb)"
_COMPARE = "SELECT exchange.compare_node_log($1, $2, $3, $4, $5, $6, $7, $8, $9)"


class ReportsService:
    """Takes what comes to `reports.<department>.<resource>`, `.node` and `.reconcile`.

    What can't be read has no answer.
    """

    def __init__(self, workshop: Workshop) -> None:
        """Remember where log and ledger are."""
        self._shop = workshop

    async def answer(self, message: Msg) -> None:
        """Take one report or state and acknowledge it when what was found is durable."""
        try:
            if message.subject.endswith(f".{RECONCILE}"):
                await answer_step(self._shop, message)
            elif message.subject.endswith(f".{NODE}"):
                await message.respond(await self._hear(message))
            else:
                await message.respond(await self._compared(message))
        except (NotTheNodes, ValueError, keys.KeyRefusedError) as error:
            _log.warning("node_report_refused %s", error)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            # Something that the database can't hold, as a NUL in a text; its words may quote it.
            _log.warning("node_report_refused %s %s", message.subject, type(error).__name__)
        except OUTAGES as error:
            _log.warning("node_report_waits %s", type(error).__name__)

    async def _hear(self, message: Msg) -> bytes:
        """Keep a node's state; the answer is what the office asks of it."""
        department = check_department(message.subject.split(".")[1])
        state = read_state(message.data, await self._node_key(department))
        if state.department != department:
            raise NotTheNodes("another's state")
        pool = self._shop.pool
        text = msgspec.json.encode(msgspec.structs.replace(state, mappings={})).decode()
        orders = decode_orders(str(await pool.fetchval(_HEAR, department, text, timeout=10)).encode())
        used = {line.resource: line.mapping for line in state.lines}
        describe = await pool.fetchval(
            _HEAR_MAPPINGS,
            department,
            msgspec.json.encode(used).decode(),
            msgspec.json.encode(state.mappings).decode(),
            timeout=10,
        )
        rules = (await self._shop.rules.screen(pool)).rules
        return encode_orders(
            msgspec.structs.replace(
                orders,
                describe=tuple(describe),
                screening=None if rules.version == state.screening else rules,
            )
        )

    async def _compared(self, message: Msg) -> bytes:
        department, resource = parse_subject(message.subject)
        report = read_report(message.data, await self._node_key(department))
        if (report.department, report.resource) != (department, resource):
            raise NotTheNodes("another's report")
        differences = await self._compare(report, message.data)
        if differences:
            _log.warning("node_log_differs department=%s count=%s", department, differences)
        return encode(Compared(differences))

    async def _node_key(self, department: str) -> keys.PublicKey:
        key = await ledger.node_key(self._shop.pool, department)
        if key is None:
            raise NotTheNodes("no node")
        return key

    async def _compare(self, report: Report, message: bytes) -> int:
        lines = answered_of(report)
        found = await self._shop.pool.fetchval(
            _COMPARE,
            report.department,
            report.resource,
            report.since,
            report.until,
            [UUID(bytes=one.call) for one in lines],
            [one.digest for one in lines],
            report.line,
            report.head,
            hashlib.sha256(message).digest(),
            timeout=60,
        )
        return int(found)
