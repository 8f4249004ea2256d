"""Holding the logs of nodes against the platform's own, as they are brought day by day."""

from __future__ import annotations

import hashlib
import logging
from uuid import UUID

import asyncpg
from nats.aio.msg import Msg

from shuqiao.loader.consumer import OUTAGES, Workshop
from shuqiao.security import keys
from shuqiao.wire.held import Compared, Report, answered_of, encode, read_report
from shuqiao.wire.node_signed import NotTheNodes
from shuqiao.wire.subjects import parse_subject

_log = logging.getLogger("shuqiao.loader")
_NODE_KEY = "SELECT public_key FROM exchange.node WHERE department = $1 AND active"
_COMPARE = "SELECT exchange.compare_node_log($1, $2, $3, $4, $5, $6, $7, $8, $9)"


class ReportsService:
    """Compares what comes on `reports.<department>.<resource>`; one that can't be compared gets no answer."""

    def __init__(self, workshop: Workshop) -> None:
        """Remember where the log is."""
        self._shop = workshop

    async def answer(self, message: Msg) -> None:
        """Compare one report and acknowledge it when what was found is durable."""
        try:
            department, resource = parse_subject(message.subject)
            public_key = await self._shop.pool.fetchval(_NODE_KEY, department, timeout=10)
            if public_key is None:
                raise NotTheNodes("no node")
            report = read_report(message.data, keys.load_public_der(public_key))
            if (report.department, report.resource) != (department, resource):
                raise NotTheNodes("another's report")
            differences = await self._compare(report, message.data)
            if differences:
                _log.warning("node_log_differs department=%s count=%s", department, differences)
            await message.respond(encode(Compared(differences)))
        except (
            NotTheNodes,
            ValueError,
            keys.KeyRefusedError,
            asyncpg.InvalidParameterValueError,
        ) as error:
            _log.warning("node_report_refused %s", error)
        except OUTAGES as error:
            _log.warning("node_report_waits %s", type(error).__name__)

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
