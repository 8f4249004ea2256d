"""What nodes report: their logs, held against the platform's own day by day, and how they are."""

from __future__ import annotations

import hashlib
import logging
from uuid import UUID

import asyncpg
import msgspec
from nats.aio.msg import Msg

from shuqiao.loader.consumer import OUTAGES, Workshop
from shuqiao.security import keys
from shuqiao.wire.held import Compared, Report, answered_of, encode, read_report
from shuqiao.wire.node_signed import NotTheNodes
from shuqiao.wire.node_state import NODE, read_state
from shuqiao.wire.subjects import check_department, parse_subject

_log = logging.getLogger("shuqiao.loader")
_NODE_KEY = "SELECT public_key FROM exchange.node WHERE department = $1 AND active"
_HEAR = "SELECT exchange.hear_node($1, $2::text::jsonb)"
_COMPARE = "SELECT exchange.compare_node_log($1, $2, $3, $4, $5, $6, $7, $8, $9)"


class ReportsService:
    """Takes what comes to `reports.<department>.<resource>` and `.node`; what can't be read has no answer."""

    def __init__(self, workshop: Workshop) -> None:
        """Remember where log and ledger are."""
        self._shop = workshop

    async def answer(self, message: Msg) -> None:
        """Take one report or state and acknowledge it when what was found is durable."""
        try:
            if message.subject.endswith(f".{NODE}"):
                await message.respond(await self._hear(message))
            else:
                await message.respond(await self._compared(message))
        except (
            NotTheNodes,
            ValueError,
            keys.KeyRefusedError,
            asyncpg.InvalidParameterValueError,
        ) as error:
            _log.warning("node_report_refused %s", error)
        except OUTAGES as error:
            _log.warning("node_report_waits %s", type(error).__name__)

    async def _hear(self, message: Msg) -> bytes:
        """Keep a node's state; the answer is what the office asks of it."""
        department = check_department(message.subject.split(".")[1])
        state = read_state(message.data, await self._node_key(department))
        if state.department != department:
            raise NotTheNodes("another's state")
        text = msgspec.json.encode(state).decode()
        orders = await self._shop.pool.fetchval(_HEAR, department, text, timeout=10)
        return str(orders).encode()

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
        public_key = await self._shop.pool.fetchval(_NODE_KEY, department, timeout=10)
        if public_key is None:
            raise NotTheNodes("no node")
        return keys.load_public_der(public_key)

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
