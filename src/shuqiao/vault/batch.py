"""What a batch's identity columns say: opened, checked, brought into one form. No database here.

A fault never carries the value, only row, item and code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.rules import errors
from shuqiao.rules.identifiers import Finding, check_citizen_id, checker_of
from shuqiao.rules.normalise import normalise_value
from shuqiao.security.sealing import SealRefusedError, open_sealed
from shuqiao.wire.package import decode_part
from shuqiao.wire.reconciliation import written
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, arrow_schema, identity_items
from shuqiao.wire.vault import RowFault

SUBJECT_KINDS = frozenset({"citizen_id", "credit_code"})
OWN_FIELDS = frozenset({"citizen_id_number", "id_document_number", "unified_social_credit_code"})
"""Items that hold the number of the record's own subject where they are not the record key themselves."""

MAX_TEXT_CHARS = 1024
MAX_PICTURE_BYTES = 512 * 1024
_FREE_TEXT = ("name", "contact", "address", "plain")
SLICE_ROWS = 256

_content_encoder = msgspec.msgpack.Encoder(order="deterministic")

_SHORTCUT_KINDS = frozenset({"name", "citizen_id", "credit_code", "document", "address", "plain"})
_IN_FORM = re.compile(r"[\u4e00-\u9fff0-9A-Z]+")


class BatchUnreadable(Exception):
    """The sealed part is not what the contract says; the whole batch is refused."""


@dataclass(frozen=True, slots=True)
class ResourceForm:
    """What the vault needs to know of a resource: its identity items, and the roles some of them play."""

    resource: str
    key: ItemSpec
    items: tuple[ItemSpec, ...]
    by_field: dict[str, ItemSpec] = field(compare=False)
    schema: pa.Schema

    @classmethod
    def of(cls, resource: str, spec: ResourceSpec) -> ResourceForm:
        """Read a specification; one whose record key is not an identity item can't be kept apart."""
        items = tuple(sorted(identity_items(spec), key=lambda item: item.field))
        by_field = {item.field: item for item in items}
        key = by_field.get(spec.record_key)
        if key is None or key.type == "image":
            raise BatchUnreadable("the record key is not an identity item")
        return cls(resource, key, items, by_field, arrow_schema(identity_items(spec)))


class PreparedRow(msgspec.Struct, frozen=True):
    """One sound row: the number it is found by, its content, and whom it names.

    Of a `removed` row only the number is there.
    """

    row: int
    key: str
    content: bytes
    own: tuple[str, str] | None
    related: tuple[tuple[str, str, str], ...]
    names: tuple[tuple[str, str], ...]
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What is known of a batch's rows before they are opened: those that failed elsewhere, those removed."""

    skip: frozenset[int]
    removed: frozenset[int]


@dataclass(frozen=True, slots=True)
class Slice:
    """Some rows of a batch: sound ones, what is wrong, and the keys of those that are at fault elsewhere.

    A record whose row is at fault is still there at the source, which is all its key is good for.
    """

    rows: list[PreparedRow]
    faults: list[RowFault]
    met: list[str]


def open_batch(
    key: X25519PrivateKey, sealed: bytes, context: bytes, form: ResourceForm, rows: int | None
) -> pa.RecordBatch:
    """Open the sealed part: exactly the resource's identity columns, within the bounds of a part."""
    try:
        return decode_part(open_sealed(key, sealed, context), form.schema, rows, "sealed")
    except (SealRefusedError, errors.BatchMalformed) as error:
        raise BatchUnreadable("the sealed part can't be opened or read") from error


def read_slices(form: ResourceForm, part: pa.RecordBatch, said: Said) -> Iterator[Slice]:
    """Check and prepare the rows a few hundred at a time, so that the caller can let others work between."""
    for start in range(0, part.num_rows, SLICE_ROWS):
        yield _read_slice(form, part.slice(start, SLICE_ROWS), start, said)


def last_rows(rows: Sequence[PreparedRow], key_field: str) -> tuple[list[PreparedRow], list[RowFault]]:
    """Keep the last row of each record key; earlier ones become faults.

    A record that was removed and came back, or the other way round, is no fault: the last word counts.
    """
    latest = {row.key: row for row in rows}
    kept = [row for row in rows if latest[row.key] is row]
    faults = [
        RowFault(row.row, key_field, errors.DuplicateKey.code)
        for row in rows
        if latest[row.key] is not row and not row.removed and not latest[row.key].removed
    ]
    return kept, faults


def own_identifier(form: ResourceForm, item: ItemSpec, normalised: str) -> tuple[str, str] | None:
    """The kind and number that name the record's own subject, if this item holds them."""
    if item.field != form.key.field and item.field not in OWN_FIELDS:
        return None
    return subject_number(item, normalised)


def may_name_subject(item: ItemSpec) -> bool:
    """Whether an item can hold a number that names a subject across lists."""
    return item.kind in SUBJECT_KINDS or item.field == "id_document_number"


def subject_number(item: ItemSpec, normalised: str) -> tuple[str, str] | None:
    """The kind and number by which a value names a subject.

    The document number of a person may be of any kind of document; it names a subject when it is a sound
    citizen number.
    """
    if item.kind in SUBJECT_KINDS:
        return item.kind, normalised
    if item.field == "id_document_number" and check_citizen_id(normalised).ok:
        return "citizen_id", normalised
    return None


def decode_content(content: bytes) -> dict[str, str]:
    """A record's identity values by field, as the source wrote them."""
    return _content_decoder.decode(content)


_content_decoder: msgspec.msgpack.Decoder[dict[str, str]] = msgspec.msgpack.Decoder(dict[str, str])


@dataclass(frozen=True, slots=True)
class _Column:
    """One item's values in a slice: as written, in their one form (empty if absent), and what is wrong."""

    item: ItemSpec
    texts: list[str | None]
    normal: list[str]
    faults: dict[int, str]


def _read_slice(form: ResourceForm, part: pa.RecordBatch, start: int, said: Said) -> Slice:
    columns = [_read_column(form, item, part.column(item.field).to_pylist()) for item in form.items]
    wanted = [index for index in range(part.num_rows) if start + index not in said.skip]
    roles = _Roles.of(form, columns)
    faults = [
        RowFault(start + index, column.item.field, column.faults[index])
        for column in columns
        for index in wanted
        if index in column.faults and (column is roles.key or start + index not in said.removed)
    ]
    bad = said.skip.union(fault.row for fault in faults)
    rows = [
        _removed_row(roles, start, index)
        if start + index in said.removed
        else _row(roles, columns, start, index)
        for index in wanted
        if start + index not in bad
    ]
    met = [
        roles.key.normal[number - start]
        for number in sorted(bad - said.removed)
        if start <= number < start + part.num_rows and number - start not in roles.key.faults
    ]
    return Slice(rows, faults, met)


def _removed_row(roles: _Roles, start: int, index: int) -> PreparedRow:
    return PreparedRow(start + index, roles.key.normal[index], b"", None, (), (), removed=True)


def _read_column(form: ResourceForm, item: ItemSpec, values: Sequence[object]) -> _Column:
    texts = [value if type(value) is str else written(value) for value in values]
    required = item.required or item.field == form.key.field
    check = checker_of(item.kind, item.field)
    takes_shortcut = item.type != "date" and item.kind in _SHORTCUT_KINDS and item.codes is None
    faults: dict[int, str] = {}
    normal = []
    for index, text in enumerate(texts):
        # Most values are in their one form already, and finding that out is several times quicker than
        # bringing them into it. A test holds this shortcut against `rules.normalise`.
        if takes_shortcut and text is not None and len(text) <= MAX_TEXT_CHARS and _IN_FORM.fullmatch(text):
            form_of_text, code = text, None
        else:
            code = None if text is None else _fault_as_written(item, text)
            form_of_text = (
                "" if text is None or code is not None else normalise_value(item.kind, item.type, text)
            )
        normal.append(form_of_text)
        if code is None:
            code = _fault_in_form(check, form_of_text, required)
        if code is not None:
            faults[index] = code
    return _Column(item, texts, normal, faults)


@dataclass(frozen=True, slots=True)
class _Roles:
    """Which columns of a slice hold the record key, names, and numbers of subjects."""

    key: _Column
    names: tuple[_Column, ...]
    own: tuple[_Column, ...]
    related: tuple[_Column, ...]

    @classmethod
    def of(cls, form: ResourceForm, columns: Sequence[_Column]) -> _Roles:
        own = tuple([c for c in columns if c.item.field == form.key.field or c.item.field in OWN_FIELDS])
        return cls(
            next(column for column in columns if column.item.field == form.key.field),
            tuple([column for column in columns if column.item.kind == "name"]),
            tuple([column for column in own if may_name_subject(column.item)]),
            tuple([c for c in columns if c.item.kind in SUBJECT_KINDS and c not in own]),
        )


def _row(roles: _Roles, columns: Sequence[_Column], start: int, index: int) -> PreparedRow:
    # A value that is empty in its one form counts as absent, whatever blanks the source wrote.
    content = {column.item.field: column.texts[index] for column in columns if column.normal[index]}
    own = None
    for column in roles.own:
        own = own or (subject_number(column.item, column.normal[index]) if column.normal[index] else None)
    return PreparedRow(
        start + index,
        roles.key.normal[index],
        _content_encoder.encode(content),
        own,
        tuple([(c.item.field, c.item.kind, c.normal[index]) for c in roles.related if c.normal[index]]),
        tuple([(c.item.field, c.normal[index]) for c in roles.names if c.normal[index]]),
    )


def _fault_as_written(item: ItemSpec, text: str) -> str | None:
    limit = MAX_PICTURE_BYTES * 4 // 3 + 4 if item.type == "image" else MAX_TEXT_CHARS
    # A number's own check looks at its length once spaces and wide characters are out of it.
    if item.length is not None and item.kind in _FREE_TEXT:
        limit = min(limit, item.length)
    if len(text) > limit:
        return errors.ItemTooLong.code
    if item.codes is not None and text and text not in item.codes:
        return errors.ItemCodeUnknown.code
    return None


def _fault_in_form(check: Callable[[str], Finding] | None, normalised: str, required: bool) -> str | None:
    if not normalised:
        return errors.ItemRequired.code if required else None
    found = None if check is None else check(normalised).code
    # Length, characters and check digit share one refusal; only an impossible birth date has its own.
    if found is None or found == errors.DateImpossible.code:
        return found
    return errors.IdentifierCheckDigit.code
