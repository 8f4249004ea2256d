"""Writing, submitting, answering, withdrawing and disputing a request.

Each action reads the facts under a lock, lets `rules.procedures` decide, and writes the result with its
history, its audit entry and its notices in one transaction.
"""

from dataclasses import replace
from datetime import date, timedelta

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import due
from shuqiao.control.requests.access import access_request_locked, sides_of
from shuqiao.control.requests.inputs import (
    MAX_PURPOSE_CHARS,
    MAX_WORDING_CHARS,
    Checked,
    RequestInput,
    check_input,
    covering_grant,
)
from shuqiao.control.requests.models import Request, RequestEvent, RequestItem
from shuqiao.control.texts import Text
from shuqiao.rules.ids import request_no
from shuqiao.rules.procedures import Accepted, ClockFacts, Decision, Facts, Refusal
from shuqiao.rules.procedures import decide as decide_step
from shuqiao.rules.regulation import REQUESTER, SYSTEM, Regulation


@transaction.atomic
def save_draft(viewer: Viewer, given: RequestInput) -> int:
    """Keep a draft, complete or not, and return its key; an account has one draft for each entry.

    A draft binds nobody, so it leaves no audit entry.
    """
    request, _ = _write_draft(viewer, given)
    return request.pk


@transaction.atomic
def submit_request(viewer: Viewer, given: RequestInput) -> str:
    """Send a request and return its number; the provider's term starts today.

    Raises `FormRefused` with every fault when a part is missing or is not theirs to ask, and where a grant
    in force already gives all of it. Source: guangzhou-2016 art. 4(1), 35(1).
    """
    request, checked = _write_draft(viewer, given)
    rules = regulation()
    accepted = _decide_submission(viewer, given, request, checked, rules)
    _refuse_if_granted(viewer, given)
    now = clock.now()
    today = clock.legal_day(now)
    reply = due("reply", today, rules)
    number = request_no(today.year, next_number("R", today.year))
    Request.objects.filter(pk=request.pk).update(
        number=number,
        state=accepted.to_state,
        submitted_at=now,
        changed_at=now,
        reply_due_on=reply.due_on,
        provisional=reply.provisional,
    )
    request.refresh_from_db()
    _record_submission(viewer, request, given, accepted)
    return number


def _refuse_if_granted(viewer: Viewer, given: RequestInput) -> None:
    covering = covering_grant(viewer, given, clock.today())
    if covering:
        words = Text(
            f"授权 {covering} 已包含所选内容，可直接使用", f"Grant {covering} already gives all of this"
        )
        raise FormRefused((Fault("items", "already_granted", words),))


def _record_submission(viewer: Viewer, request: Request, given: RequestInput, accepted: Accepted) -> None:
    """Write the audit entry and the history of a submission, and tell the provider's reviewers."""
    entry = record(
        "request_submitted",
        request,
        f"account:{viewer.username}",
        "submitted",
        {
            "items": sorted(given.items),
            "mode": request.mode,
            "purpose": request.purpose,
            "duty": request.duty.number if request.duty else None,
            "reply_due_on": str(request.reply_due_on),
            "provisional": request.provisional,
            "articles": [accepted.article],
        },
    )
    add_event(request, "submitted", viewer, entry=entry, articles=[accepted.article])
    add_event(request, "duty_confirmed", None, articles=[named(request.regulation).cite("4(1)")])
    notify(
        request.provider_id,
        "request_received",
        f"{request.number}",
        capability=Capability.REQUEST_ANSWER,
        params={"resource": request.resource_id, "due_on": str(request.reply_due_on)},
    )


@transaction.atomic
def withdraw_request(viewer: Viewer, number: str) -> None:
    """Take back a request that is not answered yet."""
    request = access_request_locked(viewer, number)
    accepted = decide(viewer, request, "withdraw", Facts(number, sides_of(viewer, request)))
    _move(request, accepted.to_state)
    entry = record("request_withdrawn", request, f"account:{viewer.username}", "withdrawn", {})
    add_event(request, "withdrawn", viewer, entry=entry, articles=[accepted.article])
    notify(request.provider_id, "request_withdrawn", number, capability=Capability.REQUEST_ANSWER)


@transaction.atomic
def dispute_request(viewer: Viewer, number: str, reason: str) -> None:
    """Ask for negotiation after a refusal, in whole or in part. Source: guangzhou-2016 art. 35(1)."""
    request = access_request_locked(viewer, number)
    facts = Facts(number, sides_of(viewer, request), {"reason": reason})
    accepted = decide(viewer, request, "dispute", facts)
    Request.objects.filter(pk=request.pk).update(round=request.round + 1)
    request.round += 1
    _move(request, accepted.to_state)
    words = reason.strip()[:500]
    entry = record(
        "request_disputed", request, f"account:{viewer.username}", "negotiation", {"reason": words}
    )
    add_event(request, "disputed", viewer, entry=entry, articles=[accepted.article], reason=words)
    tell_of_negotiation(request)


def escalate_overdue() -> int:
    """Open negotiation for each request whose term has run out; safe late, twice, and beside another worker.

    Source: guangzhou-2016 art. 35(1).
    """
    numbers = Request.objects.filter(state="submitted", reply_due_on__lt=clock.today())
    return sum(_escalate(pk) for pk in list(numbers.order_by("pk").values_list("pk", flat=True)))


@transaction.atomic
def _escalate(pk: int) -> int:
    request = Request.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
    if request is None or request.number is None:
        return 0
    clocks = {"reply": ClockFacts(request.reply_due_on)} if request.reply_due_on else {}
    facts = Facts(request.number, frozenset({SYSTEM}), clocks=clocks)
    decision = _decision(request, "escalate", facts, frozenset())
    if isinstance(decision, Refusal):
        # Answered between the search and the lock.
        return 0
    Request.objects.filter(pk=pk).update(escalated_at=clock.now())
    _move(request, decision.to_state)
    entry = record(
        "request_escalated",
        request,
        "system:worker",
        "negotiation",
        {"reply_due_on": str(request.reply_due_on), "articles": [decision.article]},
    )
    add_event(request, "escalated", None, entry=entry, articles=[decision.article])
    tell_of_negotiation(request)
    return 1


def _write_draft(viewer: Viewer, given: RequestInput) -> tuple[Request, Checked]:
    """Store what can be stored of an input; the row is locked until the transaction ends."""
    resource = access_resource(viewer, given.resource)
    if not viewer.can(Capability.REQUEST_SUBMIT) or resource.department_id == viewer.department.code:
        raise NotFound
    checked = check_input(viewer, given, resource)
    now = clock.now()
    drafts = Request.objects.select_for_update().filter(created_by_id=viewer.account_id, resource=resource)
    request = drafts.filter(state="draft").first() or Request(
        requester_id=viewer.department.code,
        provider_id=resource.department_id,
        resource=resource,
        created_by_id=viewer.account_id,
        regulation=regulation().id,
        created_at=now,
    )
    request.mode = given.mode if given.mode in resource.modes else resource.modes[0]
    request.duty = checked.duty
    request.purpose = given.purpose.strip()[:MAX_PURPOSE_CHARS]
    request.case_wording = given.case_wording.strip()[:MAX_WORDING_CHARS]
    request.accepted_conditions = sorted(set(given.accepted_conditions) & _condition_keys())
    request.wanted_until = given.wanted_until
    request.changed_at = now
    request.save()
    request.items.all().delete()
    RequestItem.objects.bulk_create(
        RequestItem(request=request, item=item, reason=reason) for item, reason in checked.items
    )
    request.applications.set(checked.applications)
    return request, checked


def _condition_keys() -> set[str]:
    return {condition.key for condition in regulation().conditions}


def _decide_submission(
    viewer: Viewer, given: RequestInput, request: Request, checked: Checked, rules: Regulation
) -> Accepted:
    """Let the rules decide, and go on past each missing field so that all faults are told at once."""
    facts = Facts(
        case="",
        sides=frozenset({REQUESTER}),
        given={
            "items": checked.items,
            "duty": checked.duty,
            "purpose": given.purpose,
            "applications": checked.applications,
        },
        accepted_conditions=frozenset(given.accepted_conditions),
        valid_until=given.wanted_until,
    )
    faults = list(checked.faults)
    told = {fault.field for fault in faults}
    for _ in range(len(rules.request_fields) + 1):
        decision = _decision(request, "submit", facts, viewer.capabilities)
        if isinstance(decision, Accepted):
            break
        if not decision.field:
            raise decision.error()
        if decision.field not in told:
            faults.append(fault_of(decision))
        facts = _as_if_filled(facts, decision.field)
    if faults or not isinstance(decision, Accepted):
        raise FormRefused(tuple(faults))
    return decision


def _as_if_filled(facts: Facts, name: str) -> Facts:
    """Give a field that the rules have found missing some value, to learn what else is missing."""
    match name:
        case "conditions":
            return replace(facts, accepted_conditions=frozenset(_condition_keys()))
        case "wanted_until":
            return replace(facts, valid_until=clock.today() + timedelta(days=1))
        case _:
            return replace(facts, given={**facts.given, name: True})


def fault_of(refusal: Refusal) -> Fault:
    """Word a refusal of the rules as a fault of a form's field."""
    words = Text(refusal.error("zh").explain("zh"), refusal.error("en").explain("en"))
    return Fault(refusal.field, refusal.code, words)


def decide(viewer: Viewer, request: Request, action: str, facts: Facts) -> Accepted:
    """Let the rules of the request's own regulation decide; raises the error of a refusal."""
    decision = _decision(request, action, facts, viewer.capabilities)
    if isinstance(decision, Refusal):
        raise decision.error()
    return decision


def _decision(request: Request, action: str, facts: Facts, capabilities: frozenset[str]) -> Decision:
    rules = named(request.regulation)
    return decide_step(
        rules.procedure("request"),
        request.state,
        action,
        facts,
        capabilities=capabilities,
        regulation=rules,
        today=clock.today(),
    )


def _move(request: Request, state: str) -> None:
    Request.objects.filter(pk=request.pk).update(state=state, changed_at=clock.now())
    request.state = state


def record(
    event: str,
    request: Request,
    actor: str,
    outcome: str,
    facts: dict[str, object],
    grant_id: str | None = None,
) -> str:
    """Append the audit entry of a step of a request and return its id."""
    entry = append_entry(
        event,
        actor=actor,
        at=clock.now(),
        outcome=outcome,
        department=request.requester_id,
        provider=request.provider_id,
        resource_id=request.resource_id,
        grant_id=grant_id,
        case_no=request.number,
        facts={"regulation": request.regulation, **facts},
    )
    return str(entry)


def add_event(
    request: Request,
    code: str,
    viewer: Viewer | None,
    *,
    entry: str | None = None,
    articles: list[str] | None = None,
    **params: str,
) -> None:
    """Add a step to the history of a request; without a viewer it is the system's."""
    RequestEvent.objects.create(
        request=request,
        code=code,
        occurred_at=clock.now(),
        account_id=viewer.account_id if viewer else None,
        department_id=viewer.department.code if viewer else None,
        round=request.round,
        params=params,
        entry_id=entry,
        articles=articles or [],
    )


def tell_of_negotiation(request: Request) -> None:
    """Tell both sides, and whoever co-ordinates, that negotiation has begun."""
    reference = request.number or ""
    notify(request.requester_id, "negotiation_opened", reference, capability=Capability.REQUEST_SUBMIT)
    notify(request.provider_id, "negotiation_opened", reference, capability=Capability.REQUEST_ANSWER)
    for code in Department.objects.filter(roles__contains=["competent"]).values_list("code", flat=True):
        notify(code, "negotiation_opened", reference, capability=Capability.DISPUTE_COORDINATE)


def wanted_or_latest(request: Request, latest: date) -> date:
    """Return the last day a grant of this request may have: never past what was asked for."""
    return min(request.wanted_until or latest, latest)
