"""Items with few possible values: to compare one with a claim is to read it out.

Whoever may ask "is the sex 2?" knows the sex. Such an item is therefore answered in a verification only
together with a matched identifier and a matched name of the same call, which prove that the citizen's paper
is on the desk; otherwise the call counts as a query.
Source: xiamen-2015 art. 13(1); our choice, decision "terms of a grant on the plane".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_CODES = 100
"""An item of a code list with at most so many codes has a small domain."""
IDENTIFIER_KINDS = frozenset({"citizen_id", "credit_code", "document"})


@dataclass(frozen=True, slots=True)
class Trait:
    """What this rule looks at in an item; `declared` is what its provider says of it, None if nothing."""

    type: str
    kind: str = "plain"
    codes: int | None = None
    declared: bool | None = None


def small_fields(items: Mapping[str, Trait], max_codes: int = MAX_CODES) -> frozenset[str]:
    """Name the items of small domain: declared ones, short code lists, and the words beside such a code."""
    coded = {
        field
        for field, item in items.items()
        if item.type == "code" and (item.codes is None or item.codes <= max_codes)
    }
    worded = {
        field
        for field, item in items.items()
        if f"{field}_code" in coded and item.kind == "plain" and item.type in ("string", "text")
    }
    declared = {field for field, item in items.items() if item.declared}
    denied = {field for field, item in items.items() if item.declared is False}
    return frozenset((coded | worded | declared) - denied)


def proving_fields(items: Mapping[str, Trait], claimed: Iterable[str]) -> frozenset[str]:
    """Name the claims that prove who the record is about: identifiers and names."""
    return frozenset(field for field in claimed if items[field].kind in IDENTIFIER_KINDS | {"name"})


def read_out(
    items: Mapping[str, Trait], small: frozenset[str], record_key: str, claimed: Iterable[str]
) -> tuple[str, ...]:
    """Name the claimed items that an answer would read out: no identifier or no name stands beside them.

    The record key is an identifier that every call gives; a wrong one finds no record.
    """
    fields = tuple(claimed)
    asked = tuple(field for field in fields if field in small)
    kinds = {items[field].kind for field in fields if field not in small} | {items[record_key].kind}
    return () if not asked or ("name" in kinds and kinds & IDENTIFIER_KINDS) else asked
