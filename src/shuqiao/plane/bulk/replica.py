"""Reading copies on a standby server, so that a whole list doesn't cost the primary what calls need.

The standby can make no view and write no entry. So the primary makes the view and commits it; once the
standby has the view, it has every revocation and every batch that was committed before. What it is then asked
for is no older than the request. The entry is written, and the grant looked at again, on the primary.
Source: our choice, decision 30.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg

from shuqiao.plane.bulk import jobs
from shuqiao.plane.bulk.jobs import Job
from shuqiao.plane.pooler import connection_options, keep_as_it_is

POLL_S = 0.1


class ReplicaBehind(Exception):
    """The standby has not caught up in time; the primary is read instead."""


class Opened(NamedTuple):
    """A copy as the standby has it: where its rows are read, their number, and the last batch in them."""

    connection: jobs.Connection
    source: str
    rows: int
    to_sequence: int


class Replica:
    """The connections to a standby; made when they are needed."""

    def __init__(self, url: str, wait_s: float, slots: int) -> None:
        """Remember the address, and how long it may lag before the primary is read."""
        self._url = url
        self._wait_s = wait_s
        self._slots = slots
        self._pool: jobs.Pool | None = None

    def close(self) -> None:
        """Hang up."""
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def reading(self, job: Job, view: str, epoch: int) -> AsyncIterator[Opened]:
        """Open a view in one state of the data, decided over on this epoch; raises `ReplicaBehind`."""
        pool = await self._connected()
        async with pool.acquire(timeout=self._wait_s) as connection:
            await self._wait_for(connection, f'copying."{view}"')
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute(jobs.HOLD_SETTINGS)
                if await connection.fetchval("SELECT value FROM exchange.epoch") < epoch:
                    raise ReplicaBehind
                source = f'copying."{view}"'
                rows = await connection.fetchval(f"SELECT count(*) FROM {source}")
                last = await connection.fetchval(
                    "SELECT exchange.last_sequence($1, $2)", job.provider, job.resource_id
                )
                yield Opened(connection, source, rows, last)

    async def _wait_for(self, connection: jobs.Connection, source: str) -> None:
        until_s = time.monotonic() + self._wait_s
        while not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", source):
            if time.monotonic() > until_s:
                raise ReplicaBehind
            await asyncio.sleep(POLL_S)

    async def _connected(self) -> jobs.Pool:
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._slots,
                timeout=self._wait_s,
                command_timeout=None,
                reset=keep_as_it_is,
                **connection_options(is_pooled=False, name="shuqiao-bulk-replica", settings=jobs.SETTINGS),
            )
        return self._pool
