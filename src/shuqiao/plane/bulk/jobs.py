"""The statements of the process that prepares copies; each may be repeated, and each knows its attempt."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from shuqiao.plane.bulk.settings import BulkSettings
from shuqiao.plane.pooler import connection_options, keep_as_it_is, set_locally
from shuqiao.wire.bulk import Digest, Format
from shuqiao.wire.outages import DATABASE_TROUBLES

STATEMENT_TIMEOUT_S = 30.0
INDEX_TIMEOUT_S = 900.0
SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "jit": "off",
    "idle_in_transaction_session_timeout": "600000",
}
HOLD_SETTINGS = set_locally(SETTINGS)
"""Statements that give one transaction the settings under which a copy is read, whatever its way here."""
TROUBLES = DATABASE_TROUBLES
"""What may go wrong on the way to the database."""

Pool = asyncpg.Pool
Connection = asyncpg.pool.PoolConnectionProxy
_FIELDS = (
    "id, grant_id, resource_id, department, provider, application, format, digest, subscription, number,"
    " from_sequence, attempt, recipient"
)


class Job(NamedTuple):
    """A copy to prepare; `subscription`, `number` and `from_sequence` are those of a feed's part.

    `recipient` is the public key (DER) to which it is sealed, None where the platform keeps its key.
    """

    id: UUID
    grant_id: str
    resource_id: str
    department: str
    provider: str
    application: str
    format: Format
    digest: Digest
    subscription: UUID | None
    number: int | None
    from_sequence: int | None
    attempt: int
    recipient: bytes | None = None


class Opened(NamedTuple):
    """What `exchange.open_bulk` says: the rows of the view, the last batch in it, and the audit entry."""

    outcome: str
    rows: int
    to_sequence: int
    entry: UUID
    at: datetime


async def open_pool(settings: BulkSettings) -> Pool:
    """Connect: for each slot one connection that reads and one that tells progress, and one more."""
    return await asyncpg.create_pool(
        settings.database_url,
        min_size=1,
        max_size=2 * settings.slots + 1,
        timeout=STATEMENT_TIMEOUT_S,
        command_timeout=None,
        reset=keep_as_it_is,
        **connection_options(is_pooled=settings.is_pooled, name="shuqiao-bulk", settings=SETTINGS),
    )


async def claim(pool: Pool, lease_s: int) -> Job | None:
    """Take the next job nobody is at work on; others leave it alone for so long."""
    row = await pool.fetchrow(
        f"SELECT {_FIELDS} FROM exchange.claim_bulk($1)", lease_s, timeout=STATEMENT_TIMEOUT_S
    )
    return Job(*row) if row is not None else None


async def tell_progress(pool: Pool, job: Job, done: int, total: int | None, lease_s: int) -> bool:
    """Say how far the work is and that it goes on; false when somebody else has taken it over."""
    kept: bool = await pool.fetchval(
        "SELECT exchange.progress_bulk($1, $2, $3, $4, $5)",
        job.id,
        job.attempt,
        done,
        total,
        lease_s,
        timeout=STATEMENT_TIMEOUT_S,
    )
    return kept


async def fail(pool: Pool, job: Job, code: str) -> None:
    """Give a job up, with its reason in the log."""
    await pool.fetchval(
        "SELECT exchange.fail_bulk($1, $2, $3)", job.id, job.attempt, code, timeout=STATEMENT_TIMEOUT_S
    )


async def look_after(pool: Pool) -> int:
    """Begin the next parts of feeds; returns how many."""
    begun: int = await pool.fetchval("SELECT exchange.next_feeds()", timeout=STATEMENT_TIMEOUT_S)
    return begun


async def index_feeds(pool: Pool) -> int:
    """Give the lists that feeds follow the index by which their parts are found; returns how many."""
    made: int = await pool.fetchval("SELECT exchange.index_feeds()", timeout=INDEX_TIMEOUT_S)
    return made


async def expire(pool: Pool) -> set[str]:
    """End what is past its time; returns the ids of the jobs whose files are still wanted."""
    await pool.fetchval("SELECT exchange.expire_bulk()", timeout=STATEMENT_TIMEOUT_S)
    rows = await pool.fetch(
        "SELECT id FROM exchange.bulk_job WHERE state IN ('waiting', 'preparing', 'ready')",
        timeout=STATEMENT_TIMEOUT_S,
    )
    return {str(row["id"]) for row in rows}
