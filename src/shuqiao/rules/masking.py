"""How a sensitive value looks to somebody whose grant does not name it.

A mask keeps enough for a clerk to see that it is the paper on the desk and never more than half of the
value. The number of stars in a number, an address or other text is always the same, so that it tells no
length.
Source: our choice, decision "terms of a grant on the plane"; guangzhou-2016 art. 38(2), 39 (privacy kept).
"""

from __future__ import annotations

import re

STARS = "****"
TOKEN_KINDS = frozenset({"citizen_id", "credit_code", "document"})
"""Kinds of numbers that a grant with pseudonyms gives as tokens of the consumer."""

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_DISTRICT = re.compile("^.{2,20}?[区县旗]")
# Characters kept at the beginning and at the end.
_KEPT = {"citizen_id": (3, 2), "credit_code": (2, 2), "document": (2, 2), "contact": (3, 4)}
_SHORT_NAME = 4


def mask(kind: str, value: str | None) -> str | None:
    """Give the masked form of a value of this kind; of a picture nothing is left."""
    if value is None or kind == "picture":
        return None
    if kind == "name":
        return _name(value)
    if kind in _KEPT:
        return _ends(value, *_KEPT[kind])
    return _address(value) if kind == "address" else STARS


def _name(value: str) -> str:
    """Keep the first character of a person's name, the two ends of a body's, a Latin word's first letter."""
    if _HAN.search(value) is None:
        return " ".join(f"{word[0]}{STARS}" if len(word) > 1 else "*" for word in value.split(" ") if word)
    if len(value) <= _SHORT_NAME:
        return value[0] + "*" * (len(value) - 1) if len(value) > 1 else "*"
    return _ends(value, 2, 2)


def _ends(value: str, first: int, last: int) -> str:
    while first + last > len(value) // 2:
        first, last = (first - 1, last) if first > last else (first, last - 1)
        if first + last <= 0:
            return STARS
    return value[:first] + STARS + value[len(value) - last :]


def _address(value: str) -> str:
    """Keep an address down to its district, and at most half of it."""
    found = _DISTRICT.match(value)
    kept = value[: found.end()] if found else value[:6]
    return (kept if len(kept) <= len(value) // 2 else value[: len(value) // 2]) + STARS
