"""What a request asks for beside its items: channels, rows, values in the clear; and what may be given."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.offering import offer_of
from shuqiao.control.grants.models import Grant
from shuqiao.control.grants.terms import rows_of
from shuqiao.control.regulations.current import named
from shuqiao.control.requests.models import Request
from shuqiao.rules.channels import channels_for, usual
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.rows import MAX_CONDITIONS, MAX_VALUES, Row
from shuqiao.rules.sharing import Way, WayKind
from shuqiao.rules.terms import Terms, needs_review
from shuqiao.wire.grant import decode_grant

MAX_VALUE_CHARS = 200


@dataclass(frozen=True)
class Kept:
    """What a renewed grant gave beyond the request's own words, so that its renewal gives the same."""

    match: str
    case_required: bool
    pseudonyms: bool
    signed_calls: bool
    unmasked: frozenset[str]
    rows: tuple[Row, ...]
    operations: tuple[str, ...] | None
    files: tuple[str, ...] = ()


def rows_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The form in which a request keeps its conditions, bounded whatever a form has sent."""
    return [
        {
            "field": row.field[:63],
            "op": row.op[:5],
            "values": [value[:MAX_VALUE_CHARS] for value in row.values[:MAX_VALUES]],
        }
        for row in list(rows)[: MAX_CONDITIONS + 1]
    ]


def rows_from(kept: list[dict[str, Any]]) -> tuple[Row, ...]:
    """The conditions that a request keeps."""
    return tuple(msgspec.convert(kept, list[Row]))


def asked_terms(request: Request) -> Terms:
    """The terms that a stored request asks for."""
    unmasked = request.items.exclude(unmask_reason="").values_list("item__field", flat=True)
    return Terms(request.mode, tuple(request.channels), rows_from(request.rows), frozenset(unmasked))


def possible_channels(request: Request, mode: str) -> tuple[str, ...]:
    """The channels that an answer in this mode may name: those asked for, or the mode's usual ones.

    A request that is narrowed to another mode may need another way: a verification is never downloaded.
    """
    asked = channels_for(mode, request.channels)
    if asked:
        return asked
    return usual(mode, offer_of(request.resource, named(request.regulation)).channels)


def kept_of(request: Request) -> Kept | None:
    """The terms of the grant that a request continues."""
    old = Grant.objects.filter(pk=request.renews_id).first() if request.renews_id else None
    if old is None:
        return None
    document = decode_grant(old.document)
    return Kept(
        match=document.match,
        case_required=document.case_required,
        pseudonyms=document.pseudonyms,
        signed_calls=document.signed_calls,
        unmasked=frozenset(document.unmasked),
        rows=rows_of(document),
        operations=document.operations or None,
        files=document.files,
    )


def together(proposed: Iterable[Row], added: Iterable[Row]) -> tuple[Row, ...]:
    """The conditions of both sides, each once; all of them hold."""
    return tuple(dict.fromkeys((*proposed, *added)))


def reviewed_where_needed(
    way: Way, terms: Terms, fields: Iterable[str], resource: Resource, regulation: Regulation
) -> Way:
    """Send a request to review that would be granted at once but for its terms.

    Source: our choice, decision "terms of a grant"; SEC-18.
    """
    if way.kind is not WayKind.IMMEDIATE:
        return way
    asked = tuple(fields)
    offer = offer_of(resource, regulation)
    if not needs_review(terms, offer, asked):
        return way
    because = tuple(sorted(terms.unmasked | {row.field for row in terms.rows if row.field in offer.types}))
    return Way(WayKind.REVIEW, regulation.cite_matter("marked_items"), "terms", because)
