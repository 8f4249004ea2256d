"""From a page of source rows to the two Arrow parts of a batch.

A value that can't be brought into its item's type becomes a fault of its row and travels empty; whether a
value is allowed is for the hub to say, which knows the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from shuqiao.edge.connectors import SourceRow
from shuqiao.edge.mapping import ColumnSource, ConstantSource, Source, TableMapping
from shuqiao.rules.errors import DateImpossible, ItemTooLong, ItemType, SourceStructureChanged
from shuqiao.wire.package import RowFault
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, arrow_schema, identity_items, plain_items

MAX_VALUE_BYTES = 256 * 1024
"""No value may be larger, so that a message always holds at least one row."""

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
            arrays.append(pa.array(_fitted(values, item, faults), type=field.type))
        return pa.record_batch(arrays, schema=schema)

    plain, identity = part(plain_items(spec)), part(identity_items(spec))
    return Columns(plain, identity, (*faults, *_discarded(rows, mapping)))


def _discarded(rows: Sequence[SourceRow], mapping: TableMapping) -> Iterator[RowFault]:
    """Say which rows are not to be merged because a column is gone."""
    for place, row in enumerate(rows):
        for field, source in mapping.items.items():
            if row.discarded and isinstance(source, ColumnSource) and source.column in row.discarded:
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
    fit = _FIT[item.type]
    fitted: list[Any] = []
    for row, value in enumerate(values):
        try:
            fitted.append(None if value is None or value == "" else fit(value))
        except UnfitValueError as error:
            fitted.append(None)
            faults.append(RowFault(row, item.field, error.code))
    return fitted


def _fit_text(value: Any) -> str:
    if not isinstance(value, str):
        if isinstance(value, bytes | bytearray | memoryview | list | dict | tuple):
            raise UnfitValueError(ItemType.code)
        value = value.isoformat() if isinstance(value, date | datetime | time) else str(value)
    # A character takes at most four bytes.
    if len(value) * 4 > MAX_VALUE_BYTES:
        raise UnfitValueError(ItemTooLong.code)
    return str(value)


def _fit_date(value: Any) -> date:
    if isinstance(value, datetime):
        return _possible(value.astimezone(_ZONE).date() if value.tzinfo else value.date())
    if isinstance(value, date):
        return _possible(value)
    if not isinstance(value, str):
        raise UnfitValueError(ItemType.code)
    text = value.strip().replace("/", "-")
    try:
        return datetime.strptime(text, _DATE_FORMATS[len(text)]).date()
    except (KeyError, ValueError):
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
        raise UnfitValueError(ItemType.code)
    _possible(value.date())
    return value if value.tzinfo else value.replace(tzinfo=_ZONE)


def _possible(value: date) -> date:
    # The driver reads PostgreSQL's infinity as the first or last day Python knows.
    if value.year in (date.min.year, date.max.year):
        raise UnfitValueError(DateImpossible.code)
    return value


def _fit_image(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise UnfitValueError(ItemType.code)
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
