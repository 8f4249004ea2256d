"""Which records a grant is about: a closed language of conditions, the same in Python and in SQL.

A condition names a plain item and an operator: `eq` one value, `in` any of several, `range` between two
values, both included and either left empty for open, `null` no value. All of them must hold. Values are in
the item's written form; a record without a value fulfils only `null`.
Source: our choice, decision "row conditions"; guangzhou-2016 art. 35(1) (what is granted is defined).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OPERATORS = ("eq", "in", "range", "null")
MAX_CONDITIONS = 16
MAX_VALUES = 200
ORDERED_TYPES = frozenset({"date", "datetime", "string", "code"})
"""Types whose written form sorts as the values do, byte by byte; only these take a `range`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One condition; `values` as its operator wants them."""

    field: str
    op: str
    values: tuple[str, ...] = ()


def fault_of(row: Row, types: Mapping[str, str]) -> str | None:
    """Name what is wrong with a condition, `types` being those of the plain items; None where nothing is."""
    if row.field not in types:
        return "row_field_unknown"
    if row.op not in OPERATORS:
        return "row_operator_unknown"
    counts = {"eq": 1, "range": 2, "null": 0}
    wanted = counts.get(row.op)
    if len(row.values) != wanted if wanted is not None else not 1 <= len(row.values) <= MAX_VALUES:
        return "row_values_wrong"
    if row.op == "range" and (types[row.field] not in ORDERED_TYPES or not any(row.values)):
        return "row_range_impossible"
    return None


def holds(rows: Sequence[Row], record: Mapping[str, str | None]) -> bool:
    """Tell whether a record, plain items in written form, fulfils every condition."""
    return all(_holds(row, record.get(row.field)) for row in rows)


def _holds(row: Row, value: str | None) -> bool:
    if row.op == "null":
        return value is None
    if value is None:
        return False
    if row.op == "range":
        low, high = row.values
        given = value.encode()
        return (not low or low.encode() <= given) and (not high or given <= high.encode())
    return row.op in ("eq", "in") and value in row.values
