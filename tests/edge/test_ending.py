"""A node ends when it is told, also where the word meets the end of what a task waits for."""

from __future__ import annotations

import asyncio

import pytest

from shuqiao.edge.connectors.postgresql_log import PostgresqlLog
from shuqiao.wire.tasks import end_tasks
from tests.edge.followed import fill, mapping
from tests.plugins.logged import LoggedServer, in_logged


async def test_a_stream_whose_reader_is_cancelled_as_changes_come_does_not_read_on(
    logged_embedded: LoggedServer,
) -> None:
    with in_logged(logged_embedded) as source:
        fill(source.run, 3)
        log = PostgresqlLog(source.url, mapping())
        await log.resume(await log.begin())
        stream = log._opened()
        while await stream.wait(0.3):
            while stream.take() is not None:
                pass
        reading = asyncio.ensure_future(stream.wait(10))
        await asyncio.sleep(0)
        # Both at once, before the reader runs again.
        stream._on_readable()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(reading, 5)
        await log.close()


async def test_a_task_that_loses_the_word_is_told_again() -> None:
    came, waiting, rounds = asyncio.Event(), asyncio.Event(), 0

    async def work() -> None:
        nonlocal rounds
        while True:
            waiting.set()
            try:
                await came.wait()
            except asyncio.CancelledError:
                # What `asyncio.wait_for` of Python 3.11 makes of it where something came in the same moment.
                if rounds:
                    raise
            rounds += 1

    task = asyncio.ensure_future(work())
    await waiting.wait()
    async with asyncio.timeout(30):
        await end_tasks([task])
    assert (task.cancelled(), rounds) == (True, 1)
