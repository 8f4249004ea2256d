"""What a bulk copy may be: formats, bounds, and which granted items leave masked.

Source: xiamen-2015 art. 13(3); our choice, decision 22.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ARROW, PARQUET, CSV, XLSX = "arrow", "parquet", "csv", "xlsx"
FORMATS = (ARROW, PARQUET, CSV, XLSX)
FEED_FORMATS = (ARROW, PARQUET, CSV)
"""Formats of a feed; a workbook is for people."""

PART_ROWS = 500_000
"""The most rows of one part of a copy."""

XLSX_ROWS = 100_000
XLSX_CELLS = 1_000_000
XLSX_CELL_CHARS = 32_767
"""A workbook is made in memory, so that it lies on no disk in clear: it is bounded."""

LINK_S = 600
KEEP_S = 24 * 3600
KEEP_FEED_S = 30 * 24 * 3600
MAX_ATTEMPTS = 5

_SUFFIXES = {ARROW: "arrows", PARQUET: "parquet", CSV: "csv", XLSX: "xlsx"}
_TYPES = {
    ARROW: "application/vnd.apache.arrow.stream",
    PARQUET: "application/vnd.apache.parquet",
    CSV: "text/csv; charset=utf-8; header=present",
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done with each granted item before it leaves, in the order of the columns."""

    plain: tuple[str, ...]
    identity: tuple[str, ...]
    masked: frozenset[str]


def treatment(
    items: Iterable[str],
    granted: frozenset[str],
    identity: frozenset[str],
    sensitive: frozenset[str],
    unmasked: frozenset[str],
) -> Treatment:
    """Sort the granted items, `items` being all of the resource in catalogue order.

    Closed by default: an item that is sensitive and not named by the grant is masked.
    """
    given = tuple(item for item in items if item in granted)
    return Treatment(
        tuple(item for item in given if item not in identity),
        tuple(item for item in given if item in identity),
        frozenset(given) & sensitive - unmasked,
    )


def is_too_large_for_a_workbook(rows: int, columns: int) -> bool:
    """Tell whether a workbook would not hold the copy."""
    return rows > XLSX_ROWS or rows * columns > XLSX_CELLS


def suffix(form: str) -> str:
    """The ending of a file name."""
    return _SUFFIXES[form]


def media_type(form: str) -> str:
    """The media type of a part."""
    return _TYPES[form]


def begins_a_formula(value: str) -> bool:
    """Tell whether a program for tables could take a text for a formula."""
    return value.startswith(_FORMULA_BEGINS)


FORMULA_PATTERN = "^[=+\\-@\\t\\r\\n＝＋－＠]"
"""The same as `begins_a_formula`, for whole columns."""

NOTES: Mapping[str, str] = {
    CSV: "A text that begins with = + - @, their full-width forms, tab or a line end has an apostrophe before"
    " it, so that no program for tables takes it for a formula. No value: an empty field without quotes.",
    XLSX: "Every cell is text; nothing is a formula.",
}
"""What a reader of a format has to know; stands in the manifest."""
