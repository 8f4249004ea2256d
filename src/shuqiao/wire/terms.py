"""The terms of a grant as they are enforced in keyed calls, or why it can't.

A grant with a term that can't be enforced is not used: to ignore a condition would give more than was
granted. Source: guangzhou-2016 art. 35(1); xiamen-2015 art. 13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from shuqiao.rules.masking import TOKEN_KINDS
from shuqiao.rules.rows import Row, fault_of
from shuqiao.wire.grant import Grant
from shuqiao.wire.schemas import ItemSpec

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Terms:
    """What read function and vault are told: `rows` as JSON, and the items given masked or as tokens."""

    rows: str | None = None
    masked: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()


NO_TERMS = Terms()


class TermsUnenforceable(Exception):
    """A grant that keyed calls can't honour; the message names the term."""


def terms_of(grant: Grant, items: Mapping[str, ItemSpec]) -> Terms:
    """Prepare the terms of a grant for one resource; raises `TermsUnenforceable`."""
    if grant.files:
        return _of_files(grant)
    if grant.mode == "bulk":
        return NO_TERMS
    if grant.operations:
        return _of_interface(grant)
    types = {field: item.type for field, item in items.items() if not item.identity}
    for row in grant.rows:
        fault = fault_of(Row(row.field, row.op, row.values), types)
        if fault is not None:
            raise TermsUnenforceable(fault)
    given = [items[field] for field in grant.items if field in items]
    tokens = frozenset(
        item.field for item in given if grant.pseudonyms and item.identity and item.kind in TOKEN_KINDS
    )
    masked = frozenset(item.field for item in given if item.masked and item.field not in grant.unmasked)
    rows = _encoder.encode(grant.rows).decode("utf-8") if grant.rows else None
    return Terms(rows, masked - tokens, tokens)


def _of_interface(grant: Grant) -> Terms:
    """A department's own interface can't be told which records it may answer about, and gives no tokens."""
    if grant.mode != "query" or "interface" not in grant.channels:
        raise TermsUnenforceable("operations")
    if grant.rows or grant.pseudonyms:
        raise TermsUnenforceable("rows" if grant.rows else "pseudonyms")
    return NO_TERMS


def _of_files(grant: Grant) -> Terms:
    """Files are given whole: nobody can take rows out of one, or put tokens into it."""
    if grant.mode != "bulk" or not {"interface", "download"} & set(grant.channels):
        raise TermsUnenforceable("files")
    if grant.rows or grant.pseudonyms or grant.operations:
        raise TermsUnenforceable("rows" if grant.rows else "pseudonyms" if grant.pseudonyms else "operations")
    return NO_TERMS
