"""Issuing a grant as a signed document, revoking it, and ending what has run out."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from django.conf import settings
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.grants.access import access_grant_to_revoke
from shuqiao.control.grants.models import Grant, GrantState
from shuqiao.control.organisations.models import Application
from shuqiao.control.organisations.numbers import next_number
from shuqiao.rules.errors import ReasonRequired, TransitionRefused
from shuqiao.rules.ids import grant_no
from shuqiao.security import keys
from shuqiao.wire import grant as wire

MAX_REASON_CHARS = 500


@dataclass(frozen=True)
class GrantInput:
    """What a provider has granted: exactly this and nothing wider (REQ-13)."""

    request_number: str
    round: int
    resource: str
    consumer: str
    provider: str
    mode: Literal["verify", "query"]
    match: Literal["all", "each"]
    fields: tuple[str, ...]
    applications: tuple[str, ...]
    purpose: str
    case_required: bool
    valid_from: date
    valid_until: date
    regulation: str
    conditions: tuple[str, ...]


def issue_grant(given: GrantInput, issuer: Viewer) -> Grant:
    """Sign and store a grant, for control and for the plane; must run in the transaction of the decision."""
    if not connection.in_atomic_block:
        raise RuntimeError("a grant is issued in the transaction of its decision")
    now = clock.now()
    year = clock.legal_day(now).year
    document = wire.Grant(
        id=grant_no(year, next_number("G", year)),
        resource=given.resource,
        department=given.consumer,
        provider=given.provider,
        mode=given.mode,
        items=given.fields,
        match=given.match,
        applications=given.applications,
        purpose=given.purpose,
        case_required=given.case_required,
        valid_from=given.valid_from,
        valid_until=given.valid_until,
        regulation=given.regulation,
        request_no=given.request_number,
        conditions=given.conditions,
        issued_at=now,
        issued_by=issuer.username,
    )
    signed = wire.sign_grant(document, keys.load_signing_key(settings.CONFIG.grant_key_file))
    grant = _store(document, signed, given.round)
    _record("grant_issued", grant, f"account:{issuer.username}", "active", {"fields": list(given.fields)})
    return grant


def _store(document: wire.Grant, signed: wire.SignedGrant, answer_round: int) -> Grant:
    grant = Grant.objects.create(
        number=document.id,
        request_number=document.request_no,
        round=answer_round,
        resource_id=document.resource,
        provider_id=document.provider,
        consumer_id=document.department,
        mode=document.mode,
        match=document.match,
        fields=list(document.items),
        purpose=document.purpose,
        valid_from=document.valid_from,
        valid_until=document.valid_until,
        document=signed.document,
        signature=signed.signature,
        key_id=signed.key_id,
        issued_at=document.issued_at,
    )
    grant.applications.set(Application.objects.filter(id__in=document.applications))
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO exchange."grant" (id, document, signature, key_id) VALUES (%s, %s, %s, %s)',
            [document.id, signed.document, signed.signature, signed.key_id],
        )
    return grant


def _record(event: str, grant: Grant, actor: str, outcome: str, facts: dict[str, object]) -> None:
    append_entry(
        event,
        actor=actor,
        at=clock.now(),
        outcome=outcome,
        department=grant.consumer_id,
        provider=grant.provider_id,
        resource_id=grant.resource_id,
        grant_id=grant.number,
        case_no=grant.request_number,
        facts={
            "consumer": grant.consumer_id,
            "valid_until": grant.valid_until.isoformat(),
            "mode": grant.mode,
            **facts,
        },
    )


@transaction.atomic
def revoke_grant(viewer: Viewer, number: str, reason: str) -> None:
    """End a grant at once; the plane's next call meets the new epoch and is refused with the reason.

    Raises `NotFound` for anybody but the provider's, `ReasonRequired` without a reason, `TransitionRefused`
    when it has ended already.
    """
    grant = access_grant_to_revoke(viewer, number)
    words = reason.strip()[:MAX_REASON_CHARS]
    if not words:
        raise ReasonRequired(action="停用授权", rule="guangzhou-2016 art. 35(1)")
    if grant.state != GrantState.ACTIVE:
        raise TransitionRefused(case=grant.number, state=str(GrantState(grant.state).label), action="停用")
    now = clock.now()
    Grant.objects.filter(number=number).update(state=GrantState.REVOKED, ended_at=now, revoked_reason=words)
    with connection.cursor() as cursor:
        cursor.execute(
            'UPDATE exchange."grant" SET revoked_at = %s, revoked_reason = %s WHERE id = %s',
            [now, words, number],
        )
    _record("grant_revoked", grant, f"account:{viewer.username}", "revoked", {"reason": words})
    notify(
        grant.consumer_id,
        "grant_revoked",
        number,
        capability=Capability.REQUEST_SUBMIT,
        params={"reason": words},
    )


def expire_grants() -> int:
    """End the grants whose last day is over; safe late, twice, and beside another worker.

    The plane refuses a grant by its dates without waiting for this: here the case is closed and told.
    """
    ended = 0
    numbers = Grant.objects.filter(state=GrantState.ACTIVE, valid_until__lt=clock.today())
    for number in list(numbers.order_by("number").values_list("number", flat=True)):
        ended += _expire(number)
    return ended


@transaction.atomic
def _expire(number: str) -> int:
    grant = (
        Grant.objects.select_for_update(skip_locked=True)
        .filter(number=number, state=GrantState.ACTIVE)
        .first()
    )
    if grant is None:
        return 0
    Grant.objects.filter(number=number).update(state=GrantState.EXPIRED, ended_at=clock.now())
    _record("grant_expired", grant, "system:worker", "expired", {})
    notify(grant.consumer_id, "grant_expired", number, capability=Capability.REQUEST_SUBMIT)
    return 1
