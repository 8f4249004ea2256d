"""Preparing one copy: one snapshot of the data, one transaction, encrypted parts, a signed manifest.

Entry, manifest and state become durable together, after the files. A process that dies on the way leaves
files nobody can read and a job that is taken up again from its beginning, under the next attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from shuqiao.plane.bulk import jobs
from shuqiao.plane.bulk.columns import Columns, columns_of, completed
from shuqiao.plane.bulk.formats import CellTooLarge, Parts
from shuqiao.plane.bulk.jobs import Job, Opened
from shuqiao.plane.bulk.rows import Chopper, Reader
from shuqiao.plane.bulk.settings import BulkSettings
from shuqiao.plane.state import HeldGrant, Snapshot, load_snapshot
from shuqiao.rules import bulk
from shuqiao.rules.exchange import Mode
from shuqiao.security import keys
from shuqiao.security.at_rest import flush_folder, new_key, wrap_key
from shuqiao.wire.bulk import MANIFEST_LABEL, Digest, Manifest, ManifestItem, encode_manifest
from shuqiao.wire.vault import VaultClient

_RENEW_S = jobs.LEASE_S / 5
_STALE_TRIES = 5


class GivenUp(Exception):
    """The copy can't be made; `code` says why, and doing it again would not help."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


class TakenOver(Exception):
    """Another process is at work on the job."""


class _Stale(Exception):
    """Grants have changed since they were looked at."""


@dataclass(slots=True)
class Progress:
    """How far a copy is."""

    done: int = 0
    total: int | None = None


@dataclass(slots=True)
class Preparer:
    """Prepares copies; several may be under way at once."""

    settings: BulkSettings
    pool: jobs.Pool
    vault: VaultClient
    known: Snapshot = field(default_factory=Snapshot)

    async def prepare(self, job: Job) -> None:
        """Prepare one copy; raises `GivenUp`, `TakenOver`, or what the database or vault raise."""
        progress = Progress()
        work = asyncio.create_task(self._work(job, progress), name=f"bulk-{job.id}")
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=_RENEW_S)
                if not work.done() and not await jobs.tell_progress(
                    self.pool, job, progress.done, progress.total
                ):
                    raise TakenOver
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _work(self, job: Job, progress: Progress) -> None:
        folder = self.settings.spool.folder / str(job.id) / str(job.attempt)
        await asyncio.to_thread(_make_folder, folder)
        for _ in range(_STALE_TRIES):
            async with self.pool.acquire() as connection:
                self.known = snapshot = await load_snapshot(connection, self.known)
                held, columns = _decided(job, snapshot)
                with contextlib.suppress(_Stale):
                    await self._copy(connection, job, snapshot, held, columns, progress, folder)
                    return
        raise GivenUp("grant_changing")

    async def _copy(
        self,
        connection: jobs.Connection,
        job: Job,
        snapshot: Snapshot,
        held: HeldGrant,
        columns: Columns,
        progress: Progress,
        folder: Path,
    ) -> None:
        key = new_key(self.settings.spool.suite)
        is_feed = job.subscription is not None
        context = f"{job.id}/{job.attempt}".encode()
        schema = columns.schema(is_feed=is_feed)
        parts = Parts(folder, job.format, schema, key, context, self._digest_of(job))
        try:
            async with connection.transaction(isolation="repeatable_read"):
                await connection.execute(jobs.HOLD_SETTINGS)
                opened = await self._open(connection, job, snapshot, len(schema))
                progress.total = opened.rows
                reader = Reader(columns.plain, is_feed=is_feed)
                async for table in _tables(connection, reader):
                    wholes = completed(self.vault, job.resource_id, columns, table, schema, job.id)
                    async for whole in wholes:
                        await asyncio.to_thread(parts.write, whole)
                        progress.done = parts.rows
                await asyncio.to_thread(parts.close)
                manifest = _manifest(job, snapshot, held, columns, opened, parts)
                wrapped = wrap_key(self.settings.spool.wrapping_secret, key, context)
                if not await self._finish(connection, job, manifest, wrapped):
                    raise TakenOver
        except CellTooLarge:
            raise GivenUp("copy_too_large") from None
        finally:
            parts.discard()

    def _digest_of(self, job: Job) -> Digest:
        """A copy was asked for with its digest; the parts of a feed take that of the platform's suite."""
        return job.digest if job.subscription is None else self.settings.spool.suite.digest_name

    async def _open(
        self,
        connection: jobs.Connection,
        job: Job,
        snapshot: Snapshot,
        width: int,
    ) -> Opened:
        row = await connection.fetchrow(
            "SELECT outcome, rows, to_sequence, entry, at FROM exchange.open_bulk($1, $2, $3)",
            job.id,
            job.attempt,
            snapshot.epoch,
        )
        if row is None:
            raise TakenOver
        opened = Opened(*row)
        if opened.outcome == "gone":
            raise TakenOver
        if opened.outcome != "done":
            raise _Stale
        if job.format == bulk.XLSX and bulk.is_too_large_for_a_workbook(opened.rows, width):
            raise GivenUp("copy_too_large")
        return opened

    async def _finish(
        self,
        connection: jobs.Connection,
        job: Job,
        manifest: Manifest,
        wrapped: bytes,
    ) -> bool:
        text = encode_manifest(manifest)
        key = self.settings.signing_key
        finished: bool = await connection.fetchval(
            "SELECT exchange.finish_bulk($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            job.id,
            job.attempt,
            manifest.rows,
            manifest.up_to,
            wrapped,
            text.decode(),
            key.sign(MANIFEST_LABEL + text),
            keys.key_id(key.public_key()),
            bulk.KEEP_S if job.subscription is None else bulk.KEEP_FEED_S,
        )
        return finished


def _make_folder(folder: Path) -> None:
    """Make an attempt's folder durable; what earlier attempts left goes."""
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    flush_folder(folder.parent)
    flush_folder(folder.parent.parent)


def _decided(job: Job, snapshot: Snapshot) -> tuple[HeldGrant, Columns]:
    """Check the signed grant once more; the job's row alone proves nothing."""
    held, resource = snapshot.grants.get(job.grant_id), snapshot.resources.get(job.resource_id)
    application = snapshot.applications.get(job.application)
    if (
        held is None
        or resource is None
        or application is None
        or held.facts.mode is not Mode.BULK
        or held.facts.resource_id != job.resource_id
        or held.facts.department != application.department
        or application.id not in held.facts.applications
        or held.facts.revoked_at is not None
        or held.facts.suspended_at is not None
    ):
        raise GivenUp("grant_ended")
    return held, columns_of(resource, held)


async def _tables(
    connection: jobs.Connection,
    reader: Reader,
) -> AsyncIterator[pa.Table]:
    """Read the view, parsing in a thread what has come while more is on its way; two tables at most wait."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
    chopper = Chopper()

    async def take(data: bytes) -> None:
        records = chopper.feed(data)
        if records is not None:
            await queue.put(records)

    async def copy() -> None:
        await connection.copy_from_query("SELECT * FROM pg_temp.bulk_rows", output=take, format="csv")
        rest = chopper.rest()
        if rest is not None:
            await queue.put(rest)
        await queue.put(None)

    copying = asyncio.create_task(copy())
    try:
        while True:
            waiting = asyncio.create_task(queue.get())
            await asyncio.wait({waiting, copying}, return_when=asyncio.FIRST_COMPLETED)
            # A copy that has ended without a fault has left its last records in the queue.
            if not waiting.done() and copying.exception() is not None:
                waiting.cancel()
                await copying
            records = await waiting
            if records is None:
                return
            yield await asyncio.to_thread(reader.table, records)
    finally:
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)


def _manifest(
    job: Job,
    snapshot: Snapshot,
    held: HeldGrant,
    columns: Columns,
    opened: Opened,
    made: Parts,
) -> Manifest:
    document = held.document
    return Manifest(
        job=job.id,
        entry=opened.entry,
        grant=document.id,
        resource=job.resource_id,
        department=document.department,
        provider=document.provider,
        purpose=document.purpose,
        format=job.format,
        digest_algorithm=made.digest,
        rows=made.rows,
        up_to=opened.to_sequence,
        epoch=snapshot.epoch,
        at=opened.at,
        items=tuple(
            ManifestItem(item.field, item.type, item.zh, item.en, columns.is_masked(item))
            for item in columns.items
        ),
        parts=tuple(made.done),
        feed=job.subscription,
        number=job.number,
        after=job.from_sequence,
        note=bulk.NOTES.get(job.format, ""),
    )
