"""Taking one step of a dispute: facts, decision, and everything that follows, in the caller's transaction."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.clocks.actions import follow
from shuqiao.control.clocks.queries import clock_facts
from shuqiao.control.clocks.terms import CaseRef
from shuqiao.control.disputes.access import sides_of
from shuqiao.control.disputes.hooks import owner_of
from shuqiao.control.disputes.inputs import StepInput, too_long
from shuqiao.control.disputes.models import (
    AgendaItem,
    Dispute,
    DisputeEvent,
    JointReviewSession,
    ProjectBar,
)
from shuqiao.control.disputes.records import record_of
from shuqiao.control.disputes.steps import (
    APPLY,
    action_label,
    joined,
    procedure_of,
    register_steps,
    rules_of,
    state_label,
    steps_from,
)
from shuqiao.control.documents.actions import CaseKey, FileInput, store_document
from shuqiao.control.documents.models import Document
from shuqiao.control.organisations.bodies import COMPETENT, bodies_with
from shuqiao.control.regulations.wording import refusal_words
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import Accepted, Facts, Refusal, decide
from shuqiao.rules.regulation import SIDES, SYSTEM, Phase, Regulation, Transition

KIND = "dispute"


@dataclass(frozen=True)
class Step:
    """One step about to be taken: what is done, by whom (None is the platform), and what it brings."""

    action: str
    viewer: Viewer | None
    given: StepInput
    session: JointReviewSession | None = None
    # A written document of the step that takes the place of the plain record.
    written: FileInput | None = None


def advance(dispute: Dispute, step: Step, *, tell_owner: bool = True) -> Accepted:
    """Take a step of a locked dispute; raises `FormRefused` or the refusal's error, with nothing written.

    Without `tell_owner` the owner of the case is not told of the outcome: it is the one who acts.
    """
    step = _only_what_it_takes(dispute, replace(step, given=step.given.stripped()))
    accepted = decide_step(dispute, step)
    _write(dispute, step, accepted)
    if tell_owner:
        _settle(dispute, step, accepted)
    return accepted


def decide_step(dispute: Dispute, step: Step) -> Accepted:
    """Let the dispute's regulation decide; every missing field is told at once."""
    faults = _faults(dispute, step)
    told = {fault.field for fault in faults}
    facts, rules = facts_of(dispute, step), rules_of(dispute)
    capabilities = step.viewer.capabilities if step.viewer else frozenset()
    for _ in range(len(facts.given) + 1):
        decision = decide(
            procedure_of(rules),
            dispute.state,
            step.action,
            facts,
            capabilities=capabilities,
            regulation=rules,
            today=clock.today(),
        )
        if isinstance(decision, Accepted):
            break
        if decision.field not in facts.given:
            raise decision.error()
        if decision.field not in told:
            faults.append(fault_of(decision))
        # As if it were filled, to learn what else is missing.
        facts = replace(facts, given={**facts.given, decision.field: True})
    if isinstance(decision, Refusal):
        raise decision.error()
    faults += _outcome_faults(dispute, step, decision)
    if faults:
        raise FormRefused(tuple(faults))
    return decision


def fault_of(refusal: Refusal) -> Fault:
    """Word a refusal of the rules as a fault of a form's field."""
    return Fault(refusal.field, refusal.code, refusal_words(refusal))


def possible_steps(viewer: Viewer, dispute: Dispute) -> tuple[Transition, ...]:
    """Return the steps a viewer may take now, in the order of the file."""
    sides = sides_of(viewer, dispute)
    return tuple(
        step
        for step in procedure_of(rules_of(dispute)).transitions
        if dispute.state in step.from_states
        and (not step.when or step.when in conditions_of(dispute))
        and step.capability in viewer.capabilities
        and step.by & (sides - {SYSTEM})
    )


def conditions_of(dispute: Dispute) -> frozenset[str]:
    """Return the `when` words that hold: a dispute about a datum has a step of its own (DIS-08)."""
    return frozenset({f"{dispute.kind}_dispute"})


def session_of(dispute: Dispute) -> JointReviewSession | None:
    """Return the convened session that deals with a dispute, the latest where there were several."""
    items = AgendaItem.objects.filter(dispute=dispute, session__convened_at__isnull=False)
    item = items.select_related("session").order_by("-session__convened_at", "-pk").first()
    return item.session if item else None


def is_provided(dispute: Dispute) -> bool | None:
    """Ask the owner of the case whether the information has been given; None where nobody can say."""
    owner = owner_of(dispute.case_kind)
    return owner.is_provided(dispute.case_number) if owner else None


def _only_what_it_takes(dispute: Dispute, step: Step) -> Step:
    """Drop what the step does not ask for: nobody slips a ruling into the minutes. A file may always come."""
    taken = procedure_of(rules_of(dispute)).transition(step.action, dispute.state, conditions_of(dispute))
    asked = set(taken.requires) if taken else set()
    given = step.given
    kept = replace(
        given,
        minutes=given.minutes if "minutes" in asked else "",
        result=given.result if "result" in asked else "",
        opinion=given.opinion if "opinion" in asked else "",
        reason=given.reason if "reason" in asked else "",
        decided_on=given.decided_on if "decided_on" in asked else None,
        shared=given.shared if asked & {"result", "opinion"} else None,
    )
    in_session = bool(asked & {"session", "opinion", "opinions"})
    return replace(step, given=kept, session=(step.session or session_of(dispute)) if in_session else None)


def facts_of(dispute: Dispute, step: Step) -> Facts:
    """Read what the rules need to know of the dispute and of what the step brings."""
    given, session = step.given, step.session or session_of(dispute)
    known = is_provided(dispute)
    convened = {one.code for one in session.members.all()} if session else set()
    heard = DisputeEvent.objects.filter(dispute=dispute, session=session).exclude(opinion="")
    return Facts(
        case=dispute.number,
        sides=sides_of(step.viewer, dispute) if step.viewer else frozenset({SYSTEM}),
        given={
            "minutes": given.minutes,
            "result": given.result,
            "opinion": given.opinion,
            "reason": given.reason,
            "session": session is not None,
            "document": given.document is not None,
            "decided_on": given.decided_on is not None,
            "provided": given.provided if known is None else known,
        },
        conditions=conditions_of(dispute),
        clocks=clock_facts(CaseRef(KIND, dispute.number, dispute.respondent_id, dispute.applicant_id)),
        opinions=frozenset(str(code) for code in heard.values_list("department_id", flat=True)),
        expected_opinions=frozenset(convened),
    )


def _faults(dispute: Dispute, step: Step) -> list[Fault]:
    """What is wrong with the input itself, before the rules are asked."""
    faults = too_long(step.given)
    decided_on = step.given.decided_on
    if decided_on is not None and not _entered_on(dispute) <= decided_on <= clock.today():
        words = Text(
            "决定日期不得早于提请裁定之日，也不得晚于今天",
            "A ruling is dated neither before it was applied for nor after today",
        )
        faults.append(Fault("decided_on", "date_impossible", words))
    if step.given.opinion and step.session and step.viewer:
        faults += _opinion_faults(dispute, step.session, step.viewer.department.code)
    return faults


def _opinion_faults(dispute: Dispute, session: JointReviewSession, department: str) -> list[Fault]:
    if not session.members.filter(code=department).exists():
        words = Text("本单位不是本次会审的成员", "Your body is not a member of this session")
        return [Fault("opinion", "not_a_member", words)]
    given = DisputeEvent.objects.filter(dispute=dispute, session=session, department_id=department)
    if given.exclude(opinion="").exists():
        words = Text("本单位已就本案发表意见", "Your body has given its opinion on this dispute already")
        return [Fault("opinion", "opinion_given", words)]
    return []


def _entered_on(dispute: Dispute) -> date:
    """The day on which the dispute came to its state; what leaves it there does not count."""
    came = DisputeEvent.objects.filter(dispute=dispute, to_state=dispute.state)
    event = came.exclude(from_state=dispute.state).latest("sequence")
    return clock.legal_day(event.occurred_at)


def _outcome_faults(dispute: Dispute, step: Step, accepted: Accepted) -> list[Fault]:
    """An agreement about a case says whether the information will be shared."""
    taken = procedure_of(rules_of(dispute)).transition(step.action, dispute.state, conditions_of(dispute))
    agreed = accepted.ends and accepted.phase is Phase.CLOSED and taken and "result" in taken.requires
    if agreed and dispute.case_number and step.given.shared is None:
        words = Text("请选择协商结论：同意共享或不共享", "Choose what was agreed: to share or not to share")
        return [Fault("shared", "field_required", words)]
    return []


def _outcome(step: Step, accepted: Accepted) -> bool | None:
    if accepted.phase in (Phase.GRANTED, Phase.REFUSED):
        return accepted.phase is Phase.GRANTED
    return step.given.shared if accepted.ends or step.given.opinion else None


def _write(dispute: Dispute, step: Step, accepted: Accepted) -> None:
    """Write documents, audit entry, event, state, clocks, bars and notices of an accepted step."""
    rules = rules_of(dispute)
    event = write_event(dispute, step, accepted)
    move = {
        "state": accepted.to_state,
        "phase": accepted.phase.value,
        "final": accepted.ends,
        "step": event.sequence,
        "changed_at": event.occurred_at,
        "closed_at": event.occurred_at if accepted.ends else None,
    }
    if accepted.ends or accepted.phase in (Phase.GRANTED, Phase.REFUSED):
        # Execution ends a dispute without deciding anew what was decided.
        decided = _outcome(step, accepted)
        move["shared"] = dispute.shared if decided is None else decided
    Dispute.objects.filter(pk=dispute.pk).update(**move)
    for name, value in move.items():
        setattr(dispute, name, value)
    case = CaseRef(KIND, dispute.number, dispute.respondent_id, dispute.applicant_id)
    follow(case, accepted, rules, step.given.decided_on or clock.legal_day(event.occurred_at))
    if accepted.bars:
        _bar(dispute, accepted, rules, event.entry_id)
    tell(dispute, event.sequence, step.action, moved=event.from_state != event.to_state)


def stay(dispute: Dispute, step: Step, article: str) -> DisputeEvent:
    """Record what leaves a locked dispute where it stands: part of the case, no step of the rules."""
    event = write_event(dispute, step, Accepted(dispute.state, Phase(dispute.phase), article))
    Dispute.objects.filter(pk=dispute.pk).update(step=event.sequence, changed_at=event.occurred_at)
    dispute.step = event.sequence
    tell(dispute, event.sequence, step.action, moved=False)
    return event


def write_event(dispute: Dispute, step: Step, accepted: Accepted) -> DisputeEvent:
    """Write the documents, the audit entry and the event of a step."""
    given, rules, now = step.given, rules_of(dispute), clock.now()
    register_steps(rules)
    case = CaseKey(KIND, dispute.number)
    attachment = store_document(case, given.document, step.viewer) if given.document else None
    record = store_document(
        case, step.written or record_of(dispute, step.action, step.viewer, given), None, field="record"
    )
    taken = procedure_of(rules).transition(step.action, dispute.state, conditions_of(dispute))
    entry = _record(dispute, step, accepted, record, attachment)
    return DisputeEvent.objects.create(
        dispute=dispute,
        sequence=dispute.step + 1,
        previous=dispute.step,
        regulation=rules.id,
        action=step.action,
        from_state=dispute.state,
        to_state=accepted.to_state,
        phase=accepted.phase.value,
        final=accepted.ends,
        requires=joined(taken.requires if taken else ("reason",)),
        publishes=accepted.publishes,
        account_id=step.viewer.account_id if step.viewer else None,
        department_id=step.viewer.department.code if step.viewer else None,
        occurred_at=now,
        article=accepted.article,
        record=record,
        attachment=attachment,
        entry_id=entry,
        minutes=given.minutes,
        result=given.result,
        opinion=given.opinion,
        reason=given.reason,
        shared=_outcome(step, accepted),
        decided_on=given.decided_on,
        session=step.session,
    )


def _record(
    dispute: Dispute, step: Step, accepted: Accepted, record: Document, attachment: Document | None
) -> uuid.UUID:
    """Append the audit entry of a step: digests of what was written, not the words."""
    facts: dict[str, object] = {
        "regulation": dispute.regulation,
        "action": step.action,
        "from": dispute.state,
        "to": accepted.to_state,
        "articles": [accepted.article],
        "record_sha256": record.sha256,
    }
    if attachment is not None:
        facts["document_sha256"] = attachment.sha256
    if step.session is not None:
        facts["session"] = step.session.number
    if step.given.decided_on is not None:
        facts["decided_on"] = step.given.decided_on.isoformat()
    return append_case_entry(_event_name(step, accepted), dispute, step.viewer, facts)


def append_case_entry(
    event: str, dispute: Dispute, viewer: Viewer | None, facts: Mapping[str, object]
) -> uuid.UUID:
    """Append an entry of a dispute's case."""
    return append_entry(
        event,
        actor=f"account:{viewer.username}" if viewer else "system:worker",
        at=clock.now(),
        outcome="accepted",
        department=dispute.applicant_id,
        provider=dispute.respondent_id,
        resource_id=dispute.resource or None,
        case_no=dispute.number,
        facts={"case_of": dispute.case_number, **facts},
    )


def _event_name(step: Step, accepted: Accepted) -> str:
    if accepted.bars:
        return "project_barred"
    if step.given.decided_on is not None:
        return "ruling_recorded"
    if step.action == APPLY:
        return "ruling_applied"
    return "dispute_step"


def _bar(dispute: Dispute, accepted: Accepted, rules: Regulation, entry: uuid.UUID) -> None:
    """Bar the respondent for the calendar years that follow. Source: guangzhou-2016 art. 35(3)."""
    sanction = next(one for one in rules.sanctions if one.key == accepted.bars)
    this_year = clock.today().year
    for year in range(this_year + 1, this_year + 1 + (sanction.years or 1)):
        ProjectBar.objects.create(
            department_id=dispute.respondent_id,
            year=year,
            sanction=sanction.key,
            dispute=dispute,
            article=rules.cite(sanction.article),
            set_at=clock.now(),
            entry_id=entry,
        )


def _settle(dispute: Dispute, step: Step, accepted: Accepted) -> None:
    """Tell the owner of the case what has come of it, in this transaction.

    A decision is told when it falls; a dispute that was taken back leaves the refusal as it stood.
    """
    owner = owner_of(dispute.case_kind)
    if owner is None:
        return
    if accepted.phase in (Phase.GRANTED, Phase.REFUSED):
        owner.settle(dispute.case_number, accepted.phase is Phase.GRANTED, dispute.number)
    elif accepted.ends and dispute.shared is None:
        owner.settle(dispute.case_number, False, dispute.number)
    elif accepted.ends and step.given.shared is not None:
        owner.settle(dispute.case_number, step.given.shared, dispute.number)


def _next_to_act(rules: Regulation, state: str) -> list[tuple[str, str]]:
    """The bodies whose turn it may be now, with what is needed to act."""
    return [
        (department, step.capability)
        for step in steps_from(rules, state)
        for role in sorted(step.by - SIDES)
        for department in bodies_with(role)
    ]


def tell(dispute: Dispute, sequence: int, action: str, *, moved: bool = True) -> None:
    """Tell both parties, the co-ordinator, and, where the state is new, whoever acts next."""
    rules = rules_of(dispute)
    did, state = action_label(rules, action), state_label(rules, dispute.state)
    params = {
        "did_zh": did.zh,
        "did_en": did.en,
        "state_zh": state.zh,
        "state_en": state.en,
    }
    told: list[tuple[str, str]] = [
        (dispute.applicant_id, Capability.DISPUTE_OPEN),
        (dispute.respondent_id, Capability.DISPUTE_OPEN),
        *[(code, Capability.DISPUTE_COORDINATE) for code in bodies_with(COMPETENT)],
    ]
    if moved:
        told += _next_to_act(rules, dispute.state)
    for department, capability in dict.fromkeys(told):
        notify(
            department,
            "dispute_moved",
            dispute.number,
            capability=capability,
            occasion=f"step {sequence}",
            params=params,
        )
