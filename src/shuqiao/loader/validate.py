"""Checks of a batch's plain values, column by column: a good column costs one pass outside Python."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pyarrow as pa
import pyarrow.compute as pc

from shuqiao.rules.errors import (
    DateImpossible,
    IdentifierCheckDigit,
    ItemCodeUnknown,
    ItemNotAllowed,
    ItemRequired,
    ItemTooLong,
    ItemType,
)
from shuqiao.rules.identifiers import check_identifier
from shuqiao.rules.normalise import normalise_value
from shuqiao.wire.package import RowFault
from shuqiao.wire.schemas import ItemSpec

MAX_CHARACTERS = {"string": 1_000, "code": 64, "text": 20_000}
"""Longest value of each type; what is longer is a mistake in the mapping, not information."""

_EARLIEST = date(1800, 1, 1)
_LATEST_YEARS = 200
_NUMBERS = ("citizen_id", "credit_code", "document")


def find_faults(rows: pa.RecordBatch, items: tuple[ItemSpec, ...], today: date) -> list[RowFault]:
    """Return every fault of the plain items, in no particular order."""
    faults: list[RowFault] = []
    for item, column in zip(items, rows.columns, strict=True):
        for code, wrong in _checks(column, item, today):
            faults += [RowFault(row, item.field, code) for row in _places(wrong)]
        if item.only_with is not None:
            wrong = _not_allowed(column, rows.column(item.only_with.field), item.only_with.values)
            faults += [RowFault(row, item.field, ItemNotAllowed.code) for row in _places(wrong)]
    return faults


def _not_allowed(column: pa.Array, other: pa.Array, values: tuple[str, ...]) -> pa.Array:
    allowed = pc.is_in(other, value_set=pa.array(values, type=pa.string()))
    return pc.and_(pc.invert(_empty(column)), pc.invert(allowed))


def _checks(column: pa.Array, item: ItemSpec, today: date) -> list[tuple[str, pa.Array]]:
    """Return for each check its code and a boolean column that is true where a row fails it."""
    checks = []
    if item.required:
        checks.append((ItemRequired.code, _empty(column)))
    if pa.types.is_string(column.type):
        checks += _text_checks(column, item)
    elif pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        checks.append((DateImpossible.code, _outside(column, today)))
    return checks


def _text_checks(column: pa.Array, item: ItemSpec) -> list[tuple[str, pa.Array]]:
    limit = MAX_CHARACTERS[item.type] if item.length is None else min(item.length, MAX_CHARACTERS[item.type])
    too_long = pc.greater(pc.utf8_length(column), limit)
    # PostgreSQL keeps no NUL in a text.
    checks = [(ItemTooLong.code, too_long), (ItemType.code, pc.match_substring(column, "\0"))]
    if item.codes is not None:
        known = pc.is_in(column, value_set=pa.array(item.codes, type=pa.string()))
        checks.append((ItemCodeUnknown.code, pc.and_(pc.invert(known), column.is_valid())))
    if item.kind in _NUMBERS:
        checks += _number_checks(column, item)
    return checks


def _number_checks(column: pa.Array, item: ItemSpec) -> list[tuple[str, pa.Array]]:
    """Check digits have no columnar form, so each value is looked at by itself."""
    codes = [None if text is None else _number_fault(text, item) for text in column.to_pylist()]
    return [
        (code, pa.array([found == code for found in codes]))
        for code in (IdentifierCheckDigit.code, DateImpossible.code)
    ]


def _number_fault(text: str, item: ItemSpec) -> str | None:
    finding = check_identifier(item.kind, normalise_value(item.kind, item.type, text), field=item.field)
    if finding.ok:
        return None
    # Length, characters and check digit share one refusal; only an impossible birth date has its own.
    return DateImpossible.code if finding.code == DateImpossible.code else IdentifierCheckDigit.code


def _empty(column: pa.Array) -> pa.Array:
    if pa.types.is_string(column.type):
        return pc.or_kleene(column.is_null(), pc.equal(pc.utf8_trim_whitespace(column), ""))
    return column.is_null()


def _outside(column: pa.Array, today: date) -> pa.Array:
    low: date | datetime = _EARLIEST
    high: date | datetime = date(today.year + _LATEST_YEARS, 1, 1)
    if pa.types.is_timestamp(column.type):
        low, high = (
            datetime.combine(_EARLIEST, time(), UTC),
            datetime(today.year + _LATEST_YEARS, 1, 1, tzinfo=UTC),
        )
    bounds = (pa.scalar(low, type=column.type), pa.scalar(high, type=column.type))
    return pc.or_(pc.less(column, bounds[0]), pc.greater(column, bounds[1]))


def _places(wrong: pa.Array) -> list[int]:
    found: list[int] = pc.indices_nonzero(pc.fill_null(wrong, False)).to_pylist()
    return found
