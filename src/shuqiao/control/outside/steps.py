"""Taking one step of a case: facts, decision, and all that follows, in the caller's transaction."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.clocks.actions import follow
from shuqiao.control.clocks.queries import clock_facts
from shuqiao.control.clocks.terms import CaseRef
from shuqiao.control.outside.access import Case, kind_of, sides_of
from shuqiao.control.outside.models import MAX_TEXT_CHARS, CaseEvent, OutsideRequest
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.wording import refusal_words
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import Accepted, Facts, Refusal, decide
from shuqiao.rules.regulation import SYSTEM, Phase

EVENTS = {"outside": "outside_step", "publication": "publication_step"}


@dataclass(frozen=True)
class Step:
    """One step about to be taken: what is done, by whom (None is the platform), and the words it brings.

    `number` is that of a case which is being sent and has none yet.
    """

    action: str
    viewer: Viewer | None
    words: Mapping[str, str]
    number: str = ""


def decide_step(case: Case, step: Step) -> Accepted:
    """Let the case's regulation decide; every missing field is told at once as a fault of the form."""
    rules = named(case.regulation)
    facts = _facts(case, step)
    faults: list[Fault] = []
    for _ in range(20):
        decision = decide(
            rules.procedure(kind_of(case)),
            case.state,
            step.action,
            facts,
            capabilities=step.viewer.capabilities if step.viewer else frozenset(),
            regulation=rules,
            today=clock.today(),
        )
        if isinstance(decision, Accepted):
            break
        if not decision.field or decision.field in {fault.field for fault in faults}:
            raise decision.error()
        faults.append(fault_of(decision))
        # As if it were filled, to learn what else is missing.
        facts = replace(facts, given={**facts.given, decision.field: True})
    if faults or isinstance(decision, Refusal):
        raise FormRefused(tuple(faults))
    return decision


def fault_of(refusal: Refusal) -> Fault:
    """Word a refusal of the rules as a fault of a form's field."""
    return Fault(refusal.field, refusal.code, refusal_words(refusal))


def apply_step(case: Case, step: Step, accepted: Accepted) -> uuid.UUID:
    """Write what a decided step does: state, event, clocks, audit entry and notice; return the entry's id."""
    if not connection.in_atomic_block:
        raise RuntimeError("a step is written in the transaction of its decision")
    now, kind = clock.now(), kind_of(case)
    before = case.state
    case.state, case.phase, case.changed_at = accepted.to_state, accepted.phase.value, now
    case.save(update_fields=["state", "phase", "changed_at"])
    entry = record(case, step, accepted.to_state, {"before": before, "articles": [accepted.article]})
    add_event(case, step, accepted.to_state, accepted.article, entry)
    follow(case_ref(case), accepted, named(case.regulation), clock.legal_day(now))
    _tell(case, step, kind)
    return entry


def record(case: Case, step: Step, outcome: str, facts: Mapping[str, object]) -> uuid.UUID:
    """Append the audit entry of a step and return its id."""
    viewer, kind = step.viewer, kind_of(case)
    return append_entry(
        EVENTS[kind],
        actor=f"account:{viewer.username}" if viewer else "system:control",
        at=clock.now(),
        outcome=outcome,
        department=case.requester_id,
        provider=case.provider_id,
        grant_id=None if isinstance(case, OutsideRequest) else case.grant_id,
        case_no=case.number,
        facts={"regulation": case.regulation, "action": step.action, **said(step), **facts},
    )


def add_event(case: Case, step: Step, to_state: str, article: str, entry: uuid.UUID) -> None:
    """Add a step to the history of a case; without a viewer it is the platform's."""
    CaseEvent.objects.create(
        kind=kind_of(case),
        number=case.number or "",
        action=step.action,
        to_state=to_state,
        occurred_at=clock.now(),
        account_id=step.viewer.account_id if step.viewer else None,
        department_id=step.viewer.department.code if step.viewer else None,
        words=said(step),
        article=article,
        entry_id=entry,
    )


def said(step: Step) -> dict[str, str]:
    """What a step says, trimmed; empty words are left out."""
    return {key: text.strip() for key, text in step.words.items() if text.strip()}


def refuse_too_long(words: Mapping[str, str]) -> None:
    """Raise `FormRefused` for each text that is longer than may be stored: nothing is cut off unsaid."""
    limit = Text(f"不超过 {MAX_TEXT_CHARS} 字", f"At most {MAX_TEXT_CHARS} characters")
    faults = [
        Fault(key, "too_long", limit) for key, text in words.items() if len(text.strip()) > MAX_TEXT_CHARS
    ]
    if faults:
        raise FormRefused(tuple(faults))


def case_ref(case: Case) -> CaseRef:
    """Name a case to the clocks: its provider must act, its requester waits."""
    return CaseRef(kind_of(case), case.number or "", case.provider_id, case.requester_id)


def _facts(case: Case, step: Step) -> Facts:
    sides = sides_of(step.viewer, case) if step.viewer else frozenset({SYSTEM})
    return Facts(
        case=case.number or step.number,
        sides=sides,
        given={**_kept(case), **said(step)},
        clocks=clock_facts(case_ref(case)) if case.number else {},
        actor=step.viewer.username if step.viewer else "",
    )


def _kept(case: Case) -> dict[str, object]:
    """What the case itself says, by the words of the regulation files."""
    if isinstance(case, OutsideRequest):
        return {"wanted": case.wanted, "duty": case.duty_id, "purpose": case.purpose}
    return {
        "content": case.content,
        "audience": case.audience,
        "purpose": case.purpose,
        "items": case.fields,
    }


def _tell(case: Case, step: Step, kind: str) -> None:
    """Tell the other side, or both where the platform has acted; a draft concerns nobody yet."""
    if case.phase == Phase.DRAFT or case.number is None:
        return
    actor = step.viewer.department.code if step.viewer else ""
    sides = (
        (case.requester_id, Capability.REQUEST_SUBMIT),
        (case.provider_id, Capability.REQUEST_ANSWER),
    )
    for department, capability in sides:
        if department != actor:
            occasion = f"{step.action}:{CaseEvent.objects.filter(kind=kind, number=case.number).count()}"
            notify(department, f"{kind}_moved", case.number, capability=capability, occasion=occasion)
