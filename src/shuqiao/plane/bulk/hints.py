"""What makes the process for copies look at once: a notice of a merged batch, a job that has just begun.

Each is a hint. Who waits looks by itself now and then too, so that a lost one costs a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import asyncpg

from shuqiao.plane.bulk.jobs import STATEMENT_TIMEOUT_S, TROUBLES

log = logging.getLogger("shuqiao.bulk")

CHANNEL = "exchange_batch"
RECONNECT_S = 1.0
CHECK_S = 10.0


class Hints:
    """Wakes those who wait for batches or jobs."""

    def __init__(self) -> None:
        """Begin with nothing to look at."""
        self._batch = asyncio.Event()
        self._job = asyncio.Event()

    def jobs_came(self) -> None:
        """Wake the slots: there may be a job for each."""
        self._job.set()

    def batches_came(self) -> None:
        """Have feeds looked at: one may have fallen behind."""
        self._batch.set()

    async def wait_job(self, most_s: float) -> None:
        """Wait until there may be a job."""
        await _wait(self._job, most_s)

    async def wait_batch(self, most_s: float) -> None:
        """Wait until a list that a feed follows may have a new batch."""
        await _wait(self._batch, most_s)

    async def listen(self, url: str) -> None:
        """Listen for batches until cancelled; restores its own connection."""
        while True:
            try:
                await self._listen(url)
            except TROUBLES as error:
                log.warning("batch_notice_lost error=%s", type(error).__name__)
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self, url: str) -> None:
        connection = await asyncpg.connect(
            url, timeout=STATEMENT_TIMEOUT_S, command_timeout=STATEMENT_TIMEOUT_S
        )
        try:
            await connection.add_listener(CHANNEL, lambda *_: self.batches_came())
            while not connection.is_closed():
                await asyncio.sleep(CHECK_S)
                await connection.fetchval("SELECT 1")
        finally:
            connection.terminate()


async def _wait(event: asyncio.Event, most_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            await event.wait()
    event.clear()
