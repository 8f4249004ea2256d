"""From a page of source rows to the two Arrow parts of a batch.

A value that can't be brought into its item's type becomes a fault of its row and travels empty; whether a
value is allowed is for the hub to say, which knows the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from shuqiao.edge.connectors import SourceRow, Unreadable
from shuqiao.edge.mapping import ColumnSource, ConstantSource, Source, TableMapping
from shuqiao.rules.errors import DateImpossible, ItemTooLong, ItemType, SourceStructureChanged, TextUnreadable
from shuqiao.wire.package import RowFault
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, arrow_schema, identity_items, plain_items

MAX_VALUE_BYTES = 256 * 1024
"""No value may be larger, so that a message always holds at least one row."""

_MOST_DIGITS = 1_000

_ZONE = ZoneInfo("Asia/Shanghai")
_DATE_FORMATS = {8: "%Y%m%d", 10: "%Y-%m-%d"}


class UnfitValueError(Exception):
    """A value does not fit its item; `code` is the stable code of the row's fault."""

    def __init__(self, code: str) -> None:
        """Keep the code; the value itself goes nowhere."""
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Columns:
    """The rows of a page as columns, plain and identity items apart, and the rows that don't fit."""

    plain: pa.RecordBatch
    identity: pa.RecordBatch
    faults: tuple[RowFault, ...]


def convert(rows: Sequence[SourceRow], mapping: TableMapping, spec: ResourceSpec) -> Columns:
    """Return the rows as columns in catalogue order; items the mapping doesn't name are empty.

    Of a removed row the record key alone is there.
    """
    place = {name: index for index, name in enumerate(mapping.source_columns())}
    faults: list[RowFault] = []
    any_removed = any(row.removed for row in rows)

    def part(items: tuple[ItemSpec, ...]) -> pa.RecordBatch:
        schema = arrow_schema(items)
        arrays = []
        for item, field in zip(items, schema, strict=True):
            values = _values(rows, mapping.items.get(item.field), place)
            if any_removed:
                of_removed = item.field == spec.record_key
                values = [
                    (row.key if of_removed else None) if row.removed else value
                    for row, value in zip(rows, values, strict=True)
                ]
            arrays.append(_array(_fitted(values, item, faults), field.type, item, faults))
        return pa.record_batch(arrays, schema=schema)

    plain, identity = part(plain_items(spec)), part(identity_items(spec))
    return Columns(plain, identity, (*faults, *_discarded(rows, mapping)))


def _discarded(rows: Sequence[SourceRow], mapping: TableMapping) -> Iterator[RowFault]:
    """Say which rows are not to be merged because a column is gone."""
    for place, row in enumerate(rows):
        if not row.discarded:
            continue
        for field, source in mapping.items.items():
            if isinstance(source, ColumnSource) and source.column in row.discarded:
                yield RowFault(place, field, SourceStructureChanged.code)


def fits(value: Any, item: ItemSpec) -> bool:
    """Say whether a value can be brought into its item's type."""
    try:
        if value is not None and value != "":
            _FIT[item.type](value)
    except UnfitValueError:
        return False
    return True


def key_text(value: Any, item: ItemSpec) -> str | None:
    """Return a record key as it is sent, or None where a row with it is refused anyway."""
    try:
        fitted = None if value is None or value == "" else _FIT[item.type](value)
    except UnfitValueError:
        return None
    return fitted if fitted is None or isinstance(fitted, str) else str(fitted.isoformat())


def _values(rows: Sequence[SourceRow], source: Source | None, place: dict[str, int]) -> list[Any]:
    match source:
        case None:
            return [None] * len(rows)
        case ConstantSource(value):
            return [value] * len(rows)
        case ColumnSource(column, codes):
            index = place[column]
            values = [row.values[index] for row in rows]
            if codes is None:
                return values
            return [None if v is None else codes.get(str(v), v) for v in values]


def _fitted(values: list[Any], item: ItemSpec, faults: list[RowFault]) -> list[Any]:
    if _are_fitting(values, item):
        return [value or None for value in values]
    fit = _FIT[item.type]
    fitted: list[Any] = []
    for row, value in enumerate(values):
        try:
            fitted.append(None if value is None or value == "" else fit(value))
        except UnfitValueError as error:
            fitted.append(None)
            faults.append(RowFault(row, item.field, error.code))
    return fitted


def _are_fitting(values: list[Any], item: ItemSpec) -> bool:
    """Say whether all values are of their item's type already, as nearly always: quick."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds == {str}:
        longest = max(map(len, filter(None, values)), default=0)
        return _FIT[item.type] is _fit_text and longest * 4 <= MAX_VALUE_BYTES
    if kinds == {date}:
        years = {value.year for value in values if value is not None}
        return item.type == "date" and not years & {date.min.year, date.max.year}
    return False


def _array(values: list[Any], kind: pa.DataType, item: ItemSpec, faults: list[RowFault]) -> pa.Array:
    """Return the values as a column; a text that can't be written down, or holds a NUL, is a fault."""
    try:
        made = pa.array(values, type=kind)
    except UnicodeEncodeError:
        values = [None if _is_broken(value) else value for value in _noted(values, _is_broken, item, faults)]
        made = pa.array(values, type=kind)
    if not pa.types.is_string(kind) or not pc.any(pc.match_substring(made, "\0")).as_py():
        return made
    # PostgreSQL keeps no NUL in a text, neither at the hub nor with those who receive it.
    return pa.array([None if _has_nul(value) else value for value in _noted(values, _has_nul, item, faults)])


def _noted(
    values: list[Any], is_unfit: Callable[[Any], bool], item: ItemSpec, faults: list[RowFault]
) -> list[Any]:
    code = TextUnreadable.code if is_unfit is _is_broken else ItemType.code
    faults += [RowFault(row, item.field, code) for row, value in enumerate(values) if is_unfit(value)]
    return values


def _is_broken(value: Any) -> bool:
    """Half of a pair of UTF-16, such as JSON can spell, is no character."""
    return isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value)


def _has_nul(value: Any) -> bool:
    return isinstance(value, str) and "\0" in value


def _fit_text(value: Any) -> str:
    if not isinstance(value, str):
        value = _written(value)
    # A character takes at most four bytes.
    if len(value) * 4 > MAX_VALUE_BYTES:
        raise UnfitValueError(ItemTooLong.code)
    return str(value)


def _written(value: Any) -> str:
    """Return what is no text as people write it: numbers in full, with every digit and no exponent."""
    match value:
        case date() | time():
            return value.isoformat()
        case bool():
            return str(value)
        case float():
            value = Decimal(repr(value))
        case timedelta():
            seconds = int(value.total_seconds())
            sign, left = ("-", -seconds) if seconds < 0 else ("", seconds)
            return f"{sign}{left // 3600:02}:{left // 60 % 60:02}:{left % 60:02}"
        case Unreadable(code):
            raise UnfitValueError(code)
        case bytes() | bytearray() | memoryview() | list() | dict() | tuple():
            raise UnfitValueError(ItemType.code)
    if not isinstance(value, Decimal):
        return str(value)
    if not value.is_finite():
        raise UnfitValueError(ItemType.code)
    if abs(value.adjusted()) > _MOST_DIGITS:
        raise UnfitValueError(ItemTooLong.code)
    return format(value, "f")


def _fit_date(value: Any) -> date:
    if isinstance(value, datetime):
        # In another zone the first and the last day Python knows may be none.
        _possible(value.date())
        return _possible(value.astimezone(_ZONE).date() if value.tzinfo else value.date())
    if isinstance(value, date):
        return _possible(value)
    if not isinstance(value, str):
        raise UnfitValueError(_code_of(value))
    text = value.strip().replace("/", "-")
    try:
        if len(text) in _DATE_FORMATS:
            return datetime.strptime(text, _DATE_FORMATS[len(text)]).date()
        # A spreadsheet knows no days, only times.
        return _fit_date(datetime.fromisoformat(text))
    except ValueError:
        raise UnfitValueError(DateImpossible.code) from None


def _fit_datetime(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise UnfitValueError(DateImpossible.code) from None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise UnfitValueError(_code_of(value))
    _possible(value.date())
    return value if value.tzinfo else value.replace(tzinfo=_ZONE)


def _possible(value: date) -> date:
    # The driver reads PostgreSQL's infinity as the first or last day Python knows.
    if value.year in (date.min.year, date.max.year):
        raise UnfitValueError(DateImpossible.code)
    return value


def _code_of(value: Any) -> str:
    return value.code if isinstance(value, Unreadable) else ItemType.code


def _fit_image(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise UnfitValueError(_code_of(value))
    if len(value) > MAX_VALUE_BYTES:
        raise UnfitValueError(ItemTooLong.code)
    return bytes(value)


_FIT: dict[str, Callable[[Any], Any]] = {
    "string": _fit_text,
    "text": _fit_text,
    "code": _fit_text,
    "date": _fit_date,
    "datetime": _fit_datetime,
    "image": _fit_image,
}
