"""What the loader may do in the hub's database: the tables and functions of the contract schema."""

from __future__ import annotations

import io
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import msgspec
import pyarrow as pa
from asyncpg.pool import PoolConnectionProxy
from pyarrow import csv

from shuqiao.rules.errors import BatchError
from shuqiao.security.keys import PublicKey, load_public_der
from shuqiao.wire.package import HeldRow, ReleasedRow, RowFault
from shuqiao.wire.schemas import ResourceSpec
from shuqiao.wire.screening import Caught

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
class Screened:
    """What the rules of screening caught in a batch: held at the node, caught here only, and released."""

    held: tuple[HeldRow, ...]
    caught: tuple[Caught, ...]
    released: tuple[ReleasedRow, ...]


@dataclass(frozen=True)
class Merge:
    """One batch ready to be merged; `rows` have the columns of its staging table.

    `removed` are records that are gone; `quiet` rows are accepted and change nothing.
    """

    department: str
    resource: str
    sequence: int
    manifest: str
    manifest_digest: bytes
    source: str
    rows: pa.RecordBatch
    rejected: tuple[RowFault, ...]
    removed: tuple[UUID, ...] = ()
    quiet: int = 0
    screened: Screened | None = None
    new: bool = False


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


class MissingReview(msgspec.Struct, frozen=True):
    """A review that nobody has signed for this mapping, and the article that demands it."""

    review: str
    article: str


async def missing_reviews(pool: asyncpg.Pool, resource: str, manifest: str) -> list[MissingReview]:
    """Return the reviews that the regulation in force demands and nobody has signed for this mapping."""
    sql = "SELECT exchange.missing_reviews($1, $2)::text"
    text = await pool.fetchval(sql, resource, manifest, timeout=_TIMEOUT_S)
    return msgspec.json.decode(text, type=list[MissingReview])


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
    pool: asyncpg.Pool, department: str, resource: str | None, refusal: BatchError, digest: bytes
) -> None:
    """Note that a batch was refused whole, with its audit entry and what the refusal rests on."""
    sql = "SELECT exchange.refuse_batch($1, $2, $3, $4, $5::text::jsonb)"
    facts = {"articles": refusal.rule.split("; ")} if refusal.rule else {}
    text = msgspec.json.encode(facts).decode()
    await pool.execute(sql, department, resource, refusal.code, digest, text, timeout=_TIMEOUT_S)


async def stage_and_merge(connection: PoolConnectionProxy, batch: Merge) -> Counts:
    """Copy the rows to staging and merge them; belongs in the caller's transaction."""
    if batch.rows.num_rows:
        await connection.copy_to_table(
            batch.resource,
            schema_name="staging",
            columns=batch.rows.schema.names,
            source=io.BytesIO(as_csv(batch.rows)),
            format="csv",
            timeout=_TIMEOUT_S,
        )
    # The id was matched against the catalogue, whose form of ids needs no quoting.
    sql = (
        "SELECT accepted, inserted, updated, unchanged, removed"
        f" FROM exchange.merge_{batch.resource}($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8, $9)"
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
        batch.new,
        timeout=_TIMEOUT_S,
    )
    if row is None:
        raise asyncpg.InterfaceError("the merge gave no answer")
    return Counts(*row)


def as_csv(rows: pa.RecordBatch) -> bytes:
    """Write rows as the database reads them: a text in quotes, nothing for what is not there."""
    sink = pa.BufferOutputStream()
    csv.write_csv(rows, sink, csv.WriteOptions(include_header=False))
    written: bytes = sink.getvalue().to_pybytes()
    return written


async def store_receipt(
    connection: PoolConnectionProxy, department: str, resource: str, sequence: int, receipt: str
) -> None:
    """Keep the signed receipt with its ledger row; belongs in the transaction of the merge."""
    sql = "SELECT exchange.store_receipt($1, $2, $3, $4)"
    await connection.execute(sql, department, resource, sequence, receipt, timeout=_TIMEOUT_S)


async def rules_in_force(pool: asyncpg.Pool) -> bytes | None:
    """Return the office's rules of screening as JSON; None where it has put none into force."""
    found = await pool.fetchval("SELECT exchange.screening_rules()", timeout=_TIMEOUT_S)
    return None if found is None else str(found).encode()


async def note_screened(connection: PoolConnectionProxy, batch: Merge) -> None:
    """Note in the log what was held and released in a batch; belongs in the transaction of its merge."""
    screened = batch.screened
    if screened is None:
        return
    sql = "SELECT exchange.note_screened($1, $2, $3, $4::text::jsonb)"
    told = {
        "held": [{"item": one.item, "rule": one.rule, "mark": one.mark} for one in screened.held],
        "caught": [{"item": one.item, "rule": one.rule, "row": one.row} for one in screened.caught],
        "released": [
            {"item": one.item, "rule": one.rule, "mark": one.mark, "by": one.by, "reason": one.reason}
            for one in screened.released
        ],
    }
    text = msgspec.json.encode(told).decode()
    await connection.execute(sql, batch.department, batch.resource, batch.sequence, text, timeout=_TIMEOUT_S)
