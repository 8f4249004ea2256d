"""Submitting, withdrawing and disputing a request, and every other step that its regulation allows.

Each action reads the facts under a lock, lets `rules.procedures` decide, and writes the result with its
history, its clocks, its audit entry and its notices in one transaction (`steps.take`).
"""

from dataclasses import replace
from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.catalogue.platforms import route_facts
from shuqiao.control.catalogue.sharing import way_of_request
from shuqiao.control.clocks.queries import clocks_of, next_clock, overdue
from shuqiao.control.disputes.actions import withdraw_with_case
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.requests.access import access_request_locked, sides_of
from shuqiao.control.requests.answering import confirm_answer
from shuqiao.control.requests.drafts import condition_keys, save_draft, start_renewal, write_draft
from shuqiao.control.requests.granting import grant_at_once
from shuqiao.control.requests.inputs import Checked, RequestInput, StepInput, covering_grant
from shuqiao.control.requests.models import KIND, OPEN_PHASES, Request
from shuqiao.control.requests.steps import (
    Step,
    accept,
    add_event,
    answers,
    begins_on,
    decision,
    facts_of,
    fault_of,
    own_words,
    system_facts,
    take,
)
from shuqiao.control.requests.terms import reviewed_where_needed
from shuqiao.control.texts import Text
from shuqiao.rules.ids import request_no
from shuqiao.rules.procedures import Accepted, Facts, Refusal
from shuqiao.rules.regulation import PROPOSED, REQUESTER, Phase, Regulation
from shuqiao.rules.sharing import Way, WayKind

__all__ = [
    "dispute_request",
    "escalate_overdue",
    "save_draft",
    "start_renewal",
    "submit_request",
    "take_step",
    "withdraw_request",
]

SUBMIT, WITHDRAW, DISPUTE, ESCALATE = "submit", "withdraw", "dispute", "escalate"
IMMEDIATE = frozenset({"immediate"})


@transaction.atomic
def submit_request(viewer: Viewer, given: RequestInput) -> str:
    """Send a request and return its number; what its regulation shares at once is granted with it.

    Raises `FormRefused` with every fault when a part is missing or is not theirs to ask, and where a grant
    in force already gives all of it. Source: guangzhou-2016 art. 4(1), 35(1); xiamen-2015 art. 12(1);
    shenyang-2016 art. 20(3).
    """
    request, checked = write_draft(viewer, given)
    rules = regulation()
    way = way_of_request(request.resource, set(given.items), viewer.department.code, request.mode, rules)
    way = reviewed_where_needed(way, checked.terms, given.items, request.resource, rules)
    accepted = _decide_submission(viewer, given, request, checked, rules, way=way)
    _refuse_if_granted(viewer, given)
    today = clock.today()
    number = request_no(today.year, next_number("R", today.year))
    articles = [accepted.article, way.article] if accepted.phase is Phase.GRANTED else [accepted.article]
    fields = {"number": number, "submitted_at": clock.now()}
    request.number = number
    facts = {
        "items": sorted(given.items),
        "mode": request.mode,
        "channels": request.channels,
        "rows": [row["field"] for row in request.rows],
        "unmasked": sorted(checked.terms.unmasked),
        "purpose": request.purpose,
        "duty": request.duty.number if request.duty else None,
        "because": way.because,
        "rests_on": articles,
        **route_facts(viewer, request.resource),
    }
    take(request, Step(SUBMIT, accepted, viewer, today, facts=facts, fields=fields))
    add_event(request, "duty_confirmed", None, articles=(rules.cite_matter("own_duty"),))
    if accepted.phase is Phase.GRANTED:
        grant_at_once(request, accepted)
    else:
        _tell_provider(request)
    return number


def _tell_provider(request: Request) -> None:
    """Tell the provider's reviewers of a request, with the day of the answer where its term runs already."""
    number = request.number or ""
    running = next_clock(clocks_of(KIND, [number]).get(number, ()))
    notify(
        request.provider_id,
        "request_received" if running else "request_announced",
        number,
        capability=Capability.REQUEST_ANSWER,
        params={"resource": request.resource_id, "due_on": str(running.due_on) if running else ""},
    )


def _refuse_if_granted(viewer: Viewer, given: RequestInput) -> None:
    covering = covering_grant(viewer, given, clock.today())
    if covering:
        words = Text(
            f"授权 {covering} 已包含所选内容，可直接使用", f"Grant {covering} already gives all of this"
        )
        raise FormRefused((Fault("items", "already_granted", words),))


@transaction.atomic
def withdraw_request(viewer: Viewer, number: str) -> None:
    """Take back a request that is not answered yet, and with it a dispute about it."""
    request = access_request_locked(viewer, number)
    disputed = request.phase == Phase.DISPUTED.value
    accepted = accept(request, WITHDRAW, facts_of(request, sides_of(viewer, request), {}), viewer)
    take(request, Step(WITHDRAW, accepted, viewer, clock.today()))
    if disputed:
        withdraw_with_case(viewer, KIND, number, "申请已撤回")
    notify(request.provider_id, "request_withdrawn", number, capability=Capability.REQUEST_ANSWER)


@transaction.atomic
def dispute_request(viewer: Viewer, number: str, reason: str) -> None:
    """Ask for negotiation after a refusal, in whole or in part. Source: guangzhou-2016 art. 35(1)."""
    take_step(viewer, number, DISPUTE, StepInput(reason=reason))


@transaction.atomic
def take_step(viewer: Viewer, number: str, action: str, given: StepInput) -> str | None:
    """Take any step of the request's regulation that needs no form of its own; return a grant's number.

    So a step that only one city knows (receipt of a paper form, return for completion, an extension with
    consent) needs no code. Raises `NotFound` for steps with a form of their own, `FormRefused` for a field
    that can't be taken, the rule's own error otherwise. Source: shenyang-2016 art. 20(4).
    """
    if action == WITHDRAW:
        withdraw_request(viewer, number)
        return None
    request = access_request_locked(viewer, number)
    procedure = named(request.regulation).procedure(KIND)
    if action == SUBMIT or any(
        answers(one, procedure) for one in procedure.transitions if one.action == action
    ):
        raise NotFound
    known = procedure.transition(action, request.state)
    if known is not None and known.to_state == PROPOSED:
        return confirm_answer(viewer, request, action, given.reason)
    faults = given.faults(clock.legal_day(request.submitted_at) if request.submitted_at else clock.today())
    words = {**own_words(request), **given.words()}
    facts = facts_of(request, sides_of(viewer, request), words, viewer.username)
    accepted = accept(request, action, facts, viewer)
    if faults:
        raise FormRefused(faults)
    fields: dict[str, object] = {"form_received_on": given.received_on} if given.received_on else {}
    step = Step(
        action,
        accepted,
        viewer,
        given.received_on or clock.today(),
        facts=given.facts(),
        params=given.params(),
        fields=fields,
        reason=given.reason,
    )
    take(request, step)
    if not accepted.opens_dispute:
        _tell_of_step(viewer, request, action)
    return None


def _tell_of_step(viewer: Viewer, request: Request, action: str) -> None:
    """Tell whoever must know next that the request has moved: the other side, and the provider's own."""
    number, today = request.number or "", clock.now().isoformat()
    provider = viewer.department.code == request.provider_id
    told = [(request.requester_id if provider else request.provider_id, Capability.REQUEST_SUBMIT)]
    if provider:
        told.append((request.provider_id, Capability.REQUEST_ANSWER))
    for code, capability in told:
        notify(
            code,
            "request_moved",
            number,
            capability=capability if code == request.requester_id else Capability.REQUEST_ANSWER,
            occasion=today,
            params={"action": action, "state": request.state, "regulation": request.regulation},
        )


def escalate_overdue() -> int:
    """Open negotiation for each request whose term has run out; safe late, twice, and beside another worker.

    Source: guangzhou-2016 art. 35(1).
    """
    due: dict[str, Q] = {}
    for rules in map(named, _regulations_of_open()):
        for step in rules.procedure(KIND).transitions:
            if step.action == ESCALATE and step.clock:
                here = Q(regulation=rules.id, state__in=step.from_states)
                due[step.clock] = due.get(step.clock, Q(pk__in=[])) | here
    numbers = dict.fromkeys(
        number
        for key, waiting in sorted(due.items())
        for number in overdue(KIND, key, among=Request.objects.filter(waiting).values("number"))
    )
    return sum(_escalate(number) for number in numbers)


def _regulations_of_open() -> tuple[str, ...]:
    """The regulations under which requests wait now."""
    found = Request.objects.filter(phase__in=OPEN_PHASES).order_by().values_list("regulation", flat=True)
    return tuple(found.distinct())


@transaction.atomic
def _escalate(number: str) -> int:
    request = Request.objects.select_for_update(skip_locked=True).filter(number=number).first()
    if request is None:
        return 0
    due = next_clock(clocks_of(KIND, [number]).get(number, ()))
    given = decision(request, ESCALATE, system_facts(request), frozenset())
    if isinstance(given, Refusal):
        # Answered between the search and the lock, or in dispute already.
        return 0
    facts = {"due_on": str(due.due_on)} if due else {}
    take(request, Step(ESCALATE, given, None, clock.today(), facts=facts))
    return 1


def _decide_submission(
    viewer: Viewer,
    given: RequestInput,
    request: Request,
    checked: Checked,
    rules: Regulation,
    *,
    way: Way,
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
        conditions=IMMEDIATE if way.kind is WayKind.IMMEDIATE else frozenset(),
        accepted_conditions=frozenset(given.accepted_conditions),
        valid_from=begins_on(request),
        valid_until=given.wanted_until,
    )
    faults = [*checked.faults, *_closed_faults(way, checked)]
    told = {fault.field for fault in faults}
    for _ in range(len(rules.request_fields) + 1):
        decided = decision(request, SUBMIT, facts, viewer.capabilities)
        if isinstance(decided, Accepted):
            break
        if not decided.field:
            raise decided.error()
        if decided.field not in told:
            faults.append(fault_of(decided))
        facts = _as_if_filled(facts, decided.field)
    if faults or not isinstance(decided, Accepted):
        raise FormRefused(tuple(faults))
    return decided


_CLOSED = {
    "share_type": Text("按其共享类型不予共享", "not shared, by their share type"),
    "departments": Text("不向本部门共享", "not shared with your department"),
    "mode": Text("不提供这种方式", "not offered in this mode"),
}


def _closed_faults(way: Way, checked: Checked) -> list[Fault]:
    """Information that can't be asked for at all is named with the article that closes it."""
    if way.kind is not WayKind.NOT_AVAILABLE or any(fault.field == "items" for fault in checked.faults):
        return []
    names = {item.field: item for item, _ in checked.items}
    why = _CLOSED[way.because]
    zh = "、".join(f"“{names[one].zh}”" for one in way.fields if one in names)
    en = ", ".join(names[one].en for one in way.fields if one in names)
    cite = article_ref(way.article).cite
    words = Text(f"{zh}{why.zh}（依据：{cite.zh}）", f"{en}: {why.en} (rule: {cite.en})")
    return [Fault("items", "not_shared", words)]


def _as_if_filled(facts: Facts, name: str) -> Facts:
    """Give a field that the rules have found missing some value, to learn what else is missing."""
    match name:
        case "conditions":
            return replace(facts, accepted_conditions=frozenset(condition_keys()))
        case "wanted_until":
            return replace(facts, valid_until=(facts.valid_from or clock.today()) + timedelta(days=1))
        case _:
            return replace(facts, given={**facts.given, name: True})
