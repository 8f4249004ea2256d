"""The case page: one request with its timeline, its history, and what this viewer may do with it."""

import msgspec

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue import labels as catalogue_labels
from shuqiao.control.catalogue.offering import is_held, masked
from shuqiao.control.clocks.queries import clocks_of, next_clock
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.files.granting import file_options
from shuqiao.control.grants.terms import GrantView
from shuqiao.control.interfaces.granting import (
    offered_modes,
    operation_options,
    operation_words,
    operations_granted,
)
from shuqiao.control.organisations.queries import application_ref, department_ref
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.requests.access import access_request, sides_of
from shuqiao.control.requests.actions import DISPUTE, SUBMIT, WITHDRAW
from shuqiao.control.requests.answering import terms_of, wanted_or_latest
from shuqiao.control.requests.forms import (
    asked_view,
    channel_options,
    conditions,
    duty_option,
    forecast,
    row_editor,
)
from shuqiao.control.requests.inputs import AnswerInput
from shuqiao.control.requests.labels import state_label, step_label
from shuqiao.control.requests.lists import grants_of
from shuqiao.control.requests.models import DECIDED_PHASES, KIND, Proposal, Request, RequestEvent
from shuqiao.control.requests.queries import (
    ActionOffer,
    CaseItem,
    GivenField,
    HistoryRow,
    ProposedAnswer,
    RequestCase,
)
from shuqiao.control.requests.steps import answers, begins_on
from shuqiao.control.requests.terms import Kept, asked_terms, kept_of, possible_channels
from shuqiao.control.requests.timeline import course_of, event_words
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import latest_until, possible_actions
from shuqiao.rules.regulation import PROPOSED, Phase, Regulation, Transition
from shuqiao.rules.rows import Row
from shuqiao.rules.terms import Terms

SAVE = "save"
_OWN_FORM = {SUBMIT, SAVE, WITHDRAW, DISPUTE}
_FIELDS = {
    "reason": (Text("理由", "Reason"), "text"),
    "result": (Text("结果", "Result"), "text"),
    "received_on": (Text("收到书面申请的日期", "Day the written application was received"), "date"),
    "consent": (Text("对方已同意", "The other side agrees"), "yes"),
}


def request_case(viewer: Viewer, number: str) -> RequestCase:
    """Return everything the case page shows; raises `NotFound` for what this viewer may not see.

    One call with a line for each field of the page: to split it would hide what the page shows.
    """
    request = access_request(viewer, number)
    rules = named(request.regulation)
    events = list(request.events.select_related("account", "department").order_by("occurred_at", "pk"))
    possible = possible_actions(
        named(request.regulation).procedure(KIND),
        request.state,
        viewer.capabilities,
        sides_of(viewer, request),
    )
    actions = {step.action for step in possible}
    clocks = tuple(one for one in clocks_of(KIND, [number]).get(number, ()) if one.state != "void")
    accepted = set(request.accepted_conditions)
    submitted_on = clock.legal_day(request.submitted_at) if request.submitted_at else None
    begins = begins_on(request)
    latest = latest_until(begins, rules.period.maximum_months)
    procedure = rules.procedure(KIND)
    answering = [step for step in possible if answers(step, procedure)]
    can_answer = bool(answering)
    asked, kept = asked_terms(request), kept_of(request)
    return RequestCase(
        key=request.pk,
        number=number,
        state=request.state,
        phase=request.phase,
        state_label=state_label(rules.id, request.state),
        resource=request.resource_id,
        resource_code=request.resource.code,
        resource_name=request.resource.name,
        requester=department_ref(request.requester),
        provider=department_ref(request.provider),
        written_by=request.created_by.display_name,
        first_request=not _earlier_grants(request),
        renews=request.renews_id or "",
        purpose=request.purpose,
        case_wording=request.case_wording,
        mode=request.mode,
        mode_label=catalogue_labels.label(catalogue_labels.MODES, request.mode),
        modes_offered=catalogue_labels.mode_labels(
            [one for one in offered_modes(request.resource) if one in (request.mode, "verify")]
        ),
        regulation=Text(rules.title.zh, rules.title.en),
        regulation_ref=rules.id,
        duty=duty_option(request.duty) if request.duty else None,
        duty_confirmed=any(event.code == "duty_confirmed" for event in events),
        duty_article=article_ref(rules.citations["own_duty"], rules.id),
        items=_items(request, rules),
        applications=tuple(application_ref(one) for one in request.applications.order_by("-portal", "id")),
        accepted_conditions=tuple(one for one in conditions(rules.id) if one.key in accepted),
        wanted_until=request.wanted_until,
        submitted_at=request.submitted_at,
        form_received_on=request.form_received_on,
        clocks=clocks,
        running=next_clock(clocks) or (clocks[-1] if clocks else None),
        provide_forecast=forecast(request.form_received_on or submitted_on, rules.id)
        if submitted_on
        else None,
        steps=course_of(request, rules, events, clocks),
        history=tuple(_history(event, rules.id, request.resource_id) for event in events),
        grants=tuple(grants_of([number]).get(number, ())),
        disputes=_disputes(number),
        must_share=request.must_share,
        answer_note=request.answer_note,
        begins_on=begins,
        max_valid_until=wanted_or_latest(request, latest),
        terms=asked_view(asked, request.resource, rules, _fields(request)),
        terms_article=article_ref(rules.citations["marked_items"], rules.id),
        channels=channel_options(
            {*possible_channels(request, request.mode), *possible_channels(request, "verify")},
            request.channels,
        ),
        editor=row_editor(_added_before(kept, asked), request.resource),
        operations=operation_options(request.resource_id) if request.mode == "query" else (),
        opened=_opened(request, kept),
        files=file_options(request.resource_id, request.mode),
        kept=kept,
        proposals=_proposals(viewer, request, rules),
        offers=_offers([step for step in possible if step not in answering], rules),
        can_answer=can_answer,
        proposes=any(step.proposes for step in answering),
        can_refuse=any(answers(step, procedure) is Phase.REFUSED for step in answering),
        prints_form=_wants_paper(request, rules),
        answer_refusal=None if can_answer else _why_no_answer(request, rules),
        can_withdraw=WITHDRAW in actions,
        can_dispute=DISPUTE in actions,
    )


def _opened(request: Request, kept: Kept | None) -> tuple[str, ...]:
    """The operations that the items asked for open; of a renewal, those that were given before."""
    clear = kept.unmasked if kept else ()
    chosen = kept.operations if kept else None
    return operations_granted(request.resource_id, request.mode, _fields(request), clear, chosen)


def _fields(request: Request) -> list[str]:
    return list(request.items.values_list("item__field", flat=True))


def _added_before(kept: Kept | None, asked: Terms) -> tuple[Row, ...]:
    """The conditions of a grant to be continued that the request does not propose itself."""
    return tuple(row for row in kept.rows if row not in asked.rows) if kept else ()


def _disputes(number: str) -> tuple[str, ...]:
    found = Dispute.objects.filter(case_kind=KIND, case_number=number).order_by("opened_at")
    return tuple(found.values_list("number", flat=True))


def _offers(possible: list[Transition], rules: Regulation) -> tuple[ActionOffer, ...]:
    """The steps that need no form of their own; what they ask for stands in the file."""
    return tuple(
        ActionOffer(
            step.action,
            Text(step.zh, step.en),
            tuple(
                GivenField(one, f"{step.action}:{one}", *_FIELDS[one])
                for one in step.requires
                if one in _FIELDS
            ),
            article_ref(step.article, rules.id),
        )
        for step in possible
        if step.action not in _OWN_FORM
    )


def _wants_paper(request: Request, rules: Regulation) -> bool:
    """Whether the regulation waits for a written application: then the form is to be printed and sent."""
    steps = rules.procedure(KIND).transitions
    return any("received_on" in step.requires for step in steps) and request.phase != Phase.DRAFT.value


def _proposals(viewer: Viewer, request: Request, rules: Regulation) -> tuple[ProposedAnswer, ...]:
    """Proposed answers, for the provider only: they are its own deliberation until they go out."""
    if viewer.department.code != request.provider_id:
        return ()
    names = {row.item.field: row.item.name for row in request.items.select_related("item")}
    found = request.proposals.select_related("proposed_by").order_by("-proposed_at")
    return tuple(_proposal(request, one, names, rules) for one in found)


def _proposal(request: Request, given: Proposal, names: dict[str, Text], rules: Regulation) -> ProposedAnswer:
    answer = msgspec.convert(given.answer, AnswerInput)
    refused = tuple(
        (names[field], answer.refusal_reasons.get(field) or answer.refusal_reason)
        for field, agreed in answer.decisions.items()
        if not agreed and field in names
    )
    return ProposedAnswer(
        label=step_label(rules.id, given.action, "", ""),
        by=given.proposed_by.display_name,
        at=given.proposed_at,
        grants=_proposed_grant(request, answer, names, rules),
        refused=refused,
        note=answer.note,
        outcome=given.outcome,
        outcome_label=_OUTCOMES[given.outcome],
        reason=given.reason,
    )


def _proposed_grant(
    request: Request, answer: AnswerInput, names: dict[str, Text], rules: Regulation
) -> GrantView | None:
    """The grant that a proposed answer would give, with every term of it."""
    agreed = [field for field, yes in answer.decisions.items() if yes and field in names]
    if not agreed:
        return None
    chosen = request.applications.order_by("-portal", "id")
    if answer.applications is not None:
        chosen = chosen.filter(pk__in=answer.applications)
    return GrantView(
        items=tuple(names[field] for field in agreed),
        terms=asked_view(terms_of(answer, request), request.resource, rules, agreed, answer),
        purpose=answer.purpose.strip() or request.purpose,
        applications=tuple(application_ref(one) for one in chosen),
        valid_from=answer.valid_from,
        valid_until=answer.valid_until,
        article=article_ref(rules.citations["marked_items"], rules.id),
        is_held=is_held(request.resource),
    )


_OUTCOMES = {
    "pending": Text("待审核", "Awaiting confirmation"),
    "confirmed": Text("已审核", "Confirmed"),
    "sent_back": Text("已退回", "Sent back"),
    "dropped": Text("已失效", "Dropped"),
}


def _earlier_grants(request: Request) -> bool:
    return request.resource.grants.filter(
        consumer_id=request.requester_id, issued_at__lt=request.submitted_at or clock.now()
    ).exists()


def _items(request: Request, rules: Regulation) -> tuple[CaseItem, ...]:
    return tuple(
        CaseItem(
            field=row.item.field,
            name=row.item.name,
            sensitivity=row.item.sensitivity,
            reason=row.reason,
            granted=row.granted,
            refusal_reason=row.refusal_reason,
            masked=masked(row.item, rules),
            unmask_reason=row.unmask_reason,
        )
        for row in request.items.select_related("item").order_by("item__number", "item__part")
    )


def _why_no_answer(request: Request, rules: Regulation) -> Text:
    if request.phase in (*DECIDED_PHASES, Phase.CLOSED.value):
        name = state_label(rules.id, request.state)
        return Text(f"此申请已是“{name.zh}”", f"This request is already: {name.en}")
    steps = [step for step in rules.procedure(KIND).transitions if request.state in step.from_states]
    if any(step.to_state == PROPOSED for step in steps):
        return Text("答复意见已提交，待分管领导审核", "An answer is proposed and awaits the leader in charge")
    if any("received_on" in step.requires for step in steps):
        return Text(
            "收到并登记书面申请后方可答复", "It can be answered once the written application is recorded"
        )
    provider = request.provider
    return Text(f"由{provider.name_zh}的审核人员答复", f"Answered by the reviewers of {provider.name_en}")


def _history(event: RequestEvent, regulation: str, resource: str) -> HistoryRow:
    return HistoryRow(
        at=event.occurred_at,
        label=event_words(event, regulation),
        by=event.account.display_name if event.account else "",
        entry=str(event.entry_id) if event.entry_id else None,
        reason=event.params.get("reason", ""),
        operations=operation_words(resource, event.params.get("operations", ())),
    )
