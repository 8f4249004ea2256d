"""Whether a value may be stored under its item: required, type, code list, length, date, number.

A finding names row, item and code, never the value. Good rows are merged, the others go back in the receipt.
Source: guangzhou-2016 art. 8(3), 29(1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from shuqiao.rules.identifiers import BIRTH_DATE, check_identifier
from shuqiao.rules.normalise import normalise, parse_date

MAX_CHARS = 20_000
MAX_PICTURE_BYTES = 512 * 1024
FIRST_YEAR, LAST_YEAR = 1800, 2200
"""Bounds for what the catalogue leaves unbounded. Source: our choice, decision "every input is bounded"."""

REQUIRED = "item_required"
TYPE = "item_type"
CODE_UNKNOWN = "item_code_unknown"
TOO_LONG = "item_too_long"
NUMBER = "identifier_check_digit"
DATE = "date_impossible"
DUPLICATE = "duplicate_key"

_NUMBERS = frozenset({"citizen_id", "credit_code", "document"})


@dataclass(frozen=True, slots=True)
class ItemRule:
    """What the catalogue says about an item, as far as a value can break it."""

    field: str
    type: str
    kind: str = "plain"
    required: bool = False
    codes: frozenset[str] | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class RowFault:
    """One fault: the row's index in the batch, the item and a code of `rules.errors`."""

    row: int
    field: str
    code: str


def check_value(value: object, rule: ItemRule) -> str | None:
    """The code of the fault, or None. Text of spaces counts as empty."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return REQUIRED if rule.required else None
    if rule.type == "image":
        return _check_picture(value)
    if rule.type == "date":
        return _check_date(value)
    if rule.type == "datetime":
        return _check_moment(value)
    return _check_text(value, rule)


def check_column(values: Iterable[object], rule: ItemRule) -> Iterator[RowFault]:
    """The faults of one column, in the order of rows."""
    for row, value in enumerate(values):
        code = check_value(value, rule)
        if code is not None:
            yield RowFault(row, rule.field, code)


def check_row(row: int, values: Mapping[str, object], rules: Sequence[ItemRule]) -> list[RowFault]:
    """The faults of one row; what it does not name counts as empty, what no item knows as a wrong type."""
    faults = []
    for rule in rules:
        code = check_value(values.get(rule.field), rule)
        if code is not None:
            faults.append(RowFault(row, rule.field, code))
    known = {rule.field for rule in rules}
    return faults + [RowFault(row, field, TYPE) for field in values if field not in known]


def check_keys(keys: Iterable[str | None], rule: ItemRule) -> Iterator[RowFault]:
    """Rows whose record key, in its one written form, stood in an earlier row of the batch."""
    seen: set[str] = set()
    for row, key in enumerate(keys):
        if key is None:
            continue
        written = normalise(rule.kind, key)
        if written in seen:
            yield RowFault(row, rule.field, DUPLICATE)
        seen.add(written)


def _check_text(value: object, rule: ItemRule) -> str | None:
    # PostgreSQL can't store a NUL in text; a lone surrogate can't be written as UTF-8.
    if not isinstance(value, str) or "\0" in value or not _is_text(value):
        return TYPE
    if len(value) > (rule.length or MAX_CHARS):
        return TOO_LONG
    if rule.codes is not None and value not in rule.codes:
        return CODE_UNKNOWN
    if rule.kind not in _NUMBERS:
        return None
    finding = check_identifier(rule.kind, normalise(rule.kind, value), field=rule.field)
    if finding.ok:
        return None
    return DATE if finding.code == BIRTH_DATE else NUMBER


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _check_picture(value: object) -> str | None:
    if not isinstance(value, bytes):
        return TYPE
    return TOO_LONG if len(value) > MAX_PICTURE_BYTES else None


def _check_date(value: object) -> str | None:
    if isinstance(value, str):
        value = parse_date(value)
        if value is None:
            return DATE
    if not isinstance(value, date) or isinstance(value, datetime):
        return TYPE
    return None if FIRST_YEAR <= value.year <= LAST_YEAR else DATE


def _check_moment(value: object) -> str | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return DATE
    if not isinstance(value, datetime) or value.tzinfo is None:
        return TYPE
    return None if FIRST_YEAR <= value.year <= LAST_YEAR else DATE
