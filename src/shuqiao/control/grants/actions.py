"""Issuing a grant as a signed document; suspending, resuming and revoking it; ending what has run out.

Each step locks the grant, lets the `grant` procedure of its regulation decide, and writes the state for
control and for the plane with the audit entry and the notice in one transaction.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal, cast

from django.conf import settings
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.offering import offer_of
from shuqiao.control.catalogue.period import check_within_entry
from shuqiao.control.files.granting import Asked, choice_faults, file_faults, files_granted
from shuqiao.control.grants.access import access_grant_to_change
from shuqiao.control.grants.models import ENDED, IN_USE, KIND, Grant
from shuqiao.control.grants.recalling import call_back_copies
from shuqiao.control.grants.terms import fault_of_term
from shuqiao.control.interfaces.granting import OperationsAsked, operation_faults, operations_granted
from shuqiao.control.organisations.models import Application
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text
from shuqiao.rules.ids import grant_no
from shuqiao.rules.procedures import Accepted, Facts, Refusal, decide
from shuqiao.rules.regulation import PROVIDER, SYSTEM
from shuqiao.rules.rows import Row
from shuqiao.rules.terms import Terms, term_faults
from shuqiao.security import keys
from shuqiao.wire import grant as wire

MAX_REASON_CHARS = 500
PLATFORM = "platform"
"""Who has signed a grant that no person decided on."""

SUSPEND, RESUME, REVOKE, EXPIRE, RENEW = "suspend", "resume", "revoke", "expire", "renew"
"""Actions of the procedure that programs call by name; regulation files share the words."""


@dataclass(frozen=True)
class GrantInput:
    """What a provider has granted: exactly this and nothing wider (REQ-13). `renews` is an older grant."""

    request_number: str
    round: int
    resource: str
    consumer: str
    provider: str
    mode: Literal["verify", "query", "bulk"]
    match: Literal["all", "each"]
    fields: tuple[str, ...]
    applications: tuple[str, ...]
    purpose: str
    case_required: bool
    valid_from: date
    valid_until: date
    regulation: str
    conditions: tuple[str, ...]
    channels: tuple[wire.Channel, ...] = ("interface",)
    rows: tuple[Row, ...] = ()
    unmasked: tuple[str, ...] = ()
    pseudonyms: bool = False
    signed_calls: bool = False
    renews: str = ""
    # Of an interface, the operations that are given. None where no interface serves the entry.
    operations: tuple[str, ...] | None = None
    # Of an entry that files serve, those that are given; "*" is all of them. None where no files serve it.
    files: tuple[str, ...] | None = None


def issue_grant(given: GrantInput, issuer: Viewer | None) -> Grant:
    """Sign and store a grant, for control and for the plane; must run in the transaction of the decision.

    Without an issuer it is the platform's own, for information that is shared at once.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a grant is issued in the transaction of its decision")
    check_within_entry(given.resource, given.valid_until)
    _check_offered(given)
    document = _document(given, issuer.username if issuer else PLATFORM)
    signed = wire.sign_grant(document, keys.load_signing_key(settings.CONFIG.grant_key_file))
    grant = _store(document, signed, given)
    actor = f"account:{issuer.username}" if issuer else f"system:{PLATFORM}"
    facts = {"fields": list(given.fields), **_terms_facts(given)}
    facts |= {"operations": list(document.operations), "files": list(document.files)}
    _record("grant_issued", grant, actor, facts)
    return grant


def _document(given: GrantInput, issued_by: str) -> wire.Grant:
    """Write the document that is signed, with the next number of grants."""
    now = clock.now()
    year = clock.legal_day(now).year
    return wire.Grant(
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
        channels=given.channels,
        rows=tuple(wire.Row(field=row.field, op=_operator(row.op), values=row.values) for row in given.rows),
        unmasked=given.unmasked,
        pseudonyms=given.pseudonyms,
        signed_calls=given.signed_calls,
        operations=operations_granted(
            given.resource, given.mode, given.fields, given.unmasked, given.operations or ()
        ),
        files=files_granted(given.mode, given.files),
        issued_at=now,
        issued_by=issued_by,
    )


def _check_offered(given: GrantInput) -> None:
    """Refuse what the entry does not offer, whoever asks: the last guard, whatever the forms let through.

    Only the department that provides an entry gives it: what was received is never given on (SEC-14).
    Source: guangzhou-2016 art. 4¶2; xiamen-2015 art. 13; shenyang-2016 art. 21, 23¶1.
    """
    resource = Resource.objects.get(pk=given.resource)
    if given.provider != resource.department_id:
        raise RuntimeError("a grant is given by the department that provides the entry")
    rules = named(given.regulation)
    offer = offer_of(resource, rules)
    terms = Terms(given.mode, given.channels, given.rows, frozenset(given.unmasked))
    faults = [fault_of_term(one) for one in term_faults(terms, offer, given.fields)]
    asked = Asked(
        given.mode,
        given.fields,
        given.unmasked,
        given.channels,
        has_rows=bool(given.rows),
        pseudonyms=given.pseudonyms,
    )
    faults += file_faults(resource, asked, rules)
    faults += choice_faults(resource.id, given.mode, given.files)
    operations = OperationsAsked(
        given.mode,
        given.fields,
        given.unmasked,
        has_rows=bool(given.rows),
        pseudonyms=given.pseudonyms,
        chosen=given.operations,
    )
    faults += operation_faults(resource.id, operations)
    modes = {item.field: item.modes for item in resource.items.all()}
    if given.mode not in offer.modes or any(given.mode not in modes.get(one, ()) for one in given.fields):
        words = Text("所给内容不以此方式提供", "What is given isn't offered in this mode")
        faults.append(Fault("mode", "mode_unknown", words))
    if faults:
        raise FormRefused(tuple(faults))


def _operator(text: str) -> Literal["eq", "in", "range", "null"]:
    """The operator of a condition that the rules have checked."""
    return cast(Literal["eq", "in", "range", "null"], text)


def _terms_facts(given: GrantInput) -> dict[str, object]:
    """What the audit entry says of the terms; the values of conditions stand in the signed document."""
    return {
        "channels": list(given.channels),
        "rows": [row.field for row in given.rows],
        "unmasked": list(given.unmasked),
        "pseudonyms": given.pseudonyms,
        "signed_calls": given.signed_calls,
        "match": given.match if given.mode == "verify" else "",
        "case_required": given.case_required,
    }


def _store(document: wire.Grant, signed: wire.SignedGrant, given: GrantInput) -> Grant:
    begins = named(document.regulation).procedure(KIND).initial
    grant = Grant.objects.create(
        number=document.id,
        request_number=document.request_no,
        round=given.round,
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
        regulation=document.regulation,
        state=begins.key,
        phase=begins.phase.value,
        issued_at=document.issued_at,
        renews_id=given.renews or None,
    )
    grant.applications.set(Application.objects.filter(id__in=document.applications))
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO exchange."grant" (id, document, signature, key_id) VALUES (%s, %s, %s, %s)',
            [document.id, signed.document, signed.signature, signed.key_id],
        )
    return grant


def _record(event: str, grant: Grant, actor: str, facts: dict[str, object]) -> None:
    append_entry(
        event,
        actor=actor,
        at=clock.now(),
        outcome=grant.state,
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


@dataclass(frozen=True)
class _Change:
    """A step of a grant: the action, who takes it (None is the platform), and what it writes and tells."""

    action: str
    event: str
    viewer: Viewer | None = None
    reason: str = ""
    told: dict[str, str | int] = field(default_factory=dict)


@transaction.atomic
def suspend_grant(viewer: Viewer, number: str, reason: str) -> None:
    """Stop a grant until it is resumed: the plane refuses its next call with the reason."""
    words = reason.strip()[:MAX_REASON_CHARS]
    grant = access_grant_to_change(viewer, number)
    _change(grant, _Change(SUSPEND, "grant_suspended", viewer, words))


@transaction.atomic
def resume_grant(viewer: Viewer, number: str) -> None:
    """Let a suspended grant be used again; its period has not changed."""
    grant = access_grant_to_change(viewer, number)
    _change(grant, _Change(RESUME, "grant_resumed", viewer))


@transaction.atomic
def revoke_grant(viewer: Viewer, number: str, reason: str) -> None:
    """End a grant at once; the plane's next call meets the new epoch and is refused with the reason.

    Raises `NotFound` for anybody but the provider's, `ReasonRequired` without a reason, `TransitionRefused`
    when it has ended already.
    """
    words = reason.strip()[:MAX_REASON_CHARS]
    grant = access_grant_to_change(viewer, number)
    _change(grant, _Change(REVOKE, "grant_revoked", viewer, words))


def replace_by_renewal(grant: Grant, successor: str) -> None:
    """End a locked grant whose successor begins today; one that can no longer be renewed is left as it is.

    In the caller's transaction. Calls that name it are refused and told the successor's number.
    """
    words = f"已由授权 {successor} 续期 / renewed as {successor}"
    if isinstance(_decision(grant, RENEW, None, ""), Accepted):
        _change(grant, _Change(RENEW, "grant_renewed", reason=words, told={"successor": successor}))


def end_early(number: str, reason: str) -> bool:
    """End a grant before its last day, as what it was given for has ended; in the caller's transaction.

    False where it has ended already. The plane refuses its next call with the reason (SPC-02).
    Source: guangzhou-2019 art. 16(4).
    """
    open_ones = Grant.objects.exclude(phase=ENDED).select_for_update()
    grant = open_ones.filter(number=number).first()
    if grant is None:
        return False
    _change(grant, _Change(EXPIRE, "grant_expired", reason=reason[:MAX_REASON_CHARS]))
    return True


def expire_grants() -> int:
    """End the grants whose last day is over; safe late, twice, and beside another worker.

    The plane refuses a grant by its dates without waiting for this: here the case is closed and told.
    """
    numbers = Grant.objects.exclude(phase=ENDED).filter(valid_until__lt=clock.today())
    return sum(
        _expire(number) for number in list(numbers.order_by("number").values_list("number", flat=True))
    )


@transaction.atomic
def _expire(number: str) -> int:
    open_ones = Grant.objects.exclude(phase=ENDED)
    grant = open_ones.select_for_update(skip_locked=True).filter(number=number).first()
    if grant is None:
        return 0
    _change(grant, _Change(EXPIRE, "grant_expired"))
    return 1


def _decision(grant: Grant, action: str, viewer: Viewer | None, reason: str) -> Accepted | Refusal:
    rules = named(grant.regulation)
    return decide(
        rules.procedure(KIND),
        grant.state,
        action,
        Facts(
            case=grant.number,
            sides=frozenset({PROVIDER} if viewer else {SYSTEM}),
            given={"reason": reason},
            actor=viewer.username if viewer else "",
        ),
        capabilities=viewer.capabilities if viewer else frozenset(),
        regulation=rules,
        today=clock.today(),
    )


def _change(grant: Grant, change: _Change) -> None:
    """Let the rules decide on a locked grant, and write what follows for control, the plane, log and user."""
    accepted = _decision(grant, change.action, change.viewer, change.reason)
    if isinstance(accepted, Refusal):
        raise accepted.error()
    _write(grant, change, accepted)
    actor = f"account:{change.viewer.username}" if change.viewer else "system:worker"
    facts: dict[str, object] = {"articles": [accepted.article], **change.told}
    if change.reason:
        facts["reason"] = change.reason
    _record(change.event, grant, actor, facts)
    call_back_copies(grant)
    params: dict[str, str | int] = {"reason": change.reason, **change.told}
    notify(
        grant.consumer_id,
        change.event,
        grant.number,
        capability=Capability.REQUEST_SUBMIT,
        occasion=clock.now().isoformat() if change.action in (SUSPEND, RESUME) else "",
        params=params,
    )


def _write(grant: Grant, change: _Change, accepted: Accepted) -> None:
    now, phase = clock.now(), accepted.phase.value
    ended, stopped = phase == ENDED, phase not in (ENDED, IN_USE)
    fields: dict[str, object] = {
        "state": accepted.to_state,
        "phase": phase,
        "suspended_at": now if stopped else None,
        "suspended_reason": change.reason if stopped else "",
        "ended_at": now if ended else None,
        "ended_by": change.action if ended else "",
        "revoked_reason": change.reason if change.action == REVOKE else "",
    }
    Grant.objects.filter(number=grant.number).update(**fields)
    for name, value in fields.items():
        setattr(grant, name, value)
    with connection.cursor() as cursor:
        # A last day is refused by the dates; a grant that ends before it is told to the plane.
        if ended and (change.action != EXPIRE or change.reason):
            cursor.execute(
                'UPDATE exchange."grant" SET revoked_at = %s, revoked_reason = %s WHERE id = %s',
                [now, change.reason, grant.number],
            )
        elif not ended:
            cursor.execute(
                'UPDATE exchange."grant" SET suspended_at = %s, suspended_reason = %s WHERE id = %s',
                [grant.suspended_at, grant.suspended_reason or None, grant.number],
            )
