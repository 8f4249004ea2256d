"""What a batch's identity columns say: opened, checked, brought into one form. No database here.

A fault never carries the value, only row, item and code.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import msgspec
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.rules import errors
from shuqiao.rules.identifiers import check_citizen_id, check_identifier
from shuqiao.rules.normalise import normalise_value
from shuqiao.security.sealing import SealRefusedError, open_sealed
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, identity_items
from shuqiao.wire.vault import MAX_ROWS, RowFault

SUBJECT_KINDS = frozenset({"citizen_id", "credit_code"})
OWN_FIELDS = frozenset({"citizen_id_number", "id_document_number", "unified_social_credit_code"})
"""Items that hold the number of the record's own subject where they are not the record key themselves."""

MAX_TEXT_CHARS = 1024
MAX_PICTURE_BYTES = 512 * 1024
MAX_BATCH_BYTES = 64 * 1024 * 1024
SLICE_ROWS = 256

_content_encoder = msgspec.msgpack.Encoder(order="deterministic")


class BatchUnreadable(Exception):
    """The sealed part is not what the contract says; the whole batch is refused."""


@dataclass(frozen=True, slots=True)
class ResourceForm:
    """What the vault needs to know of a resource: its identity items, and the roles some of them play."""

    resource: str
    key: ItemSpec
    items: tuple[ItemSpec, ...]
    by_field: dict[str, ItemSpec] = field(compare=False)

    @classmethod
    def of(cls, resource: str, spec: ResourceSpec) -> ResourceForm:
        """Read a specification; one whose record key is not an identity item can't be kept apart."""
        items = tuple(sorted(identity_items(spec), key=lambda item: item.field))
        by_field = {item.field: item for item in items}
        key = by_field.get(spec.record_key)
        if key is None or key.type == "image":
            raise BatchUnreadable("the record key is not an identity item")
        return cls(resource, key, items, by_field)


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """One sound row: the number it is found by, its content, and whom it names."""

    row: int
    key: str
    content: bytes
    own: tuple[str, str] | None
    related: tuple[tuple[str, str, str], ...]
    names: tuple[tuple[str, str], ...]


def open_batch(key: X25519PrivateKey, sealed: bytes, context: bytes) -> pa.Table:
    """Open the sealed Arrow IPC stream into a table, within bounds."""
    try:
        stream = pa.ipc.open_stream(open_sealed(key, sealed, context))
        batches, rows, size_bytes = [], 0, 0
        for batch in stream:
            rows += batch.num_rows
            size_bytes += batch.nbytes
            if rows > MAX_ROWS or size_bytes > MAX_BATCH_BYTES:
                raise BatchUnreadable("the batch is too large")
            batch.validate(full=True)
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=stream.schema)
    except (SealRefusedError, pa.ArrowException, ValueError) as error:
        raise BatchUnreadable("the sealed part can't be opened or read") from error


def check_columns(form: ResourceForm, table: pa.Table) -> None:
    """Refuse columns the resource has not, columns given twice, and a missing record key."""
    names = table.column_names
    if len(set(names)) != len(names) or not set(names) <= form.by_field.keys():
        raise BatchUnreadable("the sealed part has other columns than the resource's identity items")
    if form.key.field not in names:
        raise BatchUnreadable("the sealed part lacks the record key")


def read_slices(
    form: ResourceForm, table: pa.Table, skip: frozenset[int]
) -> Iterator[tuple[list[PreparedRow], list[RowFault]]]:
    """Check and prepare the rows a few hundred at a time, so that the caller can let others work between."""
    for start in range(0, table.num_rows, SLICE_ROWS):
        yield _read_slice(form, table.slice(start, SLICE_ROWS), start, skip)


def last_rows(rows: Sequence[PreparedRow], key_field: str) -> tuple[list[PreparedRow], list[RowFault]]:
    """Keep the last row of each record key; earlier ones become faults."""
    latest = {row.key: row for row in rows}
    kept = [row for row in rows if latest[row.key] is row]
    faults = [
        RowFault(row.row, key_field, errors.DuplicateKey.code) for row in rows if latest[row.key] is not row
    ]
    return kept, faults


def own_identifier(form: ResourceForm, item: ItemSpec, normalised: str) -> tuple[str, str] | None:
    """The kind and number that name the record's own subject, if this item holds them.

    The document number of a person may be of any kind of document; it names a subject when it is a sound
    citizen number.
    """
    if item.field != form.key.field and item.field not in OWN_FIELDS:
        return None
    if item.kind in SUBJECT_KINDS:
        return item.kind, normalised
    if item.field == "id_document_number" and check_citizen_id(normalised).ok:
        return "citizen_id", normalised
    return None


def decode_content(content: bytes) -> dict[str, str]:
    """A record's identity values by field, as the source wrote them."""
    return _content_decoder.decode(content)


_content_decoder: msgspec.msgpack.Decoder[dict[str, str]] = msgspec.msgpack.Decoder(dict[str, str])


def _read_slice(
    form: ResourceForm, part: pa.Table, start: int, skip: frozenset[int]
) -> tuple[list[PreparedRow], list[RowFault]]:
    faults: list[RowFault] = []
    columns = [
        (item, part.column(item.field).to_pylist() if item.field in part.column_names else None)
        for item in form.items
    ]
    rows = []
    for index in range(part.num_rows):
        if start + index in skip:
            continue
        values = [(item, None if column is None else column[index]) for item, column in columns]
        row, row_faults = _read_row(form, start + index, values)
        faults += row_faults
        if row is not None:
            rows.append(row)
    return rows, faults


def _read_row(
    form: ResourceForm, number: int, values: Sequence[tuple[ItemSpec, object]]
) -> tuple[PreparedRow | None, list[RowFault]]:
    content: dict[str, str] = {}
    faults: list[RowFault] = []
    own: tuple[str, str] | None = None
    related: list[tuple[str, str, str]] = []
    names: list[tuple[str, str]] = []
    key = ""
    for item, value in values:
        text = _text(value)
        normalised = "" if text is None else normalise_value(item.kind, item.type, text)
        code = _fault(form, item, text, normalised)
        if code is not None:
            faults.append(RowFault(number, item.field, code))
        if code is not None or text is None or not normalised:
            continue
        content[item.field] = text
        key = normalised if item.field == form.key.field else key
        mine = own_identifier(form, item, normalised)
        own = own or mine
        if item.kind == "name":
            names.append((item.field, normalised))
        elif item.kind in SUBJECT_KINDS and mine is None:
            related.append((item.field, item.kind, normalised))
    if faults:
        return None, faults
    encoded = _content_encoder.encode(content)
    return PreparedRow(number, key, encoded, own, tuple(related), tuple(names)), faults


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case str():
            return value.strip()
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case datetime() | date():
            return value.isoformat()
        case _:
            raise BatchUnreadable("the sealed part has a column of a type no identity item has")


def _fault(form: ResourceForm, item: ItemSpec, text: str | None, normalised: str) -> str | None:
    if text is None or not normalised:
        missing = item.required or item.field == form.key.field
        return errors.ItemRequired.code if missing else None
    limit = MAX_PICTURE_BYTES * 4 // 3 + 4 if item.type == "image" else MAX_TEXT_CHARS
    if len(text) > limit:
        return errors.ItemTooLong.code
    if item.codes is not None and text not in item.codes:
        return errors.ItemCodeUnknown.code
    finding = check_identifier(item.kind, normalised, field=item.field)
    if finding.ok:
        return None
    # Length, characters and check digit share one refusal; only an impossible birth date has its own.
    impossible = finding.code == errors.DateImpossible.code
    return errors.DateImpossible.code if impossible else errors.IdentifierCheckDigit.code
