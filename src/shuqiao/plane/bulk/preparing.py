"""Preparing one copy: one snapshot of the data, one transaction, encrypted parts, a signed manifest.

Entry, manifest and state become durable together, after the files. A process that dies on the way leaves
files nobody can read and a job that is taken up again from its beginning, under the next attempt.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pyarrow as pa

from shuqiao.plane.bulk import jobs
from shuqiao.plane.bulk.columns import Columns, columns_of, completed
from shuqiao.plane.bulk.content_keys import make_content_key
from shuqiao.plane.bulk.formats import CellTooLarge, Parts
from shuqiao.plane.bulk.jobs import Job, Opened
from shuqiao.plane.bulk.replica import Replica, ReplicaBehind
from shuqiao.plane.bulk.rows import Chopper, Reader, column_definitions
from shuqiao.plane.bulk.settings import BulkSettings
from shuqiao.plane.state import HeldGrant, Snapshot, load_snapshot
from shuqiao.rules import bulk
from shuqiao.rules.errors import CallError
from shuqiao.rules.exchange import Mode
from shuqiao.security import keys
from shuqiao.security.replacing import flush_folder
from shuqiao.wire.bulk import MANIFEST_LABEL, Digest, Manifest, ManifestItem, encode_manifest
from shuqiao.wire.vault import VaultClient

log = logging.getLogger("shuqiao.bulk")

_RENEWALS = 5
"""So often a lease is renewed within its time."""

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


@dataclass(frozen=True, slots=True)
class _Making:
    """A copy that is being made: the job, what was decided over it, and where it goes."""

    job: Job
    snapshot: Snapshot
    held: HeldGrant
    columns: Columns
    progress: Progress
    folder: Path


@dataclass(slots=True)
class Preparer:
    """Prepares copies; several may be under way at once."""

    settings: BulkSettings
    pool: jobs.Pool
    vault: VaultClient
    known: Snapshot = field(default_factory=Snapshot)
    replica: Replica | None = None

    async def prepare(self, job: Job) -> None:
        """Prepare one copy; raises `GivenUp`, `TakenOver`, or what the database or vault raise."""
        progress = Progress()
        work = asyncio.create_task(self._work(job, progress), name=f"bulk-{job.id}")
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=self.settings.lease_s / _RENEWALS)
                if not work.done() and not await jobs.tell_progress(
                    self.pool, job, progress.done, progress.total, self.settings.lease_s
                ):
                    raise TakenOver
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _work(self, job: Job, progress: Progress) -> None:
        folder = self.settings.spool.folder / str(job.id) / str(job.attempt)
        for turn in range(_STALE_TRIES):
            await asyncio.to_thread(_make_folder, folder)
            async with self.pool.acquire() as connection:
                # What is known may do at first: `open_bulk` refuses it where another epoch holds by now.
                is_fresh = turn > 0 or not self.known.epoch
                if is_fresh:
                    self.known = await load_snapshot(connection, self.known)
                snapshot = self.known
                try:
                    held, columns = _decided(job, snapshot)
                except GivenUp:
                    if is_fresh:
                        raise
                    continue
                making = _Making(job, snapshot, held, columns, progress, folder)
                with contextlib.suppress(_Stale):
                    await self._copy(connection, making)
                    return
        raise GivenUp("grant_changing")

    async def _copy(self, connection: jobs.Connection, making: _Making) -> None:
        """Read on the standby where there is one that keeps up, else on the primary."""
        # What changed since the last part is found by an index, and no state may be missed between two parts.
        if self.replica is not None and not making.job.from_sequence:
            if await self._copied_on_replica(self.replica, connection, making):
                return
            await asyncio.to_thread(_make_folder, making.folder)
        if making.job.subscription is not None:
            await self._copy_of_feed(connection, making)
            return
        async with self._parts(making) as parts, connection.transaction(isolation="repeatable_read"):
            await connection.execute(jobs.HOLD_SETTINGS)
            opened = await self._open(connection, making.job, making.snapshot)
            await self._fill(parts, making, connection, "pg_temp.bulk_rows", opened.rows)
            await self._finish(connection, making, opened, parts)

    async def _copy_of_feed(self, connection: jobs.Connection, making: _Making) -> None:
        """Read in one transaction and finish in another: the consumer takes earlier parts meanwhile.

        Both write the feed's row, and a transaction that sees one state throughout may write none that has
        changed since.
        """
        async with self._parts(making) as parts:
            reading = connection.transaction(isolation="repeatable_read")
            await reading.start()
            try:
                await connection.execute(jobs.HOLD_SETTINGS)
                to_sequence = await self._fill_part(parts, making, connection)
            finally:
                # The entry is written anew when all is there.
                await reading.rollback()
            await self._close(connection, making, parts, to_sequence)

    async def _fill_part(self, parts: Parts, making: _Making, connection: jobs.Connection) -> int:
        """Read a part of a feed into the files: the first by a view, as every copy, later ones by a function.

        Returns the last batch in it.
        """
        job, epoch = making.job, making.snapshot.epoch
        if not job.from_sequence:
            opened = await self._open(connection, job, making.snapshot)
            await self._fill(parts, making, connection, "pg_temp.bulk_rows", opened.rows)
            return opened.to_sequence
        opening = "SELECT outcome, to_sequence FROM exchange.open_part($1, $2, $3)"
        to_sequence: int = _done(await connection.fetchrow(opening, job.id, job.attempt, epoch))[
            "to_sequence"
        ]
        columns = column_definitions(making.columns.plain)
        source = f"exchange.part_rows('{job.id}', {job.attempt}, {epoch}) AS part({columns})"
        await self._fill(parts, making, connection, source, None)
        return to_sequence

    async def _close(
        self, connection: jobs.Connection, making: _Making, parts: Parts, to_sequence: int
    ) -> None:
        """Ask for the grant once more, write the entry, and finish."""
        job = making.job
        async with connection.transaction():
            closed = await connection.fetchrow(
                "SELECT outcome, rows, to_sequence, entry, at FROM exchange.close_copy($1, $2, $3, $4, $5)",
                job.id,
                job.attempt,
                making.snapshot.epoch,
                parts.rows,
                to_sequence,
            )
            await self._finish(connection, making, Opened(*_done(closed)), parts)

    async def _copied_on_replica(
        self, replica: Replica, connection: jobs.Connection, making: _Making
    ) -> bool:
        """Make the copy of what the standby has; false where that can't be read."""
        job = making.job
        async with self._parts(making) as parts:
            try:
                to_sequence = await self._read_on_replica(replica, connection, making, parts)
            except (ReplicaBehind, *jobs.TROUBLES) as error:
                log.warning("replica_not_read job=%s error=%s", job.id, type(error).__name__)
                return False
            # What goes wrong from here on is no reason to begin again: where the answer to the last statement
            # is lost, the copy may be finished, and its files are wanted.
            await self._close(connection, making, parts, to_sequence)
        return True

    async def _read_on_replica(
        self, replica: Replica, connection: jobs.Connection, making: _Making, parts: Parts
    ) -> int:
        """Read all rows on the standby; returns the last batch in them."""
        job, epoch = making.job, making.snapshot.epoch
        view = _done(
            await connection.fetchrow(
                "SELECT outcome, view FROM exchange.open_copy($1, $2, $3)", job.id, job.attempt, epoch
            )
        )["view"]
        async with replica.reading(job, view, epoch) as read:
            await self._fill(parts, making, read.connection, read.source, read.rows)
        log.info("bulk_read_on_replica job=%s", job.id)
        return read.to_sequence

    @contextlib.asynccontextmanager
    async def _parts(self, making: _Making) -> AsyncIterator[Parts]:
        """Begin the files of a copy; what is not finished is thrown away."""
        job = making.job
        schema = making.columns.schema(is_feed=job.subscription is not None)
        try:
            key = make_content_key(job, self.settings.spool)
        except CallError as error:
            raise GivenUp(error.code) from None
        parts = Parts(making.folder, job.format, schema, key, self._digest_of(job))
        try:
            yield parts
        except CellTooLarge:
            raise GivenUp("copy_too_large") from None
        finally:
            parts.discard()

    async def _fill(
        self, parts: Parts, making: _Making, connection: jobs.Connection, source: str, rows: int | None
    ) -> None:
        """Read all rows of a view into the files; how many they are is not known of a part of a feed."""
        job, columns, progress = making.job, making.columns, making.progress
        if job.format == bulk.XLSX and bulk.is_too_large_for_a_workbook(rows or 0, len(parts.schema)):
            raise GivenUp("copy_too_large")
        progress.total = rows
        reader = Reader(columns.plain, is_feed=job.subscription is not None)
        async for table in _tables(connection, reader, source):
            async for whole in completed(self.vault, job.resource_id, columns, table, parts.schema, job.id):
                await asyncio.to_thread(parts.write, whole)
                progress.done = parts.rows
        await asyncio.to_thread(parts.close)

    def _digest_of(self, job: Job) -> Digest:
        """A copy was asked for with its digest; the parts of a feed take that of the platform's suite."""
        return job.digest if job.subscription is None else self.settings.spool.suite.digest_name

    async def _open(self, connection: jobs.Connection, job: Job, snapshot: Snapshot) -> Opened:
        row = await connection.fetchrow(
            "SELECT outcome, rows, to_sequence, entry, at FROM exchange.open_bulk($1, $2, $3)",
            job.id,
            job.attempt,
            snapshot.epoch,
        )
        return Opened(*_done(row))

    async def _finish(
        self, connection: jobs.Connection, making: _Making, opened: Opened, parts: Parts
    ) -> None:
        job, key = making.job, self.settings.signing_key
        manifest = _manifest(job, making.snapshot, making.held, making.columns, opened, parts)
        text = encode_manifest(manifest)
        finished: bool = await connection.fetchval(
            "SELECT exchange.finish_bulk($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            job.id,
            job.attempt,
            manifest.rows,
            manifest.up_to,
            parts.key.kept,
            text.decode(),
            key.sign(MANIFEST_LABEL + text),
            keys.key_id(key.public_key()),
            bulk.KEEP_S if job.subscription is None else bulk.KEEP_FEED_S,
        )
        if not finished:
            raise TakenOver


def _done(row: asyncpg.Record | None) -> asyncpg.Record:
    """Pass on what a function says that has done its work; raises `TakenOver`, or `_Stale` to begin anew."""
    if row is None or row["outcome"] == "gone":
        raise TakenOver
    if row["outcome"] != "done":
        raise _Stale
    return row


def _make_folder(folder: Path) -> None:
    """Make an attempt's folder durable; what it and earlier attempts left goes.

    A later attempt's stays: this process may have been slow, and another have finished the copy meanwhile.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for there in folder.parent.iterdir():
        if int(there.name) <= int(folder.name):
            shutil.rmtree(there, ignore_errors=True)
    folder.mkdir(mode=0o700)
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


async def _tables(connection: jobs.Connection, reader: Reader, source: str) -> AsyncIterator[pa.Table]:
    """Read the view, parsing in a thread what has come while more is on its way; two tables at most wait."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
    chopper = Chopper()

    async def take(data: bytes) -> None:
        records = chopper.feed(data)
        if records is not None:
            await queue.put(records)

    async def copy() -> None:
        await connection.copy_from_query(f"SELECT * FROM {source}", output=take, format="csv")
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
        sealed_to=base64.b64encode(job.recipient or b"").decode(),
    )
