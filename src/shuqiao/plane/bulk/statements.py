"""The statements with which the plane's workers ask for copies, hand them out and browse.

They have connections of their own: a page of a large list may take seconds, and calls must not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from shuqiao.plane.bulk.jobs import TROUBLES
from shuqiao.plane.database import DatabaseUnavailable
from shuqiao.plane.pooler import connection_options, keep_as_it_is
from shuqiao.plane.settings import STATEMENT_TIMEOUT_S
from shuqiao.wire.bulk import Receipt
from shuqiao.wire.recalls import Kind

CONNECTIONS = 3
MAX_RECALLS = 100
NAME = "shuqiao-plane-bulk"
SETTINGS = {
    "timezone": "UTC",
    "jit": "off",
    "statement_timeout": str(int(2 * STATEMENT_TIMEOUT_S * 1000)),
    "idle_in_transaction_session_timeout": "30000",
}


class Done(NamedTuple):
    """What a function says: done, stale, replayed, busy or gone; the epoch; the digest of the entry."""

    outcome: str
    epoch: int
    digest: bytes | None


class JobRow(NamedTuple):
    """A job as the workers see it."""

    id: UUID
    grant_id: str
    resource_id: str
    department: str
    provider: str
    application: str
    channel: str
    format: str
    subscription: UUID | None
    number: int | None
    state: str
    attempt: int
    rows_done: int
    rows_total: int | None
    failure: str | None
    recipient: bytes | None
    wrapped_key: bytes | None
    manifest: str | None
    signature: bytes | None
    key_id: str | None
    expires_at: datetime | None


class FeedRow(NamedTuple):
    """A subscription."""

    id: UUID
    grant_id: str
    resource_id: str
    department: str
    application: str
    last_number: int
    taken_number: int


class RecallRow(NamedTuple):
    """A recall without a receipt, with what is held as JSON; `is_done` where it has one already."""

    number: str
    kind: Kind
    grant_id: str
    resource_id: str
    provider: str
    reason: str
    called_at: datetime
    due_on: date
    held: str
    left_out: int
    is_done: bool


class FileRow(NamedTuple):
    """A version of a file of an entry."""

    id: UUID
    file: UUID
    resource_id: str
    number: int
    name: str
    media_type: str
    size_bytes: int
    digest: str


class FeedPartRow(NamedTuple):
    """A part of a feed that waits to be taken."""

    number: int
    id: UUID
    state: str
    from_sequence: int
    to_sequence: int | None


_JOB = (
    "SELECT j.id, j.grant_id, j.resource_id, j.department, j.provider, j.application, j.channel, j.format,"
    " j.subscription, j.number, j.state, j.attempt, coalesce(p.rows_done, 0), p.rows_total, j.failure,"
    " j.recipient, j.wrapped_key, j.manifest, j.signature, j.key_id, j.expires_at FROM exchange.bulk_job j"
    " LEFT JOIN exchange.bulk_progress p ON p.job = j.id AND p.attempt = j.attempt WHERE j.id = $1"
)
_FEED = (
    "SELECT id, grant_id, resource_id, department, application, last_number, taken_number"
    " FROM exchange.subscription WHERE id = $1 AND ended_at IS NULL"
)
_ANY_FEED = (
    "SELECT id, grant_id, resource_id, department, application, last_number, taken_number"
    " FROM exchange.subscription WHERE id = $1 AND application = $2"
)
_RECALLS = (
    "SELECT r.number, r.kind, r.grant_id, r.resource_id, r.provider, r.reason, r.called_at, r.due_on,"
    " r.held::text, r.left_out, d.recall IS NOT NULL FROM exchange.recall r"
    " LEFT JOIN exchange.deletion d ON d.recall = r.number WHERE r.application = $1"
)
_OPEN_RECALLS = (
    f"{_RECALLS} AND d.recall IS NULL AND ($2::text IS NULL"
    " OR r.held @> jsonb_build_array(jsonb_build_object('id', $2::text)) OR r.held @> jsonb_build_array("
    "jsonb_build_object('earlier', jsonb_build_array($2::text))))"
    f" ORDER BY r.due_on, r.number LIMIT {MAX_RECALLS}"
)
_NODE_KEY = "SELECT public_key FROM exchange.node WHERE department = $1 AND active"
_FEED_PARTS = (
    "SELECT number, id, state, from_sequence, to_sequence FROM exchange.bulk_job"
    " WHERE subscription = $1 AND number > $2 ORDER BY number LIMIT 64"
)
_FILE = (
    "SELECT v.id, v.file, f.resource_id, v.number, v.name, v.media_type, v.size_bytes, v.digest"
    " FROM exchange.file_version v JOIN exchange.file f ON f.id = v.file WHERE v.id = $1"
)
_PIECE = "SELECT content FROM exchange.file_piece WHERE version = $1 AND number = $2"


class Statements:
    """A worker's few connections for copies; made when first needed."""

    def __init__(self, url: str, *, is_pooled: bool = False) -> None:
        """Keep the address; `is_pooled` says that it is a pooler's in transaction mode."""
        self._url = url
        self._is_pooled = is_pooled
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    async def job(self, job: UUID) -> JobRow | None:
        """Read a job."""
        row = await self._row(_JOB, [job])
        return JobRow(*row) if row is not None else None

    async def feed(self, feed: UUID) -> FeedRow | None:
        """Read a subscription."""
        row = await self._row(_FEED, [feed])
        return FeedRow(*row) if row is not None else None

    async def feed_parts(self, feed: FeedRow) -> list[FeedPartRow]:
        """Read the parts that wait, in order."""
        rows = await self._rows(_FEED_PARTS, [feed.id, feed.taken_number])
        return [FeedPartRow(*row) for row in rows]

    async def ask(self, *values: object) -> Done:
        """Ask for a copy, in the order of `exchange.ask_bulk`."""
        return Done(*await self._call("ask_bulk", "outcome, epoch, digest", values))

    async def deliver(self, *values: object) -> Done:
        """Write the entry of a delivery, in the order of `exchange.deliver_bulk`."""
        return Done(*await self._call("deliver_bulk", "outcome, epoch, digest", values))

    async def take(self, receipt: Receipt | None, *values: object) -> Done:
        """Keep a consumer's position, in the order of `exchange.take_feed`, with what it says it has done."""
        if receipt is None:
            return Done(*await self._call("take_feed", "outcome, epoch, digest", values))
        said = (
            bytes.fromhex(receipt.manifest_digest),
            receipt.applied_at,
            [receipt.applied, receipt.gone, receipt.dead],
            msgspec.json.encode(receipt.unfit).decode(),
        )
        return Done(*await self._call("take_with_receipt", "outcome, epoch, digest", (*values, *said)))

    async def end_feed(self, *values: object) -> tuple[str, bytes | None]:
        """End a feed for its consumer, in the order of `exchange.end_feed`; outcome and digest."""
        row = await self._call("end_feed", "outcome, digest", values)
        return row[0], row[1]

    async def any_feed(self, feed: UUID, application: str) -> FeedRow | None:
        """Read an application's own subscription, ended or not."""
        row = await self._row(_ANY_FEED, [feed, application])
        return FeedRow(*row) if row is not None else None

    async def open_recalls(self, application: str, feed: UUID | None) -> list[RecallRow]:
        """Read the recalls of an application, or of its feed, that have no receipt, the most urgent first."""
        named = None if feed is None else str(feed)
        return [RecallRow(*row) for row in await self._rows(_OPEN_RECALLS, [application, named])]

    async def recall(self, application: str, number: str) -> RecallRow | None:
        """Read one of an application's own recalls."""
        row = await self._row(f"{_RECALLS} AND r.number = $2", [application, number])
        return RecallRow(*row) if row is not None else None

    async def node_key(self, department: str) -> bytes | None:
        """Give the key with which a department's node signs; None where it has no node in use."""
        row = await self._row(_NODE_KEY, [department])
        return None if row is None else bytes(row[0])

    async def keep_deletion(self, *values: object) -> tuple[str, bytes | None, UUID, datetime]:
        """Keep a receipt, in the order of `exchange.keep_deletion`."""
        row = await self._call("keep_deletion", "outcome, digest, entry, at", values)
        return row[0], row[1], row[2], row[3]

    async def subscribe(self, *values: object) -> tuple[Done, UUID | None, bytes | None]:
        """Subscribe, in the order of `exchange.subscribe`: the feed, and the key to which it is sealed."""
        row = await self._call("subscribe", "outcome, epoch, digest, subscription, recipient", values)
        return Done(*row[:3]), row[3], row[4]

    async def use_signature(self, epoch: int, entry: UUID, keep_s: int) -> Done:
        """Use up a signature whose request leaves no entry; its decision was made on this epoch."""
        return Done(*await self._call("use_signature", "outcome, epoch, digest", (epoch, entry, keep_s)))

    async def browse(self, *values: object) -> tuple[Done, int, str]:
        """Read a page, in the order of `exchange.browse`; gives the matches counted and the page as JSON."""
        row = await self._call("browse", "outcome, epoch, digest, total, records::text", values)
        return Done(*row[:3]), row[3] or 0, row[4] or "[]"

    async def call_interface(self, *values: object) -> Done:
        """Write the entry before a call is passed on, in the order of `exchange.call_interface`."""
        return Done(*await self._call("call_interface", "outcome, epoch, digest", values))

    async def end_interface_call(self, *values: object) -> Done:
        """Write how it ended, in the order of `exchange.end_interface_call`."""
        return Done(*await self._call("end_interface_call", "outcome, epoch, digest", values))

    async def file_version(self, version: UUID) -> FileRow | None:
        """Read what is known of a version of a file, its key left out."""
        row = await self._row(_FILE, [version])
        return FileRow(*row) if row is not None else None

    async def file_piece(self, version: UUID, number: int) -> bytes | None:
        """Read one encrypted piece."""
        row = await self._row(_PIECE, [version, number])
        return None if row is None else bytes(row[0])

    async def list_files(self, *values: object) -> tuple[Done, str]:
        """List the files that a grant opens, in the order of `exchange.list_files`, as JSON."""
        row = await self._call("list_files", "outcome, epoch, digest, files::text", values)
        return Done(*row[:3]), row[3] or "[]"

    async def deliver_file(self, *values: object) -> tuple[Done, bytes | None]:
        """Write the entry of a delivery, in the order of `exchange.deliver_file`; gives the wrapped key."""
        row = await self._call("deliver_file", "outcome, epoch, digest, wrapped_key", values)
        return Done(*row[:3]), row[3]

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.terminate()

    async def _call(self, name: str, columns: str, values: Sequence[object]) -> asyncpg.Record:
        marks = ", ".join(f"${place}" for place in range(1, len(values) + 1))
        row = await self._row(f"SELECT {columns} FROM exchange.{name}({marks})", values)
        if row is None:
            raise DatabaseUnavailable(f"{name} did not answer")
        return row

    async def _row(self, statement: str, values: Sequence[object]) -> asyncpg.Record | None:
        rows = await self._rows(statement, values)
        return rows[0] if rows else None

    async def _rows(self, statement: str, values: Sequence[object]) -> list[asyncpg.Record]:
        try:
            pool = await self._ready()
            async with pool.acquire(timeout=STATEMENT_TIMEOUT_S) as connection:
                return await connection.fetch(statement, *values)
        except TROUBLES as error:
            raise DatabaseUnavailable(type(error).__name__) from error

    async def _ready(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=CONNECTIONS,
                    timeout=STATEMENT_TIMEOUT_S,
                    command_timeout=2 * STATEMENT_TIMEOUT_S,
                    reset=keep_as_it_is,
                    **connection_options(is_pooled=self._is_pooled, name=NAME, settings=SETTINGS),
                )
            return self._pool
