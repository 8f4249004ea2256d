"""What the loader may do in the hub's database: the tables and functions of the contract schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from shuqiao.security.keys import PublicKey, load_public_der
from shuqiao.wire.package import RowFault
from shuqiao.wire.schemas import ResourceSpec

_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class ProvidedResource:
    """A resource in force: who provides it and what it consists of."""

    department: str
    spec: ResourceSpec


@dataclass(frozen=True)
class LastBatch:
    """Where the batches of one department's resource have come to."""

    sequence: int
    generation: int


@dataclass(frozen=True)
class Merge:
    """One batch ready to be merged; `columns` and the values of `rows` stand in the same order.

    `removed` are records that are gone; `quiet` rows are accepted and change nothing.
    """

    department: str
    resource: str
    sequence: int
    manifest: str
    manifest_digest: bytes
    source: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    rejected: tuple[RowFault, ...]
    removed: tuple[UUID, ...] = ()
    quiet: int = 0


@dataclass(frozen=True)
class Counts:
    """How many accepted rows were new, changed, unchanged, and took their record away."""

    accepted: int
    inserted: int
    updated: int
    unchanged: int
    removed: int


async def departments(pool: asyncpg.Pool) -> list[str]:
    """Return the departments that have a node, active or not: an inactive node's batches are refused."""
    rows = await pool.fetch("SELECT department FROM exchange.node ORDER BY department", timeout=_TIMEOUT_S)
    return [row["department"] for row in rows]


async def node_key(pool: asyncpg.Pool, department: str) -> PublicKey | None:
    """Return the key that signs the department's batches, or None where it has no active node."""
    sql = "SELECT public_key FROM exchange.node WHERE department = $1 AND active"
    der = await pool.fetchval(sql, department, timeout=_TIMEOUT_S)
    return None if der is None else load_public_der(der)


async def provided_resource(pool: asyncpg.Pool, resource: str) -> ProvidedResource | None:
    """Return a resource in force, or None."""
    sql = "SELECT department, spec::text AS spec FROM exchange.resource WHERE id = $1 AND active"
    row = await pool.fetchrow(sql, resource, timeout=_TIMEOUT_S)
    if row is None:
        return None
    return ProvidedResource(row["department"], msgspec.json.decode(row["spec"], type=ResourceSpec))


async def missing_clearances(pool: asyncpg.Pool, resource: str, manifest: str) -> list[str]:
    """Return the reviews that the regulation in force demands and nobody has signed for this mapping."""
    sql = "SELECT missing FROM exchange.clearances_of($1, $2)"
    return list(await pool.fetchval(sql, resource, manifest, timeout=_TIMEOUT_S))


async def last_batch(pool: asyncpg.Pool, department: str, resource: str) -> LastBatch:
    """Return the last batch merged, zeros before the first."""
    sql = "SELECT sequence, generation FROM exchange.last_batch($1, $2)"
    row = await pool.fetchrow(sql, department, resource, timeout=_TIMEOUT_S)
    return LastBatch(0, 0) if row is None else LastBatch(*row)


async def receipts_after(
    pool: asyncpg.Pool, department: str, resource: str, after: int
) -> list[tuple[int, str]]:
    """Return sequence and text of the receipts after a sequence, in order, a bounded number."""
    sql = "SELECT sequence, receipt FROM exchange.receipts_after($1, $2, $3)"
    rows = await pool.fetch(sql, department, resource, after, timeout=_TIMEOUT_S)
    return [(row["sequence"], row["receipt"]) for row in rows]


async def refuse(
    pool: asyncpg.Pool, department: str, resource: str | None, reason: str, digest: bytes
) -> None:
    """Note that a batch was refused whole, with its audit entry."""
    sql = "SELECT exchange.refuse_batch($1, $2, $3, $4)"
    await pool.execute(sql, department, resource, reason, digest, timeout=_TIMEOUT_S)


async def stage_and_merge(connection: PoolConnectionProxy, batch: Merge) -> Counts:
    """Copy the rows to staging and merge them; belongs in the caller's transaction."""
    if batch.rows:
        await connection.copy_records_to_table(
            batch.resource,
            schema_name="staging",
            columns=batch.columns,
            records=batch.rows,
            timeout=_TIMEOUT_S,
        )
    # The id was matched against the catalogue, whose form of ids needs no quoting.
    sql = (
        "SELECT accepted, inserted, updated, unchanged, removed"
        f" FROM exchange.merge_{batch.resource}($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8)"
    )
    rejected = [{"row": fault.row, "item": fault.item, "code": fault.code} for fault in batch.rejected]
    row = await connection.fetchrow(
        sql,
        batch.department,
        batch.sequence,
        batch.manifest,
        batch.manifest_digest,
        msgspec.json.encode(rejected).decode(),
        batch.source,
        list(batch.removed),
        batch.quiet,
        timeout=_TIMEOUT_S,
    )
    if row is None:
        raise asyncpg.InterfaceError("the merge gave no answer")
    return Counts(*row)


async def store_receipt(
    connection: PoolConnectionProxy, department: str, resource: str, sequence: int, receipt: str
) -> None:
    """Keep the signed receipt with its ledger row; belongs in the transaction of the merge."""
    sql = "SELECT exchange.store_receipt($1, $2, $3, $4)"
    await connection.execute(sql, department, resource, sequence, receipt, timeout=_TIMEOUT_S)
