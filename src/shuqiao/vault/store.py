"""The vault's database: its migrations, its pools, and the statements of reading.

Each read is one statement that also writes the operation's row, so nothing is looked up unrecorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from shuqiao.rules import normalise
from shuqiao.vault.keys import VaultKeys
from shuqiao.wire.lanes import Lanes

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

LANES = 4
"""How many connections are kept for readings; the rest of the pool is for batches and refusals."""

MIGRATION_LOCK = 0x76617501
ASSIGN_LOCK = 0x76617502

_READ = """
WITH logged AS (
    INSERT INTO vault.operation (client, op, resource, count, entries_digest, outcome)
    VALUES ($1, $2, $3, $4, $5, 'done'))
SELECT asked.ordinal, r.record_id, r.version, r.payload
FROM unnest($6::bytea[]) WITH ORDINALITY AS asked (key_blind, ordinal)
JOIN vault.record r ON r.resource = $3 AND r.key_blind = asked.key_blind
"""

_READ_IDS = """
WITH logged AS (
    INSERT INTO vault.operation (client, op, resource, count, entries_digest, outcome)
    VALUES ($1, $2, $3, $4, $5, 'done'))
SELECT asked.ordinal, r.record_id
FROM unnest($6::bytea[]) WITH ORDINALITY AS asked (key_blind, ordinal)
JOIN vault.record r ON r.resource = $3 AND r.key_blind = asked.key_blind
"""

# Only as many records as fit into an answer are read, the first one always, and only these are counted. The
# length of a payload is known without reading it.
_READ_BY_ID = """
WITH found AS MATERIALIZED (
    SELECT asked.ordinal, r.record_id, r.version, r.payload,
           sum(octet_length(r.payload)) OVER (ORDER BY asked.ordinal) AS so_far
    FROM unnest($6::uuid[]) WITH ORDINALITY AS asked (record_id, ordinal)
    JOIN vault.record r ON r.record_id = asked.record_id AND r.resource = $3),
kept AS (
    SELECT coalesce(min(ordinal) - 1, $4)::int AS upto FROM found
    WHERE so_far > $7 AND so_far > octet_length(payload)),
logged AS (
    INSERT INTO vault.operation (client, op, resource, count, entries_digest, outcome)
    SELECT $1, $2, $3, upto, $5, 'done' FROM kept)
SELECT kept.upto, f.ordinal, f.record_id, f.version, f.payload
FROM kept LEFT JOIN found f ON f.ordinal <= kept.upto
"""

_FIND_NAME = """
WITH logged AS (
    INSERT INTO vault.operation (client, op, resource, count, entries_digest, outcome)
    VALUES ($1, $2, $3, $4, $5, 'done'))
SELECT record_id FROM vault.name_index WHERE blind = $6 ORDER BY record_id LIMIT $7
"""

_LOG = """
INSERT INTO vault.operation (client, op, resource, count, entries_digest, outcome)
VALUES ($1, $2, $3, $4, $5, $6)
"""


class WrongMasterKey(Exception):
    """The database was written under another master key or another written form."""


async def open_pool(url: str, size: int) -> Pool:
    """Open connections whose plans and waits suit keyed work."""

    async def keep(_connection: Connection) -> None:
        # Nothing here changes a session's state, and resetting it costs a round trip per use.
        return None

    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        timeout=10,
        command_timeout=60,
        reset=keep,
        server_settings={
            "application_name": "shuqiao-vault",
            # A plan made while the tables were still empty would scan them for ever.
            "enable_seqscan": "off",
            "enable_hashjoin": "off",
            "enable_mergejoin": "off",
            "jit": "off",
            # A small batch of readings would be planned anew each time.
            "plan_cache_mode": "force_generic_plan",
            "lock_timeout": "20s",
            "statement_timeout": "60s",
            "idle_in_transaction_session_timeout": "60s",
        },
    )


async def migrate(pool: Pool) -> None:
    """Apply the numbered SQL files that this database lacks, one transaction each, one process at a time."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        await connection.execute("CREATE SCHEMA IF NOT EXISTS vault")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS vault.migration "
            "(name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = {row["name"] for row in await connection.fetch("SELECT name FROM vault.migration")}
        for name, text in migrations():
            if name not in applied:
                await connection.execute(text)
                await connection.execute("INSERT INTO vault.migration (name) VALUES ($1)", name)


@cache
def migrations() -> tuple[tuple[str, str], ...]:
    """Names and texts of the migrations, in order."""
    folder = resources.files("shuqiao.vault") / "sql"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda f: f.name)
    return tuple([(file.name, file.read_text(encoding="utf-8")) for file in files])


async def check_keys(connection: Connection, keys: VaultKeys) -> None:
    """Enter the key version in an empty database; refuse a database that other keys have written."""
    await connection.execute(
        "INSERT INTO vault.key_version (version, written_form, check_value) VALUES ($1, $2, $3) "
        "ON CONFLICT (version) DO NOTHING",
        keys.version,
        normalise.FORM,
        keys.check_value,
    )
    row = await connection.fetchrow(
        "SELECT written_form, check_value FROM vault.key_version WHERE version = $1", keys.version
    )
    if row is None or bytes(row["check_value"]) != keys.check_value:
        raise WrongMasterKey("the vault's database was written under another master key")
    if row["written_form"] != normalise.FORM:
        raise WrongMasterKey("the vault's index was built from another written form: build it anew")


async def read_records(
    lanes: Lanes, client: str, op: str, resource: str, blinds: Sequence[bytes], digest: bytes
) -> dict[int, tuple[UUID, int, bytes]]:
    """Record id, version and payload by 0-based place in `blinds`; what is not there is left out."""
    rows = await lanes.fetch(_READ, client, op, resource, len(blinds), digest, blinds)
    return {row[0] - 1: (row[1], row[2], row[3]) for row in rows}


async def read_record_ids(
    lanes: Lanes, client: str, op: str, resource: str, blinds: Sequence[bytes], digest: bytes
) -> dict[int, UUID]:
    """Record id by 0-based place in `blinds`; what is not there is left out."""
    rows = await lanes.fetch(_READ_IDS, client, op, resource, len(blinds), digest, blinds)
    return {row[0] - 1: row[1] for row in rows}


async def read_by_ids(
    lanes: Lanes,
    client: str,
    op: str,
    resource: str,
    records: Sequence[UUID],
    digest: bytes,
    limit_bytes: int,
) -> tuple[int, dict[int, tuple[UUID, int, bytes]]]:
    """How many of `records` were looked at, and id, version and payload of those there by 0-based place.

    As many are looked at as payloads fit into the limit, one at least.
    """
    rows = await lanes.fetch(_READ_BY_ID, client, op, resource, len(records), digest, records, limit_bytes)
    found = {row[1] - 1: (row[2], row[3], row[4]) for row in rows if row[1] is not None}
    return rows[0][0], found


async def find_name(
    lanes: Lanes, client: str, resource: str, blind: bytes, limit: int, digest: bytes
) -> list[UUID]:
    """Ids of the records that bear a name, at most `limit`."""
    rows = await lanes.fetch(_FIND_NAME, client, "find_by_name", resource, 1, digest, blind, limit)
    return [row[0] for row in rows]


async def log_operation(
    connection: Pool | Connection,
    client: str,
    op: str,
    resource: str | None,
    count: int,
    digest: bytes,
    outcome: str,
) -> None:
    """Write the row of an operation that reads nothing, or was refused."""
    await connection.execute(_LOG, client, op, resource, count, digest, outcome)


async def read_spec(pool: Pool, resource: str) -> bytes | None:
    """The specification under which the resource was last assigned."""
    spec: bytes | None = await pool.fetchval("SELECT spec FROM vault.resource WHERE id = $1", resource)
    return spec
