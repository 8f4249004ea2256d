"""The case page: one request with its timeline, its history, and what this viewer may do with it."""

from datetime import date

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue import labels as catalogue_labels
from shuqiao.control.organisations.queries import application_ref, department_ref
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import article_ref, cited_text, clock_of, due
from shuqiao.control.requests.access import access_request, sides_of
from shuqiao.control.requests.actions import wanted_or_latest
from shuqiao.control.requests.labels import event_label, state_label
from shuqiao.control.requests.lists import (
    conditions,
    duty_option,
    forecast,
    grants_of,
    reply_clock,
)
from shuqiao.control.requests.models import Request, RequestEvent
from shuqiao.control.requests.queries import CaseItem, HistoryRow, RequestCase, Step
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import latest_until, possible_actions
from shuqiao.rules.regulation import SETTING, SYSTEM, Regulation

_ANSWERS = ("approve", "approve_part", "refuse")
_DECIDED = ("approved", "partly_approved", "refused", "settled_no")


def request_case(viewer: Viewer, number: str) -> RequestCase:
    """Return everything the case page shows; raises `NotFound` for what this viewer may not see."""
    request = access_request(viewer, number)
    rules = named(request.regulation)
    events = list(request.events.select_related("account", "department").order_by("occurred_at", "pk"))
    sides = sides_of(viewer, request)
    possible = {
        step.action
        for step in possible_actions(rules.procedure("request"), request.state, viewer.capabilities, sides)
    }
    can_answer = bool(possible.intersection(_ANSWERS))
    accepted = set(request.accepted_conditions)
    submitted_on = clock.legal_day(request.submitted_at) if request.submitted_at else None
    latest = latest_until(clock.today(), rules.period.maximum_months)
    return RequestCase(
        key=request.pk,
        number=number,
        state=request.state,
        state_label=state_label(rules.id, request.state),
        resource=request.resource_id,
        resource_code=request.resource.code,
        resource_name=Text(request.resource.name_zh, request.resource.name_en),
        requester=department_ref(request.requester),
        provider=department_ref(request.provider),
        written_by=request.created_by.display_name,
        first_request=not _earlier_grants(request),
        purpose=request.purpose,
        case_wording=request.case_wording,
        mode=request.mode,
        mode_label=catalogue_labels.label(catalogue_labels.MODES, request.mode),
        modes_offered=catalogue_labels.mode_labels(request.resource.modes),
        regulation=Text(rules.title.zh, rules.title.en),
        duty=duty_option(request.duty) if request.duty else None,
        duty_confirmed=any(event.code == "duty_confirmed" for event in events),
        items=_items(request),
        applications=tuple(application_ref(one) for one in request.applications.order_by("-portal", "id")),
        accepted_conditions=tuple(one for one in conditions(rules.id) if one.key in accepted),
        wanted_until=request.wanted_until,
        submitted_at=request.submitted_at,
        reply_clock=reply_clock(request),
        provide_forecast=forecast(submitted_on, rules.id) if submitted_on else None,
        steps=_steps(request, rules, events),
        history=tuple(_history(event) for event in events),
        grants=tuple(grants_of([number]).get(number, ())),
        answer_note=request.answer_note,
        max_valid_until=wanted_or_latest(request, latest),
        can_answer=can_answer,
        answer_refusal=None if can_answer else _why_no_answer(request, rules),
        can_withdraw="withdraw" in possible,
        can_dispute="dispute" in possible,
    )


def _earlier_grants(request: Request) -> bool:
    return request.resource.grants.filter(
        consumer_id=request.requester_id, issued_at__lt=request.submitted_at or clock.now()
    ).exists()


def _items(request: Request) -> tuple[CaseItem, ...]:
    return tuple(
        CaseItem(
            field=row.item.field,
            name=Text(row.item.zh, row.item.en),
            sensitivity=row.item.sensitivity,
            reason=row.reason,
            granted=row.granted,
            refusal_reason=row.refusal_reason,
        )
        for row in request.items.select_related("item").order_by("item__number", "item__part")
    )


def _why_no_answer(request: Request, rules: Regulation) -> Text:
    if request.state in _DECIDED or request.state == "withdrawn":
        name = state_label(rules.id, request.state)
        return Text(f"此申请已是“{name.zh}”", f"This request is already: {name.en}")
    provider = request.provider
    return Text(f"由{provider.name_zh}的审核人员答复", f"Answered by the reviewers of {provider.name_en}")


def _history(event: RequestEvent) -> HistoryRow:
    who = event.account.display_name if event.account else ""
    return HistoryRow(
        at=event.occurred_at,
        label=event_label(event.code),
        by=who,
        entry=str(event.entry_id) if event.entry_id else None,
    )


def _steps(request: Request, rules: Regulation, events: list[RequestEvent]) -> tuple[Step, ...]:
    """Draw the course of the request: what is done, what runs, what lies ahead, and the way of a dispute."""
    happened = {event.code: event for event in events}
    return (
        _event_step("submitted", Text("提交申请", "Submission"), happened.get("submitted"), "35(1)", rules),
        _event_step(
            "duty", Text("职权核对", "Check of the duty"), happened.get("duty_confirmed"), "4(1)", rules
        ),
        _reply_step(request, rules, happened.get("answered")),
        _provide_step(request, rules),
        _use_step(request, rules),
        *_dispute_steps(request, rules),
    )


def _event_step(key: str, label: Text, event: RequestEvent | None, article: str, rules: Regulation) -> Step:
    return Step(
        key=key,
        label=label,
        status="done" if event else "ahead",
        detail=None,
        at=event.occurred_at if event else None,
        by=event.account.display_name if event and event.account else "",
        due_on=None,
        clock=None,
        article=cited_text(article, rules.id),
        start_rule=None,
    )


def _reply_step(request: Request, rules: Regulation, answered: RequestEvent | None) -> Step:
    deadline = rules.deadline("reply")
    settled = deadline.starts_article == SETTING or rules.start_day_article == SETTING
    decided = request.state in _DECIDED
    counting = Text(
        "起算：提交次日。条文未定，此为平台设定",
        "Counted from the day after submission: the text leaves it open, the platform has settled it",
    )
    return Step(
        key="reply",
        label=Text("答复", "Reply"),
        status="done" if decided else ("ahead" if request.state in ("draft", "withdrawn") else "current"),
        detail=state_label(rules.id, request.state) if decided else None,
        at=request.decided_at,
        by=answered.account.display_name if answered and answered.account else "",
        due_on=request.reply_due_on,
        clock=reply_clock(request),
        article=cited_text(deadline.article, rules.id),
        start_rule=counting if settled else None,
    )


def _provide_step(request: Request, rules: Regulation) -> Step:
    """Access opens with the approval itself, so provision is done when the answer is."""
    deadline = rules.deadline("provide")
    provided = request.state in ("approved", "partly_approved")
    starts_on = clock.legal_day(request.decided_at) if request.decided_at else clock.today()
    term = due("provide", starts_on, rules)
    detail = Text(
        f"若今天同意，最迟 {term.due_on:%m-%d} 提供", f"If approved today: to be provided by {term.due_on}"
    )
    return Step(
        key="provide",
        label=Text("提供", "Provision"),
        status="done" if provided else "ahead",
        detail=Text("同意即开通", "Opened with the approval") if provided else detail,
        at=request.decided_at if provided else None,
        by="",
        due_on=term.due_on,
        clock=clock_of(term, done_on=starts_on) if provided else None,
        article=cited_text(deadline.article, rules.id),
        start_rule=None,
    )


def _use_step(request: Request, rules: Regulation) -> Step:
    until = _last_day(request)
    words = Text(f"至 {until}，期满自动停用", f"Until {until}, then it ends by itself") if until else None
    return Step(
        key="use",
        label=Text("使用", "Use"),
        status="current" if until and until >= clock.today() else ("done" if until else "ahead"),
        detail=words or Text("每次调用先留痕后应答", "Every call is recorded before it is answered"),
        at=None,
        by="",
        due_on=until,
        clock=None,
        article=cited_text("30(1)", rules.id),
        start_rule=None,
    )


def _last_day(request: Request) -> date | None:
    grants = request.resource.grants.filter(request_number=request.number)
    return grants.order_by("-valid_until").values_list("valid_until", flat=True).first()


def _dispute_steps(request: Request, rules: Regulation) -> tuple[Step, ...]:
    negotiating = request.state == "negotiation"
    ahead = (step for step in rules.procedure("dispute").transitions if step.by != {SYSTEM})
    return tuple(
        Step(
            key=given.action,
            label=Text(given.zh, given.en),
            status="current" if negotiating and place == 0 else "dispute",
            detail=None,
            at=request.escalated_at if negotiating and place == 0 else None,
            by="",
            due_on=None,
            clock=None,
            article=cited_text(given.article, rules.id),
            start_rule=Text(
                f"仅在不答复或不予共享时启动（{article_ref(given.article, rules.id).cite.zh}）",
                "Begins only where a request is not answered or refused",
            ),
        )
        for place, given in enumerate(ahead)
    )
