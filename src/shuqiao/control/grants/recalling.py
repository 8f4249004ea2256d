"""Calling back what was given under a grant that has ended.

Source: our choice, decision 42
"""

from shuqiao.control import clock
from shuqiao.control.grants.models import ENDED, Grant
from shuqiao.control.recalls.calling import EndedGrant, call_back
from shuqiao.wire.grant import Grant as Document
from shuqiao.wire.grant import decode_grant
from shuqiao.wire.recalls import Held

RENEWED = "renew"
"""The action that ends a grant because its successor begins."""

_LONGEST_CHAIN = 100


def call_back_copies(grant: Grant) -> int:
    """Call back what is held under a grant that has just ended; in the caller's transaction.

    What a successor covers stays, and is called back with the successor.
    """
    document = decode_grant(grant.document)
    if grant.phase != ENDED or _is_covered(grant, document):
        return 0
    chain = _chain(grant)
    numbers = tuple(one.number for one in chain)
    return call_back(
        EndedGrant(
            grant=grant.number,
            grants=numbers,
            resource=grant.resource_id,
            holder=grant.consumer_id,
            provider=grant.provider_id,
            regulation=grant.regulation,
            reason=grant.ended_by,
            ended_on=clock.legal_day(grant.ended_at or clock.now()),
            has_files=any(decode_grant(one.document).files for one in chain),
            media=_media(chain),
        )
    )


def _chain(grant: Grant) -> list[Grant]:
    """The grant and those it renewed, as far as it covers them: others had a recall of their own."""
    chain = [grant]
    while (older := chain[-1].renews) is not None and len(chain) < _LONGEST_CHAIN:
        if not _covers(decode_grant(chain[-1].document), decode_grant(older.document)):
            break
        chain.append(older)
    return chain


def _is_covered(grant: Grant, document: Document) -> bool:
    """Tell whether a successor lets the same systems keep everything that this grant gave."""
    if grant.ended_by != RENEWED:
        return False
    successors = Grant.objects.filter(renews=grant.number)
    return any(_covers(decode_grant(one.document), document) for one in successors)


def _covers(new: Document, old: Document) -> bool:
    return (
        set(old.items) <= set(new.items)
        and set(old.applications) <= set(new.applications)
        and set(old.unmasked) <= set(new.unmasked)
        and (new.mode, new.rows, new.pseudonyms) == (old.mode, old.rows, old.pseudonyms)
        and (set(old.files) <= set(new.files) or "*" in new.files)
    )


def _media(chain: list[Grant]) -> tuple[Held, ...]:
    return tuple(
        Held("offline", str(one.pk), f"{one.content[:60]} {one.medium_mark}".strip(), one.records or 0)
        for grant in chain
        for one in grant.handovers.order_by("-handed_over_at", "-pk")
    )
