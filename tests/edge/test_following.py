"""A table followed by its database's log: nothing lost, nothing doubled, nothing back in time."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from shuqiao.wire.tasks import end_tasks
from tests.edge.followed import RESOURCE, Target, Writers, begun_spool, fill, following
from tests.plugins.logged import LoggedSource

SEED = int(os.environ.get("SHUQIAO_TEST_SEED", random.randrange(10**6)))


async def ended(made: Any) -> None:
    """Give back all that it uses."""
    await made.close()
    await made._source.close()


async def live(made: Any, seconds: float) -> None:
    """Let it work for so long, then end it in whatever it does."""
    task = asyncio.ensure_future(made.run())
    done, _ = await asyncio.wait([task], timeout=seconds)
    await end_tasks([task])
    assert not done
    await ended(made)


def is_same(source: LoggedSource, target: Target) -> bool:
    """Compare source and target row by row."""
    return {row[0]: row for row in source.rows()} == target.rows


async def until_same(
    source: LoggedSource, made: Any, spool: Any, target: Target, timeout_s: float = 40
) -> None:
    """Let it work until the target has all that the source has."""
    task = asyncio.ensure_future(made.run())
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                await asyncio.sleep(0.1)
                assert not task.done(), task.result()
                await asyncio.to_thread(target.play, spool)
                state = spool.state(RESOURCE)
                if state.position.phase == "changes" and not state.is_end_due and is_same(source, target):
                    target.play(spool)
                    return
    except TimeoutError:
        theirs = {row[0]: row for row in source.rows()}
        wrong = {k: (theirs.get(k), target.rows.get(k)) for k in theirs.keys() | target.rows.keys()}
        wrong = {k: (str(a)[:60], str(b)[:60]) for k, (a, b) in wrong.items() if a != b}
        pytest.fail(
            f"seed {SEED}: fault {made.state.fault}, {len(wrong)} differ, such as {list(wrong.items())[:3]}"
        )
    finally:
        await end_tasks([task])
        await ended(made)


async def test_the_full_load_and_the_log_join_while_all_is_written(
    logged_source: LoggedSource, tmp_path: Path
) -> None:
    fill(logged_source.run, 900)
    chance, target = random.Random(SEED), Target()
    spool = begun_spool(tmp_path)
    writers = Writers(logged_source.connect, SEED, empties=True)
    writers.start()
    for _ in range(12):
        await live(following(logged_source.url, spool, tmp_path, rows=40), chance.uniform(0.05, 1.0))
        target.play(spool)
    while spool.state(RESOURCE).position.watermark is None:  # type: ignore[union-attr]
        await live(following(logged_source.url, spool, tmp_path), 1.0)
    # The very first load tells no end, for the hub had nothing before. Of a table that was emptied another is
    # read, which does, and a slow machine's writers may not have come to that by themselves.
    logged_source.run("TRUNCATE TABLE t")
    await live(following(logged_source.url, spool, tmp_path), 0.5)
    target.play(spool)
    writers.stop()
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    assert target.ends >= 1 and writers.done > 100
    spool.close()


# The driver of MariaDB leaves a socket open that it could not connect; that of a server is none of ours.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_source_that_is_killed_is_followed_on(logged_source: LoggedSource, tmp_path: Path) -> None:
    fill(logged_source.run, 300)
    target, spool = Target(), begun_spool(tmp_path)
    writers = Writers(logged_source.connect, SEED + 1)
    made = following(logged_source.url, spool, tmp_path)
    await until_same(logged_source, made, spool, target)
    ends = target.ends
    writers.start()
    made = following(logged_source.url, spool, tmp_path)
    task = asyncio.ensure_future(made.run())
    for _ in range(2):
        await asyncio.sleep(0.7)
        # In this very thread: the server ends with the thread that started it.
        logged_source.kill()
        logged_source.start()
        target.play(spool)
    writers.stop()
    await end_tasks([task])
    await ended(made)
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    assert target.ends == ends, "the source's log went on, so nothing had to be read in full"
    spool.close()


@pytest.mark.parametrize("logged_source", ["embedded"], indirect=True)
async def test_what_is_committed_while_a_batch_is_under_way_goes_together(
    logged_source: LoggedSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once where none is under way; else as much as there is by then, however the log came in."""
    fill(logged_source.run, 10)
    target, spool = Target(), begun_spool(tmp_path)
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    # Long enough for a server that is busy; a first change waits for nothing.
    monkeypatch.setattr("shuqiao.edge.following._TOGETHER_S", 0.5)
    made = following(logged_source.url, spool, tmp_path, rows=4000)
    logged_source.run("UPDATE t SET step = 1 WHERE id = 'k000001'")
    while not spool.unsent(RESOURCE, 1):
        await made.step()
    (first,) = spool.unsent(RESOURCE, 10)
    insert = "INSERT INTO t SELECT 'm' || i, 1, md5(i::text), 1 FROM generate_series(%s, %s::int + 49) i"
    logged_source.run(insert, [(number, number) for number in range(0, 3000, 50)])
    async with asyncio.timeout(30):
        while sum(batch.rows for batch in spool.unsent(RESOURCE, 100)) < 3001:
            await made.step()
    # By what a socket gives at a time there would be forty of them.
    assert len(spool.unsent(RESOURCE, 100)) <= 12
    assert first.rows == 1
    target.play(spool)
    assert is_same(logged_source, target)
    await ended(made)
    spool.close()
