"""Bringing the node's log to the hub once a day, so that the two logs can be held against each other.

A report names the answered calls of a stretch of time and the digests of their lines, no word of what they
were about. The hub compares it with its own entries; what is not acknowledged is brought again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from shuqiao.edge.disk import DiskFull
from shuqiao.edge.held.store import Store
from shuqiao.security import keys
from shuqiao.wire.held import (
    MAX_REPORT_LINES,
    Compared,
    Report,
    decode_compared,
    report_subject,
    sign_report,
)
from shuqiao.wire.nats_client import Client
from shuqiao.wire.nats_library import NatsError

_log = logging.getLogger("shuqiao.edge")
_TIMEOUT_S = 30.0
_RETRY_S = 60.0
_TROUBLES = (NatsError, OSError, asyncio.TimeoutError, msgspec.MsgspecError, DiskFull)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often the log is brought, and how old a call must be: none may still be under way."""

    every_s: float = 86_400.0
    margin_s: float = 900.0


class Reporter:
    """Brings the log of each resource; a day without calls is brought too, or the hub would not know."""

    def __init__(
        self,
        department: str,
        resources: Collection[str],
        store: Store,
        key: keys.SigningKey,
        connect: Callable[[], Awaitable[Client]],
        rhythm: Rhythm,
    ) -> None:
        """Nothing is opened yet."""
        self._department = department
        self._resources = resources
        self._store = store
        self._key = key
        self._connect = connect
        self._rhythm = rhythm

    async def run(self) -> None:
        """Work until cancelled."""
        if not self._resources:
            await asyncio.Event().wait()
        while True:
            try:
                client = await self._connect()
                try:
                    for resource in self._resources:
                        await self._bring(client, resource)
                finally:
                    await client.close()
                pause_s = self._rhythm.every_s
            except _TROUBLES as error:
                _log.warning("held_report_waits %s", type(error).__name__)
                pause_s = min(_RETRY_S, self._rhythm.every_s)
            await asyncio.sleep(pause_s)

    async def _bring(self, client: Client, resource: str) -> None:
        """Bring all that is old enough, a stretch at a time."""
        end = int(time.time() - self._rhythm.margin_s)
        since = await asyncio.to_thread(self._store.reported, resource)
        since = 0 if since is None else since
        while since < end:
            report, until = await asyncio.to_thread(self._report, resource, since, end)
            subject = report_subject(self._department, resource)
            reply = await client.request(subject, sign_report(report, self._key), timeout=_TIMEOUT_S)
            said: Compared = decode_compared(reply.data)
            await asyncio.to_thread(self._store.note_report, resource, until)
            _log.info("held_reported resource=%s differences=%s", resource, said.differences)
            since = until

    def _report(self, resource: str, since: int, end: int) -> tuple[Report, int]:
        rows = self._store.answered(resource, since, end, MAX_REPORT_LINES + 1)
        until = end
        if len(rows) > MAX_REPORT_LINES:
            # The stretch ends with the last whole second that fits.
            until = max(rows[-1][0], since + 1)
            rows = [row for row in rows[:MAX_REPORT_LINES] if row[0] < until]
        head = self._store.head()
        report = Report(
            self._department,
            resource,
            datetime.fromtimestamp(since, UTC),
            datetime.fromtimestamp(until, UTC),
            b"".join(row[1] for row in rows),
            b"".join(row[2] for row in rows),
            head.number,
            head.digest,
        )
        return report, until
