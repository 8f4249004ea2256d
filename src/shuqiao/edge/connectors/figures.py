"""Figures of a column's content, from counts that each database makes itself: no value leaves it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shuqiao.wire.tables import PATTERNS, ColumnProfile

SAMPLE_ROWS = 10_000
NEARLY_ALL = 0.95
FEWEST_ROWS = 20
"""A pattern is a statement about a column; of a handful of rows it would be one about them."""


def profile_of(
    rows: int, filled: int, distinct: int, longest: int, matching: Sequence[int]
) -> ColumnProfile | None:
    """Return the figures, or None of too few rows; `matching` counts values of each of `PATTERNS`."""
    if rows < FEWEST_ROWS:
        return None
    pattern, share = "", 0.0
    if filled >= FEWEST_ROWS:
        shares = [(name, count / filled) for name, count in zip(PATTERNS, matching, strict=True)]
        pattern, share = next((one for one in shares if one[1] >= NEARLY_ALL), ("", 0.0))
    return ColumnProfile(
        rows=rough(rows),
        distinct=rough(distinct),
        null_share=round(1 - filled / rows, 2),
        pattern=pattern,
        pattern_share=round(share, 2),
        longest=longest,
    )


def figures_of(values: Sequence[str | None]) -> ColumnProfile | None:
    """Count where there is no database to do it: the texts of a column's first rows, on this machine."""
    filled = [value for value in values if value]
    matching = [
        sum(re.search(pattern, value) is not None for value in filled) for pattern in PATTERNS.values()
    ]
    longest = max(map(len, filled), default=0)
    return profile_of(len(values), len(filled), len(set(filled)), longest, matching)


def rough(count: int) -> int:
    """Round to two digits: a size, not a census."""
    return int(float(f"{count:.1e}"))
