"""The process that prepares copies: `python -m shuqiao.plane.bulk.main`.

It has a database role and a client of the vault of its own, so that whoever holds a worker of the plane can't
read a whole list, and whoever holds this process can read only what was asked for under a grant.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from pathlib import Path

from shuqiao.plane.bulk import jobs
from shuqiao.plane.bulk.hints import Hints
from shuqiao.plane.bulk.jobs import Job
from shuqiao.plane.bulk.preparing import GivenUp, Preparer, TakenOver
from shuqiao.plane.bulk.replica import Replica
from shuqiao.plane.bulk.settings import BulkSettings, BulkSettingsFaulty, read_settings
from shuqiao.rules.bulk import MAX_ATTEMPTS
from shuqiao.security.tls import tell_database
from shuqiao.security.volumes import tell
from shuqiao.wire.tasks import end_tasks
from shuqiao.wire.vault import VaultClient, VaultError
from shuqiao.wire.volumes import keep_stating

log = logging.getLogger("shuqiao.bulk")

POLL_S = 0.25
CLEAN_S = 30.0
RETRY_S = 1.0


async def serve(settings: BulkSettings, stop: asyncio.Event) -> None:
    """Prepare what is asked for until told to stop; a database that is away is waited for."""
    vault = VaultClient(settings.vault_socket, "bulk", settings.vault_key, timeout_s=30.0, max_in_flight=4)
    pool = await _connected(settings, stop)
    if pool is None:
        return
    log.info("ready")
    replica = None
    if settings.replica_url is not None:
        replica = Replica(settings.replica_url, settings.replica_wait_s, settings.slots)
    preparer = Preparer(settings, pool, vault, replica=replica)
    hints = Hints()
    tasks = [asyncio.create_task(_work(preparer, hints)) for _ in range(settings.slots)]
    tasks.append(asyncio.create_task(_keep_house(preparer, hints)))
    if not settings.is_pooled:
        tasks.append(asyncio.create_task(hints.listen(settings.database_url)))
    tasks.append(asyncio.create_task(keep_stating(settings.database_url, "bulk", settings.volumes)))
    await stop.wait()
    await end_tasks(tasks)
    await vault.close()
    if replica is not None:
        replica.close()
    pool.terminate()


async def _connected(settings: BulkSettings, stop: asyncio.Event) -> jobs.Pool | None:
    while not stop.is_set():
        try:
            return await jobs.open_pool(settings)
        except jobs.TROUBLES as error:
            log.warning("database_not_reached error=%s", type(error).__name__)
            await asyncio.sleep(RETRY_S)
    return None


async def _work(preparer: Preparer, hints: Hints) -> None:
    """One slot: take a job, prepare it, take the next."""
    while True:
        try:
            job = await jobs.claim(preparer.pool, preparer.settings.lease_s)
            if job is None:
                await hints.wait_job(POLL_S)
            else:
                await _prepare(preparer, job)
                if job.subscription is not None:
                    # Batches that came meanwhile have had their notice: the next part of this feed is due.
                    hints.batches_came()
        except jobs.TROUBLES as error:
            log.warning("database_trouble error=%s", type(error).__name__)
            await asyncio.sleep(RETRY_S)
        except Exception as error:
            # The boundary of the slot: one copy's fault must not end the others. Its text may quote a value.
            log.error("bulk_faulty error=%s", type(error).__name__)
            await asyncio.sleep(RETRY_S)


async def _prepare(preparer: Preparer, job: Job) -> None:
    if job.attempt > MAX_ATTEMPTS:
        await jobs.fail(preparer.pool, job, "bulk_failed")
        return
    log.info("bulk_begun job=%s attempt=%d", job.id, job.attempt)
    try:
        await preparer.prepare(job)
    except GivenUp as given_up:
        await jobs.fail(preparer.pool, job, given_up.code)
        log.info("bulk_given_up job=%s code=%s", job.id, given_up.code)
    except TakenOver:
        log.info("bulk_taken_over job=%s attempt=%d", job.id, job.attempt)
    except VaultError as error:
        log.warning("vault_trouble job=%s error=%s", job.id, error)
        await asyncio.sleep(preparer.settings.lease_s)
    else:
        log.info("bulk_ready job=%s", job.id)


async def _keep_house(preparer: Preparer, hints: Hints) -> None:
    """Begin parts of feeds as batches come; now and then remove what nobody may fetch any more."""
    loop = asyncio.get_running_loop()
    clean_at = 0.0
    while True:
        try:
            if await jobs.look_after(preparer.pool):
                hints.jobs_came()
            if loop.time() >= clean_at:
                clean_at = loop.time() + CLEAN_S
                # Listed before it is asked what is wanted: what is begun meanwhile is not in the list.
                there = await asyncio.to_thread(list, preparer.settings.spool.folder.iterdir())
                wanted = await jobs.expire(preparer.pool)
                await asyncio.to_thread(_remove_unwanted, there, wanted)
                await jobs.index_feeds(preparer.pool)
        except jobs.TROUBLES as error:
            log.warning("database_trouble error=%s", type(error).__name__)
        except Exception:
            log.exception("housekeeping_faulty")
        await hints.wait_batch(POLL_S * 2)


def _remove_unwanted(there: list[Path], wanted: set[str]) -> None:
    for folder in there:
        if folder.is_dir() and folder.name not in wanted:
            shutil.rmtree(folder, ignore_errors=True)


async def _run(settings: BulkSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, stop)


def main() -> int:
    """Check the settings and work until a signal; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = read_settings(os.environ)
    except BulkSettingsFaulty as error:
        print(f"the process for bulk copies can't start: {error}", file=sys.stderr)
        return 2
    tell(settings.volumes, log)
    tell_database(settings.database_url, log)
    asyncio.run(_run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
