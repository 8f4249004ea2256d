"""Answering a request: which items, in which mode, for how long, for which applications, and why not.

Where a regulation wants the leader in charge to approve, the answer is kept as a proposal until another
person of the provider confirms it.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.catalogue.offering import is_held, offer_of
from shuqiao.control.catalogue.period import period_fault
from shuqiao.control.files.granting import Asked, choice_faults, file_faults, files_granted
from shuqiao.control.grants.models import Grant
from shuqiao.control.grants.terms import fault_of_term
from shuqiao.control.interfaces.granting import OperationsAsked, offered_modes, operation_faults
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import due
from shuqiao.control.requests.access import access_request_locked, sides_of
from shuqiao.control.requests.granting import PROVIDED, Granted, issue, open_access, tell_requester
from shuqiao.control.requests.inputs import MAX_PURPOSE_CHARS, AnswerInput
from shuqiao.control.requests.models import KIND, Outcome, Proposal, Request, RequestItem
from shuqiao.control.requests.steps import (
    Step,
    accept,
    answers,
    decision,
    facts_of,
    fault_of,
    pending_proposal,
    take,
)
from shuqiao.control.requests.terms import asked_terms, possible_channels, rows_from, together
from shuqiao.control.texts import Text
from shuqiao.rules.channels import CHANNELS
from shuqiao.rules.procedures import Accepted, Facts, Refusal, latest_until
from shuqiao.rules.regulation import Phase, Procedure, Regulation
from shuqiao.rules.terms import Terms, term_faults
from shuqiao.wire.grant import decode_grant

MAX_REFUSAL_CHARS = 500
APPROVE, APPROVE_PART, REFUSE = "approve", "approve_part", "refuse"
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
    case_required: bool
    note: str
    terms: Terms
    pseudonyms: bool
    signed_calls: bool
    operations: tuple[str, ...] | None
    files: tuple[str, ...] | None

    def action(self, procedure: Procedure, state: str) -> str:
        """The word of the procedure for this answer, from this state; what no step fits is refused by it."""
        phase = Phase.GRANTED if self.granted else Phase.REFUSED
        wanted: tuple[str, ...] = (REFUSE,)
        if self.granted:
            wanted = (APPROVE_PART, APPROVE) if self.refused else (APPROVE,)
        known = [
            step.action
            for step in procedure.transitions
            if state in step.from_states and answers(step, procedure) is phase
        ]
        return next((one for one in (*wanted, *known) if one in known), wanted[-1])

    def facts(self) -> dict[str, object]:
        """What the audit entry says of it."""
        return {
            "granted": [row.item.field for row in self.granted],
            "refused": {row.item.field: reason for row, reason in self.refused},
            "mode": self.mode if self.granted else None,
            "unmasked": sorted(self.terms.unmasked) if self.granted else [],
            "operations": list(self.operations or ()) if self.granted else [],
            "files": list(files_granted(self.mode, self.files)) if self.granted else [],
        }


@transaction.atomic
def answer_request(viewer: Viewer, number: str, given: AnswerInput) -> str | None:
    """Answer every open item of a request at once; return the number of the grant.

    None for a refusal, and where the answer is only proposed. The grant holds exactly what is approved.
    Raises `NotFound` for whoever may not see the request, the error of the rules for whoever may not answer
    it or comes second, and `FormRefused` with every fault.
    Source: guangzhou-2016 art. 35(1); shenyang-2016 art. 20¶2; REQ-09, REQ-11, REQ-13.
    """
    request = access_request_locked(viewer, number)
    rules = named(request.regulation)
    answer = _read(given, request, not_before=None)
    action = answer.action(rules.procedure(KIND), request.state)
    accepted = _decide(viewer, request, answer, action)
    faults = _faults(given, request, answer, rules)
    if faults:
        raise FormRefused(faults)
    if accepted.proposes:
        _propose(viewer, request, Step(action, accepted, viewer, clock.today(), facts=answer.facts()), given)
        return None
    return _give(viewer, request, answer, Step(action, accepted, viewer, clock.today()))


@transaction.atomic
def confirm_answer(viewer: Viewer, request: Request, action: str, remark: str = "") -> str | None:
    """Let a proposed answer go out as it was proposed; the caller has locked the request (REQ-10).

    Access begins at the earliest today. Raises `second_person_required` for whoever proposed it.
    Source: shenyang-2016 art. 20¶2.
    """
    facts = facts_of(request, sides_of(viewer, request), {}, viewer.username)
    accepted = accept(request, action, facts, viewer)
    proposal = pending_proposal(request)
    if proposal is None:
        raise NotFound
    given = msgspec.convert(proposal.answer, AnswerInput)
    answer = _read(given, request, not_before=clock.today())
    faults = _faults(given, request, answer, named(request.regulation))
    if faults:
        raise FormRefused(faults)
    proposal.outcome, proposal.closed_by_id, proposal.closed_at = (
        Outcome.CONFIRMED,
        viewer.account_id,
        clock.now(),
    )
    proposal.save()
    params = {"proposed_by": proposal.proposed_by.display_name, "remark": remark[:MAX_NOTE_CHARS]}
    return _give(viewer, request, answer, Step(action, accepted, viewer, clock.today(), params=params))


def _propose(viewer: Viewer, request: Request, step: Step, given: AnswerInput) -> None:
    """Keep the answer, and tell those of the provider who may confirm it."""
    take(request, step)
    stored: dict[str, Any] = msgspec.to_builtins(given)
    Proposal.objects.create(
        request=request,
        round=request.round,
        action=step.action,
        to_state=step.accepted.proposes,
        answer=stored,
        proposed_by_id=viewer.account_id,
        proposed_at=clock.now(),
    )
    notify(
        request.provider_id,
        "answer_proposed",
        request.number or "",
        capability=Capability.ANSWER_CONFIRM,
        occasion=clock.now().isoformat(),
        params={"by": viewer.display_name},
    )


def _give(viewer: Viewer, request: Request, answer: _Answer, step: Step) -> str | None:
    """Write the answer: items, grant, step, and what the requester is told."""
    for row in answer.granted:
        RequestItem.objects.filter(pk=row.pk).update(granted=True, refusal_reason="")
    for row, reason in answer.refused:
        RequestItem.objects.filter(pk=row.pk).update(granted=False, refusal_reason=reason)
    grant = issue(request, _granted(answer), viewer) if answer.granted else None
    fields = {
        "decided_at": clock.now(),
        "decided_by_id": viewer.account_id,
        "granted_mode": answer.mode if answer.granted else "",
        "answer_note": answer.note,
    }
    number = grant.number if grant else None
    take(
        request,
        Step(
            step.action,
            step.accepted,
            viewer,
            step.on,
            facts=answer.facts(),
            params={**step.params, "state": step.accepted.to_state, **_opened(grant)},
            fields=fields,
            grant=number,
        ),
    )
    if grant is not None:
        open_access(request, grant)
    tell_requester(request, number or "")
    return number


def _opened(grant: Grant | None) -> dict[str, Any]:
    """What the history keeps of a grant for an interface: its operations."""
    operations = decode_grant(grant.document).operations if grant is not None else ()
    return {"operations": list(operations)} if operations else {}


def _granted(answer: _Answer) -> Granted:
    if answer.valid_until is None:
        raise RuntimeError("the rules let an answer through without its period")
    return Granted(
        fields=tuple(row.item.field for row in answer.granted),
        mode=answer.mode,
        match=answer.match,
        purpose=answer.purpose,
        applications=answer.applications,
        case_required=answer.case_required,
        valid_from=answer.valid_from,
        valid_until=answer.valid_until,
        channels=answer.terms.channels,
        rows=answer.terms.rows,
        unmasked=tuple(sorted(answer.terms.unmasked)),
        pseudonyms=answer.pseudonyms,
        signed_calls=answer.signed_calls,
        operations=answer.operations,
        files=answer.files,
    )


def _read(given: AnswerInput, request: Request, *, not_before: date | None) -> _Answer:
    """Take every open item as refused unless the form says yes to it."""
    items = list(request.items.select_related("item").exclude(granted=True))
    common = given.refusal_reason.strip()
    granted = tuple(row for row in items if given.decisions.get(row.item.field) is True)
    refused = tuple(
        (row, (given.refusal_reasons.get(row.item.field, "").strip() or common)[:MAX_REFUSAL_CHARS])
        for row in items
        if row not in granted
    )
    asked_for = tuple(request.applications.order_by("id").values_list("id", flat=True))
    begins = given.valid_from or clock.today()
    return _Answer(
        granted=granted,
        refused=refused,
        mode=given.mode,
        match=given.match,
        purpose=given.purpose.strip()[:MAX_PURPOSE_CHARS] or request.purpose,
        valid_from=max(begins, not_before) if not_before else begins,
        valid_until=given.valid_until,
        applications=asked_for if given.applications is None else given.applications,
        case_required=given.case_required,
        note=given.note.strip()[:MAX_NOTE_CHARS],
        terms=terms_of(given, request),
        pseudonyms=given.pseudonyms and given.mode != "verify",
        # Only keyed calls are signed one by one; a copy is asked for under the application's own key anyway.
        signed_calls=given.signed_calls and given.mode != "bulk",
        operations=given.operations if given.mode == "query" else None,
        files=given.files if given.mode == "bulk" else None,
    )


def terms_of(given: AnswerInput, request: Request) -> Terms:
    """The terms of an answer: what the request proposes always holds, a verification unmasks nothing."""
    channels = possible_channels(request, given.mode) if given.channels is None else given.channels
    return Terms(
        mode=given.mode,
        channels=tuple(one for one in CHANNELS if one in channels),
        rows=together(rows_from(request.rows), given.rows),
        unmasked=given.unmasked if given.mode != "verify" else frozenset(),
    )


def _decide(viewer: Viewer, request: Request, answer: _Answer, action: str) -> Accepted:
    """Let the rules decide; what is wrong with a field is a fault of the form, the rest an error."""
    reasons = [reason for _, reason in answer.refused]
    facts = Facts(
        case=request.number or "",
        sides=sides_of(viewer, request),
        given={"items": answer.granted, "reason": " ".join(reasons) if all(reasons) else ""},
        valid_from=answer.valid_from,
        valid_until=answer.valid_until,
        actor=viewer.username,
    )
    decided = decision(request, action, facts, viewer.capabilities)
    if isinstance(decided, Refusal):
        if not decided.field:
            raise decided.error()
        names = {"wanted_until": "valid_until", "reason": "refusal_reason"}
        fault = fault_of(decided)
        raise FormRefused((Fault(names.get(fault.field, fault.field), fault.code, fault.message),))
    return decided


def _faults(given: AnswerInput, request: Request, answer: _Answer, rules: Regulation) -> tuple[Fault, ...]:
    """Check what the rules leave to the case: nothing wider than what was asked for."""
    faults = []
    unknown = set(given.decisions) - {row.item.field for row in request.items.select_related("item")}
    if unknown:
        faults.append(
            _fault("decisions", "item_unknown", "所选信息项不在申请中", "An item was not asked for")
        )
    if not all(reason for _, reason in answer.refused):
        zh, en = "不同意的信息项须写明理由", "Every item that is refused needs its reason"
        faults.append(_fault("refusal_reason", "reason_required", zh, en))
    if answer.granted:
        faults += _grant_faults(request, answer, rules) + _late_faults(request, answer, rules)
        faults += _term_faults(given, request, answer, rules)
    return tuple(faults)


def _grant_faults(request: Request, answer: _Answer, rules: Regulation) -> list[Fault]:
    faults = []
    if answer.mode not in {request.mode, "verify"} & set(offered_modes(request.resource)):
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
    faults += period_fault("valid_until", answer.valid_until, request.resource)
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


def _term_faults(given: AnswerInput, request: Request, answer: _Answer, rules: Regulation) -> list[Fault]:
    """Neither wider than the entry offers nor than was asked for."""
    offer = offer_of(request.resource, rules)
    fields = [row.item.field for row in answer.granted]
    found = [
        fault_of_term(one, _at_form(one.field, given, answer.terms))
        for one in term_faults(answer.terms, offer, fields)
    ]
    asked = Asked(
        answer.mode,
        fields,
        answer.terms.unmasked,
        answer.terms.channels,
        has_rows=bool(answer.terms.rows),
        pseudonyms=answer.pseudonyms,
    )
    found += file_faults(request.resource, asked, rules)
    found += choice_faults(request.resource_id, answer.mode, answer.files)
    found += _held_faults(request, answer)
    found += operation_faults(
        request.resource_id,
        OperationsAsked(
            answer.mode,
            fields,
            answer.terms.unmasked,
            has_rows=bool(answer.terms.rows),
            pseudonyms=answer.pseudonyms,
            chosen=answer.operations,
        ),
    )
    if not set(answer.terms.channels) <= set(possible_channels(request, answer.mode)):
        zh = "只能从申请的途径中选择"
        found.append(_fault("channels", "channel_wider", zh, "Choose among the channels asked for"))
    if not answer.terms.unmasked <= asked_terms(request).unmasked:
        zh = "只有申请了不脱敏的项可以给原值"
        en = "Only items asked for in the clear can be given in the clear"
        found.append(_fault("unmasked", "unmasked_wider", zh, en))
    return found


def _held_faults(request: Request, answer: _Answer) -> list[Fault]:
    """What a department's node can't honour: pseudonyms are made with a key of the platform's vault."""
    if not answer.pseudonyms or not is_held(request.resource):
        return []
    zh = "数据留存在责任部门，其前置机不能以假名标识代替号码"
    en = "The data stay with the department, whose node gives no pseudonyms"
    return [_fault("pseudonyms", "kept_at_node", zh, en)]


def _at_form(name: str, given: AnswerInput, terms: Terms) -> str:
    """The place of a fault in the form, which lists only the conditions that the answer adds."""
    _, _, place = name.partition("rows.")
    row = terms.rows[int(place)] if place else None
    return f"rows.{given.rows.index(row)}" if row in given.rows else name


def wanted_or_latest(request: Request, latest: date) -> date:
    """The last day a grant of this request may have: never past what was asked for."""
    return min(request.wanted_until or latest, latest)


def _late_faults(request: Request, answer: _Answer, rules: Regulation) -> list[Fault]:
    """Access begins within the term of provision; what continues an older grant begins with its end."""
    if request.renews_id is not None:
        return []
    terms = [due(one.key, clock.today(), rules) for one in rules.deadlines if one.met_by == PROVIDED]
    late = [term for term in terms if answer.valid_from > term.due_on]
    if not late:
        return []
    zh = f"最迟 {late[0].due_on} 起提供（依据：{late[0].article}）"
    en = f"To be provided from {late[0].due_on} at the latest (rule: {late[0].article})"
    return [_fault("valid_from", "provision_late", zh, en)]


def _fault(name: str, code: str, zh: str, en: str) -> Fault:
    return Fault(name, code, Text(zh, en))
