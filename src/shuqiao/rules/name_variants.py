"""Characters that registers write in more than one way, for the comparison of names.

A table has one group of characters a line, the usual one first, such as `峰峯`; what follows a `#` is a
remark. Two names agree under a table when they are the same after every character of a group was replaced
by its first. Only comparisons use it: what is stored, indexed and given out keeps its own characters.
Source: our choice, decision "one written form"; which variants count is for the department in charge.
"""

from __future__ import annotations

Variants = dict[int, str]
"""As `str.translate` takes it."""

MAX_CHARS = 100_000


class VariantsFaulty(ValueError):
    """A table that can't be used; the message names the line."""


def parse_variants(text: str) -> Variants:
    """Read a table; raises `VariantsFaulty` where a character stands in two groups or alone."""
    if len(text) > MAX_CHARS:
        raise VariantsFaulty(f"the table has more than {MAX_CHARS} characters")
    table: Variants = {}
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        group = "".join(line.partition("#")[0].split())
        if not group:
            continue
        if len(group) < 2 or len(set(group)) < len(group) or seen.intersection(group):
            raise VariantsFaulty(f"line {number}: a group has two or more characters, each in one group only")
        seen.update(group)
        table.update({ord(other): group[0] for other in group[1:]})
    return table


def fold(variants: Variants, name: str) -> str:
    """Write a normalised name with the first character of each group."""
    return name.translate(variants)
