"""Answering a request: which items, in which mode, for how long, for which applications, and why not."""

from dataclasses import dataclass
from datetime import date
from typing import Literal, cast

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.accounts.models import Account
from shuqiao.control.accounts.notices import notify
from shuqiao.control.grants.actions import GrantInput, issue_grant
from shuqiao.control.grants.models import Grant
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import due
from shuqiao.control.requests.access import access_request_locked, sides_of
from shuqiao.control.requests.actions import add_event, fault_of, record, wanted_or_latest
from shuqiao.control.requests.inputs import MAX_PURPOSE_CHARS, AnswerInput
from shuqiao.control.requests.models import Request, RequestItem
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import Accepted, Facts, Refusal, latest_until
from shuqiao.rules.procedures import decide as decide_step
from shuqiao.rules.regulation import Regulation

MAX_REFUSAL_CHARS = 500
MAX_NOTE_CHARS = 500


@dataclass(frozen=True)
class _Answer:
    """An answer after the look-ups, ready to be decided and stored."""

    granted: tuple[RequestItem, ...]
    refused: tuple[tuple[RequestItem, str], ...]
    mode: str
    match: str
    purpose: str
    valid_from: date
    valid_until: date | None
    applications: tuple[str, ...]

    @property
    def action(self) -> str:
        """The word of the procedure for this answer."""
        if not self.granted:
            return "refuse"
        return "approve_part" if self.refused else "approve"


@transaction.atomic
def answer_request(viewer: Viewer, number: str, given: AnswerInput) -> str | None:
    """Answer every open item of a request at once; return the number of the grant, None for a refusal.

    The grant holds exactly what is approved and is in force with this transaction. Raises `NotFound` for
    whoever may not see the request, the error of the rules for whoever may not answer it or comes second,
    and `FormRefused` with every fault. Source: guangzhou-2016 art. 35(1); REQ-09, REQ-11, REQ-13.
    """
    request = access_request_locked(viewer, number)
    rules = named(request.regulation)
    items = list(request.items.select_related("item").exclude(granted=True))
    answer = _read(given, request, items)
    accepted = _decide(viewer, request, answer, rules)
    faults = _faults(given, request, answer, rules)
    if faults:
        raise FormRefused(faults)
    grant = _issue(viewer, request, answer, given.case_required) if answer.granted else None
    _store(viewer, request, answer, accepted, given.note)
    _tell(viewer, request, answer, accepted, grant)
    return grant.number if grant else None


def _read(given: AnswerInput, request: Request, items: list[RequestItem]) -> _Answer:
    """Take every open item as refused unless the form says yes to it."""
    common = given.refusal_reason.strip()
    granted = tuple(row for row in items if given.decisions.get(row.item.field) is True)
    refused = tuple(
        (row, (given.refusal_reasons.get(row.item.field, "").strip() or common)[:MAX_REFUSAL_CHARS])
        for row in items
        if row not in granted
    )
    asked_for = tuple(request.applications.order_by("id").values_list("id", flat=True))
    return _Answer(
        granted=granted,
        refused=refused,
        mode=given.mode,
        match=given.match,
        purpose=given.purpose.strip()[:MAX_PURPOSE_CHARS] or request.purpose,
        valid_from=given.valid_from or clock.today(),
        valid_until=given.valid_until,
        applications=asked_for if given.applications is None else given.applications,
    )


def _decide(viewer: Viewer, request: Request, answer: _Answer, rules: Regulation) -> Accepted:
    """Let the rules decide; what is wrong with a field is a fault of the form, the rest an error."""
    reasons = [reason for _, reason in answer.refused]
    facts = Facts(
        case=request.number or "",
        sides=sides_of(viewer, request),
        given={"items": answer.granted, "reason": " ".join(reasons) if all(reasons) else ""},
        valid_from=answer.valid_from,
        valid_until=answer.valid_until,
    )
    decision = decide_step(
        rules.procedure("request"),
        request.state,
        answer.action,
        facts,
        capabilities=viewer.capabilities,
        regulation=rules,
        today=clock.today(),
    )
    if isinstance(decision, Refusal):
        if not decision.field:
            raise decision.error()
        names = {"wanted_until": "valid_until", "reason": "refusal_reason"}
        fault = fault_of(decision)
        raise FormRefused((Fault(names.get(fault.field, fault.field), fault.code, fault.message),))
    return decision


def _faults(given: AnswerInput, request: Request, answer: _Answer, rules: Regulation) -> tuple[Fault, ...]:
    """Check what the rules leave to the case: nothing wider than what was asked for."""
    faults = []
    unknown = set(given.decisions) - {row.item.field for row in request.items.select_related("item")}
    if unknown:
        faults.append(
            _fault("decisions", "item_unknown", "所选信息项不在申请中", "An item was not asked for")
        )
    if answer.granted:
        faults += _grant_faults(request, answer, rules)
    return tuple(faults)


def _grant_faults(request: Request, answer: _Answer, rules: Regulation) -> list[Fault]:
    faults = []
    if answer.mode not in {request.mode, "verify"} & set(request.resource.modes):
        zh = "只能按申请的方式或更窄的方式同意"
        faults.append(
            _fault("mode", "mode_wider", zh, "Only the mode asked for, or a narrower one, can be granted")
        )
    for row in answer.granted:
        if answer.mode not in row.item.modes:
            zh, en = f"“{row.item.zh}”只供核验", f"{row.item.en} can only be verified"
            faults.append(_fault("mode", "item_mode", zh, en))
    if answer.match not in ("all", "each"):
        faults.append(_fault("match", "match_unknown", "请选择应答方式", "Choose how results are answered"))
    latest = wanted_or_latest(request, latest_until(answer.valid_from, rules.period.maximum_months))
    if answer.valid_until and answer.valid_until > latest:
        zh, en = f"最晚可填 {latest}", f"The latest day is {latest}"
        faults.append(_fault("valid_until", "period_too_long", zh, en))
    asked_for = set(request.applications.values_list("id", flat=True))
    if not answer.applications:
        zh = "请至少选一个可以使用的应用"
        faults.append(_fault("applications", "field_required", zh, "Choose at least one application"))
    if not set(answer.applications) <= asked_for:
        zh = "只能从申请的应用中选择"
        faults.append(
            _fault("applications", "application_unknown", zh, "Choose among the applications of the request")
        )
    return faults


def _issue(viewer: Viewer, request: Request, answer: _Answer, case_required: bool) -> Grant:
    if answer.valid_until is None or request.number is None:
        raise RuntimeError("the rules let an answer through without its period")
    return issue_grant(
        GrantInput(
            request_number=request.number,
            round=request.round,
            resource=request.resource_id,
            consumer=request.requester_id,
            provider=request.provider_id,
            mode=cast(Literal["verify", "query"], answer.mode),
            match=cast(Literal["all", "each"], answer.match),
            fields=tuple(row.item.field for row in answer.granted),
            applications=answer.applications,
            purpose=answer.purpose,
            case_required=case_required,
            valid_from=answer.valid_from,
            valid_until=answer.valid_until,
            regulation=request.regulation,
            conditions=tuple(request.accepted_conditions),
        ),
        viewer,
    )


def _store(viewer: Viewer, request: Request, answer: _Answer, accepted: Accepted, note: str) -> None:
    now = clock.now()
    for row in answer.granted:
        RequestItem.objects.filter(pk=row.pk).update(granted=True, refusal_reason="")
    for row, reason in answer.refused:
        RequestItem.objects.filter(pk=row.pk).update(granted=False, refusal_reason=reason)
    provide = due("provide", clock.legal_day(now), named(request.regulation)) if answer.granted else None
    Request.objects.filter(pk=request.pk).update(
        state=accepted.to_state,
        changed_at=now,
        decided_at=now,
        decided_by_id=viewer.account_id,
        granted_mode=answer.mode if answer.granted else "",
        answer_note=note.strip()[:MAX_NOTE_CHARS],
        provide_due_on=provide.due_on if provide else None,
    )


def _tell(viewer: Viewer, request: Request, answer: _Answer, accepted: Accepted, grant: Grant | None) -> None:
    entry = record(
        "request_decided",
        request,
        f"account:{viewer.username}",
        accepted.to_state,
        {
            "granted": [row.item.field for row in answer.granted],
            "refused": {row.item.field: reason for row, reason in answer.refused},
            "mode": answer.mode if answer.granted else None,
            "articles": [accepted.article],
        },
        grant_id=grant.number if grant else None,
    )
    add_event(request, "answered", viewer, entry=entry, articles=[accepted.article], state=accepted.to_state)
    notify(
        request.requester_id,
        "request_answered",
        f"{request.number}",
        account=Account.objects.filter(pk=request.created_by_id).first(),
        params={"state": accepted.to_state, "grant": grant.number if grant else "", "round": request.round},
    )


def _fault(name: str, code: str, zh: str, en: str) -> Fault:
    return Fault(name, code, Text(zh, en))
