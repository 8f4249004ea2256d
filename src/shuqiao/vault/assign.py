"""Storing a batch: decide purely what each row changes, then write all of it in one transaction.

The same batch again changes nothing and gives the same ids and versions, so the loader may repeat it after
any crash on either side.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import asyncpg
import msgspec

# Made in C; a batch needs hundreds of thousands of ids.
from asyncpg.pgproto.pgproto import UUID as FastUUID

from shuqiao.rules.normalise import normalise_value
from shuqiao.vault.batch import PreparedRow, ResourceForm, decode_content, own_identifier
from shuqiao.vault.keys import VaultKeys, random_pieces
from shuqiao.vault.store import ASSIGN_LOCK, log_operation
from shuqiao.wire.vault import MAX_ROWS

if TYPE_CHECKING:
    from shuqiao.vault.store import Connection, Pool

_BESIDE_OTHERS = "SELECT pg_advisory_xact_lock_shared($1)"
_ALONE = "SELECT pg_advisory_xact_lock($1)"
_ONE_LIST = "SELECT pg_advisory_xact_lock($1::int, hashtext($2))"
_EXISTING = """
SELECT key_blind, record_id, subject_id, version, content, department, generation, sequence, removed
FROM vault.record WHERE resource = $1 AND key_blind = ANY($2::bytea[])
"""
_IDENTIFIERS = """
SELECT i.kind, i.blind, i.subject_id
FROM unnest($1::text[], $2::bytea[]) AS asked (kind, blind)
JOIN vault.identifier i USING (kind, blind)
"""
_PAYLOADS = "SELECT record_id, payload FROM vault.record WHERE record_id = ANY($1::uuid[])"
_UPDATE = """
UPDATE vault.record
SET subject_id = $2, related_fields = $3, related_subjects = $4, version = $5, payload = $6, content = $7,
    department = $8, generation = $9, sequence = $10, key_version = $11, removed = false
WHERE record_id = $1
"""
_CONFIRM = """
UPDATE vault.record SET department = $1, generation = $2, sequence = $3, removed = $5
WHERE record_id = ANY($4::uuid[])
  AND (department, generation, sequence, removed) IS DISTINCT FROM ($1, $2, $3, $5)
"""
# A record whose row is at fault is met all the same.
_MEET = """
UPDATE vault.record SET department = $1, generation = $2, sequence = $3
WHERE resource = $4 AND key_blind = ANY($5::bytea[])
  AND (department <> $1 OR (generation, sequence) < ($2, $3))
"""
# What this batch, or one given up in its place, has marked since the load began: the hub may have
# refused that one, or never have come to merge it.
_GONE = """
SELECT record_id FROM vault.record
WHERE resource = $3 AND department = $1 AND sequence >= $2 AND generation >= $4 AND removed
"""
# What was removed before is said once more: the hub may have been restored to a state in which it was there.
_SWEEP = """
UPDATE vault.record r SET department = $1, generation = $2, sequence = $3, removed = true
FROM (SELECT record_id FROM vault.record
      WHERE resource = $4 AND (department <> $1 OR generation < $5) LIMIT $6) unmet
WHERE r.record_id = unmet.record_id
RETURNING r.record_id
"""
_FORGET_NAMES = """
DELETE FROM vault.name_index n USING unnest($1::bytea[], $2::uuid[]) AS old (blind, record_id)
WHERE n.blind = old.blind AND n.record_id = old.record_id
"""
_RECORD_COLUMNS = (
    "record_id",
    "resource",
    "key_blind",
    "subject_id",
    "related_fields",
    "related_subjects",
    "version",
    "payload",
    "content",
    "department",
    "generation",
    "sequence",
    "key_version",
)
_KEEP_SPEC = """
INSERT INTO vault.resource (id, spec) VALUES ($1, $2)
ON CONFLICT (id) DO UPDATE SET spec = excluded.spec, updated_at = now()
WHERE vault.resource.spec IS DISTINCT FROM excluded.spec
"""

_IDS_AT_ONCE = 512
# The sixth byte of an id holds its version, the eighth its variant, above random bits.
_VERSION_4 = bytes([value & 0x0F | 0x40 for value in range(256)])
_VARIANT = bytes([value & 0x3F | 0x80 for value in range(256)])


@dataclass(frozen=True, slots=True)
class BatchOrigin:
    """Which batch the rows come from."""

    form: ResourceForm
    spec: bytes
    department: str
    generation: int
    sequence: int
    client: str
    digest: bytes

    @property
    def place(self) -> tuple[str, int, int]:
        """What tells an older batch from a newer one, as it stands beside each record."""
        return self.department, self.generation, self.sequence


@dataclass(frozen=True, slots=True)
class Stored:
    """What a stored batch gives back: its rows by their records, whether all are new, and what is gone."""

    rows: list[StoredRow]
    new: bool
    removed: list[UUID]


StoredRow = tuple[bytes, int, bytes, int]
"""Record, number of the row in its batch, subject and version."""


class BlindRow(msgspec.Struct, frozen=True):
    """A prepared row with the blinds of everything it is found by."""

    source: PreparedRow
    key: bytes
    own: tuple[str, bytes] | None
    related: tuple[tuple[str, str, bytes], ...]


class Existing(msgspec.Struct, frozen=True):
    """What the vault holds of a record already."""

    record: UUID
    subject: UUID
    version: int
    content: bytes
    department: str
    generation: int
    sequence: int
    removed: bool


@dataclass(slots=True)
class Changes:
    """Rows to write, collected while the batch is decided, each in the order of its table's columns.

    Records that are `gone` were marked before, and are told once more.
    """

    identifiers: list[tuple[str, bytes, UUID, int]] = field(default_factory=list)
    records: list[tuple[object, ...]] = field(default_factory=list)
    updates: list[tuple[object, ...]] = field(default_factory=list)
    confirmed: list[UUID] = field(default_factory=list)
    removed: list[UUID] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)
    names: list[tuple[bytes, UUID]] = field(default_factory=list)
    old_names: list[tuple[bytes, UUID]] = field(default_factory=list)
    answer: list[StoredRow] = field(default_factory=list)


def blind_row(keys: VaultKeys, form: ResourceForm, row: PreparedRow) -> BlindRow:
    """Compute the blinds of a row."""
    own = None if row.own is None else (row.own[0], keys.identifier_blind(*row.own))
    related = tuple([(name, kind, keys.identifier_blind(kind, number)) for name, kind, number in row.related])
    return BlindRow(row, keys.record_key_blind(form.resource, row.key), own, related)


class BatchDecider:
    """Decides, row by row, what a batch changes; touches no database.

    `subjects` grows as the batch names persons not known before, so two rows that name the same person
    agree. New records, at most `count`, get ids that rise in the order in which they are decided, which costs
    an index least where that is the order of their keys' blinds.
    """

    def __init__(
        self,
        keys: VaultKeys,
        origin: BatchOrigin,
        existing: dict[bytes, Existing],
        subjects: dict[tuple[str, bytes], UUID],
        count: int,
    ) -> None:
        """Take what the vault holds of the records and numbers of this batch."""
        self._keys = keys
        self._origin = origin
        self._existing = existing
        self._subjects = subjects
        self._ids = _random_ids()
        self._records = iter(sorted(islice(self._ids, count), key=attrgetter("bytes")))
        self.changes = Changes()

    def changed_records(self, rows: Sequence[BlindRow]) -> list[UUID]:
        """The records whose present content is needed to decide, because the batch replaces it."""
        known = [
            (row, self._existing[row.key])
            for row in rows
            if row.key in self._existing and not row.source.removed
        ]
        return [held.record for row, held in known if self._replaces(row, held)]

    def decide(self, row: BlindRow, payloads: dict[UUID, bytes]) -> None:
        """Add one row's changes and its answer."""
        held = self._existing.get(row.key)
        if row.source.removed:
            # Nobody's record can't be removed, and is not made for it.
            if held is not None and not self._is_older(held):
                self.changes.removed.append(held.record)
            elif held is not None and held.removed:
                # A later batch said so too, and the hub may have refused that one.
                self.changes.gone.append(held.record)
        elif held is None:
            self._add(row)
        elif self._replaces(row, held):
            self._replace(
                row, held, decode_content(self._keys.decrypt(held.record.bytes, payloads[held.record]))
            )
        else:
            if not self._is_older(held):
                self.changes.confirmed.append(held.record)
            self._answer(row, held.record, held.subject, held.version)

    def _is_older(self, held: Existing) -> bool:
        """Say whether the vault holds a row of a later batch; another department's row is never later."""
        origin = self._origin
        stored, offered = (held.generation, held.sequence), (origin.generation, origin.sequence)
        return held.department == origin.department and stored > offered

    def _replaces(self, row: BlindRow, held: Existing) -> bool:
        mark = self._keys.content_mark(held.record.bytes, row.source.content)
        return mark != held.content and not self._is_older(held)

    def _add(self, row: BlindRow) -> None:
        record = next(self._records)
        subject = next(self._ids) if row.own is None else self._subject_of(*row.own)
        place = (record, self._origin.form.resource, row.key)
        self.changes.records.append(place + self._row_values(row, record, subject, 1))
        self._index_names(row, record)
        self._answer(row, record, subject, 1)

    def _row_values(self, row: BlindRow, record: UUID, subject: UUID, version: int) -> tuple[object, ...]:
        raw, content = record.bytes, row.source.content
        return (
            subject,
            [related_field for related_field, _, _ in row.related],
            [self._subject_of(kind, blind) for _, kind, blind in row.related],
            version,
            self._keys.encrypt(raw, content),
            self._keys.content_mark(raw, content),
            self._origin.department,
            self._origin.generation,
            self._origin.sequence,
            self._keys.version,
        )

    def _replace(self, row: BlindRow, held: Existing, old: dict[str, str]) -> None:
        subject = self._subject_after(row, held, old)
        version = held.version + 1
        self.changes.updates.append((held.record, *self._row_values(row, held.record, subject, version)))
        form = self._origin.form
        for item in form.items:
            if item.kind == "name" and item.field in old:
                name = normalise_value(item.kind, item.type, old[item.field])
                blind = self._keys.name_blind(form.resource, item.field, name)
                self.changes.old_names.append((blind, held.record))
        self._index_names(row, held.record)
        self._answer(row, held.record, subject, version)

    def _subject_after(self, row: BlindRow, held: Existing, old: dict[str, str]) -> UUID:
        """Keep the subject, unless the record's own number is corrected to somebody else's.

        A number that appears for the first time on a record without one belongs to the record's subject,
        if nobody else has it yet.
        """
        if row.own is None:
            return held.subject
        if row.own not in self._subjects and not self._had_own(old):
            self._name_subject(row.own, held.subject)
        return self._subject_of(*row.own)

    def _had_own(self, old: dict[str, str]) -> bool:
        form = self._origin.form
        return any(
            own_identifier(form, item, normalise_value(item.kind, item.type, old[item.field])) is not None
            for item in form.items
            if item.field in old
        )

    def _subject_of(self, kind: str, blind: bytes) -> UUID:
        subject = self._subjects.get((kind, blind))
        if subject is None:
            subject = next(self._ids)
            self._name_subject((kind, blind), subject)
        return subject

    def _name_subject(self, identifier: tuple[str, bytes], subject: UUID) -> None:
        self._subjects[identifier] = subject
        self.changes.identifiers.append((*identifier, subject, self._keys.version))

    def _index_names(self, row: BlindRow, record: UUID) -> None:
        resource = self._origin.form.resource
        for name_field, name in row.source.names:
            self.changes.names.append((self._keys.name_blind(resource, name_field, name), record))

    def _answer(self, row: BlindRow, record: UUID, subject: UUID, version: int) -> None:
        self.changes.answer.append((record.bytes, row.source.row, subject.bytes, version))


def _random_ids() -> Iterator[UUID]:
    """Give random ids (UUID version 4) without end."""
    for piece in random_pieces(16 * _IDS_AT_ONCE, 1):
        raw = bytearray(piece)
        raw[6::16] = raw[6::16].translate(_VERSION_4)
        raw[8::16] = raw[8::16].translate(_VARIANT)
        many = bytes(raw)
        for start in range(0, len(many), 16):
            yield FastUUID(many[start : start + 16])


@asynccontextmanager
async def place_in_line(line: asyncio.Lock) -> AsyncIterator[asyncio.Task[Literal[True]]]:
    """Queue for `line` now, await the turn later: batches are prepared side by side, stored as they came."""
    turn = asyncio.create_task(line.acquire())
    try:
        yield turn
    finally:
        if turn.done() and not turn.cancelled():
            line.release()
        else:
            turn.cancel()


async def store_batch(
    pool: Pool,
    keys: VaultKeys,
    origin: BatchOrigin,
    rows: Sequence[BlindRow],
    met: Sequence[bytes] = (),
    complete_since: int | None = None,
) -> Stored:
    """Decide and write a batch in one transaction; batches of one list wait for each other.

    `met` are the keys of rows at fault, whose records are still there. Where a batch of another list has
    entered the same new person meanwhile, this one begins anew, alone.
    """
    try:
        return await _locked(_BESIDE_OTHERS, pool, keys, origin, rows, met, complete_since)
    except asyncpg.UniqueViolationError:
        return await _locked(_ALONE, pool, keys, origin, rows, met, complete_since)


async def _locked(lock: str, pool: Pool, keys: VaultKeys, origin: BatchOrigin, *what: Any) -> Stored:
    async with pool.acquire() as connection, connection.transaction():
        # Thousands of rows deserve a plan of their own.
        await connection.execute("SET LOCAL plan_cache_mode TO auto")
        await connection.execute(lock, ASSIGN_LOCK)
        await connection.execute(_ONE_LIST, ASSIGN_LOCK, origin.form.resource)
        return await _store(connection, keys, origin, *what)


async def _store(
    connection: Connection,
    keys: VaultKeys,
    origin: BatchOrigin,
    rows: Sequence[BlindRow],
    met: Sequence[bytes],
    complete_since: int | None,
) -> Stored:
    existing = await _read_existing(connection, origin, rows)
    subjects = await _read_identifiers(connection, rows)
    # In the order in which an index finds them, and is filled.
    rows = sorted(rows, key=attrgetter("key"))
    decider = BatchDecider(keys, origin, existing, subjects, sum(row.key not in existing for row in rows))
    changed = decider.changed_records(rows)
    payloads: dict[UUID, bytes] = (
        {row[0]: row[1] for row in await connection.fetch(_PAYLOADS, changed)} if changed else {}
    )
    for row in rows:
        decider.decide(row, payloads)
    await _write(connection, origin, decider.changes)
    if met:
        await connection.execute(_MEET, *origin.place, origin.form.resource, list(met))
    removed = decider.changes.removed + decider.changes.gone
    if complete_since is not None:
        removed += await _sweep(connection, origin, complete_since)
    answer = sorted(decider.changes.answer)
    return Stored(answer, bool(answer) and len(answer) == len(decider.changes.records), removed)


async def _sweep(connection: Connection, origin: BatchOrigin, since: int) -> list[UUID]:
    """Mark records that were not met since a generation, a bounded number; said again, the same ones."""
    resource = origin.form.resource
    found = await connection.fetch(_GONE, origin.department, origin.sequence, resource, since)
    if not found:
        found = await connection.fetch(_SWEEP, *origin.place, resource, since, MAX_ROWS)
    return [row[0] for row in found]


async def _read_existing(
    connection: Connection, origin: BatchOrigin, rows: Sequence[BlindRow]
) -> dict[bytes, Existing]:
    found = await connection.fetch(_EXISTING, origin.form.resource, [row.key for row in rows])
    return {row[0]: Existing(*row[1:]) for row in found}


async def _read_identifiers(
    connection: Connection, rows: Sequence[BlindRow]
) -> dict[tuple[str, bytes], UUID]:
    asked = {row.own for row in rows if row.own is not None}
    asked.update((kind, blind) for row in rows for _, kind, blind in row.related)
    pairs = list(asked)
    found = await connection.fetch(_IDENTIFIERS, [kind for kind, _ in pairs], [blind for _, blind in pairs])
    return {(row[0], row[1]): row[2] for row in found}


async def _write(connection: Connection, origin: BatchOrigin, changes: Changes) -> None:
    await connection.execute(_KEEP_SPEC, origin.form.resource, origin.spec)
    # In one order: two batches that name the same new people wait for each other one way only.
    identifiers = sorted(changes.identifiers, key=itemgetter(0, 1))
    await _copy(connection, "identifier", ("kind", "blind", "subject_id", "key_version"), identifiers)
    await _copy(connection, "record", _RECORD_COLUMNS, changes.records)
    if changes.updates:
        await connection.executemany(_UPDATE, changes.updates)
    if changes.old_names:
        blinds, records = zip(*changes.old_names, strict=True)
        await connection.execute(_FORGET_NAMES, list(blinds), list(records))
    for met, removed in ((changes.confirmed, False), (changes.removed, True)):
        if met:
            await connection.execute(_CONFIRM, *origin.place, met, removed)
    await _copy(connection, "name_index", ("blind", "record_id"), changes.names)
    count = len(changes.answer) + len(changes.removed)
    await log_operation(
        connection, origin.client, "assign", origin.form.resource, count, origin.digest, "done"
    )


async def _copy(
    connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[tuple[object, ...]]
) -> None:
    if rows:
        await connection.copy_records_to_table(table, schema_name="vault", columns=columns, records=rows)
