"""Everything that is checked before a batch may touch the database, cheapest and most telling first.

A batch is refused whole where it can't be trusted; a row is refused alone where only its values are wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg
import pyarrow as pa
import pyarrow.compute as pc

from shuqiao.loader import ledger
from shuqiao.loader.ledger import LastBatch, Merge, ProvidedResource, Screened
from shuqiao.loader.validate import find_faults
from shuqiao.rules.errors import (
    BatchMalformed,
    BatchNotCleared,
    BatchOutOfSequence,
    BatchSignatureInvalid,
    BatchUnknownResource,
    BatchWrongDepartment,
    DuplicateKey,
)
from shuqiao.rules.screening import Screen
from shuqiao.wire.package import (
    Manifest,
    Package,
    RowFault,
    check_signature,
    decode_package,
    decode_part,
    read_manifest,
)
from shuqiao.wire.schemas import ItemSpec, arrow_schema, plain_items
from shuqiao.wire.screening import Caught, code_of
from shuqiao.wire.screening import caught as find_caught
from shuqiao.wire.vault import Assigned, VaultClient, VaultRefused

_IDENTITY_COLUMNS = ("record_id", "subject_id", "identity_version")


@dataclass(frozen=True)
class Trusted:
    """A batch whose signature, origin and digests are right; its values have not been looked at."""

    package: Package
    manifest: Manifest
    resource: ProvidedResource


async def trust(pool: asyncpg.Pool, department: str, resource: str, message: bytes) -> Trusted:
    """Check a message that came on the subject of this department and resource, or raise BatchError.

    The signature comes before the manifest is parsed: nothing unsigned is interpreted.
    """
    package = decode_package(message)
    key = await ledger.node_key(pool, department)
    if key is None:
        raise BatchSignatureInvalid()
    check_signature(package, key)
    manifest = read_manifest(package)
    provided = await ledger.provided_resource(pool, resource)
    if (manifest.department, manifest.resource) != (department, resource):
        raise BatchWrongDepartment(department=department, resource=resource)
    if provided is None:
        raise BatchUnknownResource(resource=resource)
    if provided.department != department:
        raise BatchWrongDepartment(department=department, resource=resource)
    missing = await ledger.missing_reviews(pool, resource, package.manifest.decode())
    if missing:
        # Each review rests on an article of its own: those that are missing are cited.
        rule = "; ".join(dict.fromkeys(one.article for one in missing))
        raise BatchNotCleared(resource=resource, mapping=manifest.mapping_version, rule=rule)
    return Trusted(package, manifest, provided)


def is_past(manifest: Manifest, last: LastBatch) -> bool:
    """Say whether the batch was merged before, or given up by its node, which has begun anew since."""
    return manifest.sequence <= last.sequence or manifest.generation < last.generation


def check_sequence(manifest: Manifest, last: LastBatch) -> bool:
    """Say whether the batch is the next one; False means that its time is past.

    Raises BatchOutOfSequence where an earlier batch is missing.
    """
    if is_past(manifest, last):
        return False
    if manifest.sequence > last.sequence + 1:
        raise BatchOutOfSequence(expected=last.sequence + 1, sequence=manifest.sequence)
    return True


async def separate(vault: VaultClient, batch: Trusted, today: date, screen: Screen) -> Merge:
    """Check the plain rows, hand the sealed ones to the vault, and return what is to be merged."""
    manifest, spec = batch.manifest, batch.resource.spec
    items = plain_items(spec)
    plain = decode_part(batch.package.plain, arrow_schema(items), manifest.rows, "plain")
    known = {item.field for item in spec.items}
    named = {fault.item for fault in manifest.faults} | {one.item for one in manifest.released}
    if not named <= known:
        raise BatchMalformed(part="manifest")
    bare = {*manifest.removed, *(one.row for one in manifest.held)}
    # A removed row says nothing but its key, and one that is held no more.
    faults = [*manifest.faults, *(f for f in find_faults(plain, items, today) if f.row not in bare)]
    caught = _caught(screen, manifest, plain, items)
    faults += [RowFault(one.row, one.item, code_of(screen, one.rule)) for one in caught]
    assigned = await _assign(vault, batch, skip=tuple(sorted({fault.row for fault in faults})))
    rows = _staged(plain, assigned, spec.record_key, faults)
    faults += [RowFault(fault.row, fault.item, fault.code) for fault in assigned.faults]
    spoken = rows.num_rows + len(assigned.removed) + len({fault.row for fault in faults})
    return Merge(
        department=manifest.department,
        resource=manifest.resource,
        sequence=manifest.sequence,
        manifest=batch.package.manifest.decode(),
        manifest_digest=hashlib.sha256(batch.package.manifest).digest(),
        source=manifest.source,
        rows=rows,
        rejected=tuple(sorted(set(faults), key=lambda fault: (fault.row, fault.item, fault.code))),
        removed=assigned.removed,
        quiet=max(0, manifest.rows - spoken),
        screened=_screened(manifest, caught),
        new=assigned.new,
    )


async def _assign(vault: VaultClient, batch: Trusted, skip: tuple[int, ...]) -> Assigned:
    """Hand the sealed rows to the vault, but for those to skip."""
    manifest = batch.manifest
    try:
        return await vault.assign(
            manifest.resource,
            batch.resource.spec,
            department=manifest.department,
            generation=manifest.generation,
            sequence=manifest.sequence,
            sealed=batch.package.sealed,
            skip=skip,
            rows=manifest.rows,
            removed=manifest.removed,
            complete_since=manifest.complete_since,
        )
    except VaultRefused as refused:
        if refused.code == BatchMalformed.code:
            raise BatchMalformed(part="sealed") from None
        raise


def _caught(
    screen: Screen, manifest: Manifest, plain: pa.RecordBatch, items: tuple[ItemSpec, ...]
) -> list[Caught]:
    """Return what the rules catch that the node has neither held nor a person released."""
    settled = {(one.row, one.item, one.rule) for one in manifest.released}
    faulty = {fault.row for fault in manifest.faults}
    return [
        one
        for one in find_caught(screen, manifest.resource, plain, items)
        if one.row not in faulty and (one.row, one.item, one.rule) not in settled
    ]


def _screened(manifest: Manifest, caught: list[Caught]) -> Screened | None:
    if not caught and not manifest.held and not manifest.released:
        return None
    return Screened(manifest.held, tuple(caught), manifest.released)


def _staged(
    plain: pa.RecordBatch, assigned: Assigned, record_key: str, faults: list[RowFault]
) -> pa.RecordBatch:
    """Join the vault's ids with the plain values; a record that occurs twice is staged once."""
    rows = with_ids(
        plain.take(pa.array(assigned.numbers, type=pa.int32())),
        assigned.records,
        assigned.subjects,
        assigned.versions,
    )
    # Rows of one record lie beside each other.
    records = rows.column(0)
    repeated = pc.equal(records[1:], records[:-1]).to_pylist()
    if not any(repeated):
        return rows
    faults += [
        RowFault(number, record_key, DuplicateKey.code)
        for number, again in zip(assigned.numbers[1:], repeated, strict=True)
        if again
    ]
    return rows.filter(pa.array([True, *(not again for again in repeated)]))


def with_ids(
    plain: pa.RecordBatch, records: bytes, subjects: bytes, versions: Sequence[int]
) -> pa.RecordBatch:
    """Return the rows as they are staged: the vault's ids, of 16 bytes each, versions and plain values."""
    ids = (
        pa.array(records.hex(" ", 16).split(), pa.string()),
        pa.array(subjects.hex(" ", 16).split(), pa.string()),
        pa.array(versions, pa.int32()),
    )
    return pa.record_batch([*ids, *plain.columns], names=[*_IDENTITY_COLUMNS, *plain.schema.names])
