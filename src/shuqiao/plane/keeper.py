"""Keeps the worker's snapshot current."""

from __future__ import annotations

import asyncio
import logging

import asyncpg

from shuqiao.plane.database import Database, DatabaseUnavailable
from shuqiao.plane.metrics import Metrics
from shuqiao.plane.settings import STATEMENT_TIMEOUT_S
from shuqiao.plane.state import Snapshot
from shuqiao.wire.outages import DATABASE_TROUBLES

log = logging.getLogger("shuqiao.plane")

CHANNEL = "exchange_epoch"
RECONNECT_S = 1.0
CHECK_EVERY_S = 10.0
POLL_EVERY_S = 1.0


class Keeper:
    """Holds the current snapshot and replaces it when the epoch has moved.

    The notice is a hint that shortens the first call after a change. What makes a change certain is that
    every statement names the epoch it was decided on.
    """

    def __init__(self, database: Database, url: str, metrics: Metrics, *, is_pooled: bool = False) -> None:
        """Start with an empty snapshot, under which every call is refused."""
        self.current = Snapshot()
        self._database = database
        self._url = url
        self._is_pooled = is_pooled
        self._metrics = metrics
        self._loading = asyncio.Lock()
        self._changed = asyncio.Event()
        self.loaded = asyncio.Event()

    async def refresh(self, at_least: int) -> None:
        """Have a snapshot of this epoch or a later one; several that ask at once share one load."""
        async with self._loading:
            if self.current.epoch < at_least:
                self.current = await self._database.load(self.current)
                self._metrics.reloads += 1
                self.loaded.set()

    async def renew(self) -> bool:
        """Look whether a newer epoch holds, and load it then; raises `DatabaseUnavailable`."""
        before = self.current.epoch
        await self.refresh(await self._database.current_epoch())
        return self.current.epoch != before

    async def watch(self) -> None:
        """Reload on the notice and every few seconds, until cancelled; restores its own connection."""
        while True:
            try:
                await (self._poll() if self._is_pooled else self._listen())
            except DATABASE_TROUBLES as error:
                log.warning("epoch_notice_lost error=%s", type(error).__name__)
            except DatabaseUnavailable as error:
                log.warning("snapshot_not_loaded error=%s", error)
            except Exception:
                # A row nobody foresaw must not leave the worker deaf for good.
                log.exception("snapshot_faulty")
            await asyncio.sleep(RECONNECT_S)

    async def _poll(self) -> None:
        """Ask often: behind a pooler nobody can listen for the notice."""
        while True:
            await self.refresh(await self._database.current_epoch())
            await asyncio.sleep(POLL_EVERY_S)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(
            self._url, timeout=STATEMENT_TIMEOUT_S, command_timeout=STATEMENT_TIMEOUT_S
        )
        try:
            await connection.add_listener(CHANNEL, lambda *_: self._changed.set())
            connection.add_termination_listener(lambda *_: self._changed.set())
            while not connection.is_closed():
                await self.refresh(await self._database.current_epoch())
                try:
                    async with asyncio.timeout(CHECK_EVERY_S):
                        await self._changed.wait()
                except TimeoutError:
                    continue
                finally:
                    self._changed.clear()
        finally:
            connection.terminate()
