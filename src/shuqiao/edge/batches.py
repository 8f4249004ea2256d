"""From source rows to signed, sealed messages that fit the hub's limit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from shuqiao.edge.connectors import SourceRow
from shuqiao.edge.convert import Columns, convert
from shuqiao.edge.mapping import ColumnSource, TableMapping
from shuqiao.edge.screening import Looked
from shuqiao.edge.spool import Number, SpooledBatch
from shuqiao.rules.errors import BatchMalformed, BatchSignatureInvalid, ItemTooLong, RowRefused
from shuqiao.security.keys import SigningKey
from shuqiao.security.sealing import seal
from shuqiao.wire.package import (
    MAX_MESSAGE_BYTES,
    MAX_PART_BYTES,
    Manifest,
    RowFault,
    check_signature,
    decode_package,
    encode_package,
    encode_part,
    sealing_context,
)
from shuqiao.wire.schemas import ResourceSpec


@dataclass(frozen=True)
class Sender:
    """Who sends: the department, the key that signs its batches and the vault's key to seal to."""

    department: str
    key: SigningKey
    vault_key: X25519PublicKey

    def has_signed(self, message: bytes) -> bool:
        """Say whether a message bears the signature of the key that signs now."""
        try:
            check_signature(decode_package(message), self.key.public_key())
        except (BatchMalformed, BatchSignatureInvalid):
            return False
        return True


Look = Callable[[Sequence[SourceRow], Columns], Looked]
"""Looks through a page before it is signed: what the rules of screening catch doesn't leave."""


def build_batches(
    rows: Sequence[SourceRow],
    mapping: TableMapping,
    spec: ResourceSpec,
    sender: Sender,
    first: Number,
    look: Look = lambda _, columns: Looked(columns),
) -> list[SpooledBatch]:
    """Return the rows as one message or as many as the limit asks for, numbered from `first`.

    A single row that is too large for a message travels without its largest value, as a fault of the row.
    """
    if not rows:
        return []
    looked = look(rows, convert(rows, mapping, spec))
    removed = tuple(place for place, row in enumerate(rows) if row.removed)
    batch = _message(looked, mapping, sender, first, removed)
    if batch is not None:
        return [batch]
    if len(rows) == 1:
        return [_cut_down(rows[0], mapping, spec, sender, first, look)]
    half = len(rows) // 2
    head = build_batches(rows[:half], mapping, spec, sender, first, look)
    return head + build_batches(rows[half:], mapping, spec, sender, first.after(len(head)), look)


def build_released(
    looked: Looked, mapping: TableMapping, sender: Sender, number: Number
) -> SpooledBatch | None:
    """Return the batch of rows that were held and may go now; None where they are too large for one."""
    return _message(looked, mapping, sender, number)


def build_emptied(mapping: TableMapping, spec: ResourceSpec, sender: Sender, number: Number) -> SpooledBatch:
    """Return a batch that stands for one row the hub can't take: no values, and the fault at its key."""
    row = SourceRow("", "", (None,) * len(mapping.source_columns()))
    columns = convert([row], mapping, spec)
    fault = RowFault(0, spec.record_key, RowRefused.code)
    batch = _message(Looked(replace(columns, faults=(fault, *columns.faults))), mapping, sender, number)
    if batch is None:
        raise ValueError("a batch without values exceeds the limit")
    return batch


def build_end(
    mapping: TableMapping, spec: ResourceSpec, sender: Sender, number: Number, since: int
) -> SpooledBatch:
    """Return the batch that says that all there is was sent since a generation; it has no rows."""
    batch = _message(Looked(convert([], mapping, spec)), mapping, sender, number, since=since)
    if batch is None:
        raise ValueError("a batch without rows exceeds the limit")
    return replace(batch, is_end=True)


def _message(
    looked: Looked,
    mapping: TableMapping,
    sender: Sender,
    number: Number,
    removed: tuple[int, ...] = (),
    since: int | None = None,
) -> SpooledBatch | None:
    """Return the message of these columns, or None where it exceeds a limit."""
    columns = looked.columns
    if max(columns.plain.nbytes, columns.identity.nbytes) > MAX_PART_BYTES // 2:
        return None
    context = sealing_context(sender.department, mapping.resource, number.generation, number.sequence)
    plain = encode_part(columns.plain)
    sealed = seal(sender.vault_key, encode_part(columns.identity), context)
    rows = max(columns.plain.num_rows, columns.identity.num_rows)
    manifest = Manifest(
        department=sender.department,
        resource=mapping.resource,
        sequence=number.sequence,
        generation=number.generation,
        rows=rows,
        mapping_version=mapping.version,
        source=mapping.system,
        plain_digest=hashlib.sha256(plain).hexdigest(),
        sealed_digest=hashlib.sha256(sealed).hexdigest(),
        created=datetime.now(UTC),
        faults=columns.faults,
        removed=removed,
        complete_since=since,
        held=looked.held,
        released=looked.released,
    )
    message = encode_package(manifest, plain, sealed, sender.key)
    if len(message) > MAX_MESSAGE_BYTES:
        return None
    digest = hashlib.sha256(decode_package(message).manifest).hexdigest()
    batch = SpooledBatch(number.sequence, message, digest, rows)
    return replace(batch, kept=looked.kept, hides_key=looked.hides_key)


def _cut_down(
    row: SourceRow, mapping: TableMapping, spec: ResourceSpec, sender: Sender, number: Number, look: Look
) -> SpooledBatch:
    """Return a message of one row, emptied value by value, the largest first, until it fits."""
    names = mapping.source_columns()
    faults: list[RowFault] = []
    while True:
        sizes = [_size(value) for value in row.values]
        index = sizes.index(max(sizes))
        values = tuple(None if place == index else value for place, value in enumerate(row.values))
        row = replace(row, values=values)
        faults += [
            RowFault(0, field, ItemTooLong.code)
            for field, source in mapping.items.items()
            if isinstance(source, ColumnSource) and source.column == names[index]
        ]
        columns = convert([row], mapping, spec)
        columns = replace(columns, faults=(*faults, *columns.faults))
        batch = _message(look([row], columns), mapping, sender, number)
        if batch is not None:
            return batch


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes) else 0
