"""Taking one step of many cases: facts, decisions, and all that follows, in the caller's transaction."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.accounts.notices import ToTell, notify_all
from shuqiao.control.audit.actions import Entry as AuditEntry
from shuqiao.control.audit.actions import append_entries
from shuqiao.control.catalogue.inserting import insert_rows
from shuqiao.control.clocks.actions import follow_all
from shuqiao.control.clocks.terms import CaseRef
from shuqiao.control.compiling import hooks
from shuqiao.control.compiling.access import PROCEDURE, sides_of
from shuqiao.control.compiling.districts import region_of
from shuqiao.control.compiling.models import Compilation, CompilationEvent, CompilationKind, Mark
from shuqiao.control.organisations.bodies import COMPETENT
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.wording import refusal_words
from shuqiao.rules.errors import MarksMissing, ShuqiaoError
from shuqiao.rules.procedures import Accepted, Facts, Refusal, decide
from shuqiao.rules.regulation import PROVIDER, Phase

EVENT = "compilation_step"
WORDING_ONLY = "wording_only"
MAX_REASON_CHARS = 1000
REASON_KEPT = 1000


@dataclass(frozen=True)
class Step:
    """One step about to be taken: what is done, by whom, and the words it brings."""

    action: str
    viewer: Viewer
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """The reason given, trimmed."""
        return self.words.get("reason", "").strip()


@dataclass(frozen=True)
class Taken:
    """A case with the decision on its step."""

    case: Compilation
    accepted: Accepted


@dataclass(frozen=True)
class Marked:
    """How the review of a case stands at its present step."""

    unmarked: int
    returned: tuple[tuple[str, str], ...]

    @property
    def is_complete(self) -> bool:
        """Whether every item has a mark and none says return."""
        return not self.unmarked and not self.returned


def marks_of(cases: Sequence[Compilation]) -> dict[str, Marked]:
    """How the review of several cases stands, by number: one query."""
    rows: dict[str, dict[str, Mark]] = {case.number: {} for case in cases}
    states = {case.number: case.state for case in cases}
    for mark in Mark.objects.filter(compilation_id__in=rows):
        if mark.state == states[mark.compilation_id]:
            rows[mark.compilation_id][mark.path] = mark
    return {case.number: _marked(case, rows[case.number]) for case in cases}


def places_of(case: Compilation) -> tuple[str, ...]:
    """The places of a case that each need a mark: every item of its entry (CAT-09)."""
    return tuple(f"items.{item['field']}" for item in case.content.get("items", ()))


def _marked(case: Compilation, marks: Mapping[str, Mark]) -> Marked:
    unmarked = sum(place not in marks for place in places_of(case))
    returned = tuple((path, mark.remark) for path, mark in marks.items() if not mark.accepted)
    return Marked(unmarked, returned)


def editors_of(cases: Sequence[Compilation]) -> dict[str, frozenset[int]]:
    """Who has compiled each case, by number: whoever wrote it, took it over or sent it (ORG-08)."""
    found: dict[str, set[int]] = {}
    for case in cases:
        own = {case.compiler_id} | ({case.submitted_by_id} if case.submitted_by_id else set())
        found[case.number] = own
    events = CompilationEvent.objects.filter(
        compilation_id__in=found, action__in=("taken_over", "submit", "compile"), account__isnull=False
    )
    for number, account in events.values_list("compilation_id", "account_id"):
        if account is not None:
            found[number].add(account)
    return {number: frozenset(accounts) for number, accounts in found.items()}


@dataclass(frozen=True)
class Standing:
    """What is known of a case before a step of it is decided."""

    marked: Marked
    editors: frozenset[int]
    sides: frozenset[str]


def decide_step(case: Compilation, step: Step, standing: Standing) -> Accepted | ShuqiaoError | FormRefused:
    """Let the case's regulation decide; a refusal is returned, every missing field told at once."""
    rules = named(case.regulation)
    facts = _facts(case, step, standing)
    faults: list[Fault] = []
    for _ in range(20):
        decision = decide(
            rules.procedure(PROCEDURE),
            case.state,
            step.action,
            facts,
            capabilities=step.viewer.capabilities,
            regulation=rules,
            today=clock.today(),
        )
        if isinstance(decision, Accepted):
            return FormRefused(tuple(faults)) if faults else decision
        if decision.field == "marks":
            return _marks_missing(case, standing.marked, decision)
        if not decision.field or decision.field in {fault.field for fault in faults}:
            return decision.error()
        faults.append(_fault_of(decision))
        # As if it were filled, to learn what else is missing.
        facts = replace(facts, given={**facts.given, decision.field: True})
    return FormRefused(tuple(faults))


def _marks_missing(case: Compilation, marked: Marked, refusal: Refusal) -> MarksMissing:
    return MarksMissing(
        case=case.number,
        unmarked=str(marked.unmarked),
        returned=str(len(marked.returned)),
        rule=refusal.article,
    )


def _fault_of(refusal: Refusal) -> Fault:
    return Fault(refusal.field, refusal.code, refusal_words(refusal))


def _facts(case: Compilation, step: Step, standing: Standing) -> Facts:
    actor = str(step.viewer.account_id)
    # Whoever has compiled the case is the proposer in the eyes of a step that another person must take.
    proposer = actor if step.viewer.account_id in standing.editors else f"not {actor}"
    withdraws = case.kind == CompilationKind.WITHDRAWAL
    is_wording = case.kind == CompilationKind.CORRECTION
    return Facts(
        case=case.number,
        sides=standing.sides,
        given={
            # What is taken out of the catalogue need not be declared to be fit for it.
            "declaration": withdraws or bool(case.content.get("not_secret")),
            "marks": withdraws or standing.marked.is_complete,
            "reason": step.reason,
            "items": case.content.get("items"),
        },
        conditions=frozenset({WORDING_ONLY}) if is_wording else frozenset(),
        actor=actor,
        proposer=proposer,
    )


def standings(cases: Sequence[Compilation], viewer: Viewer) -> dict[str, Standing]:
    """What is known of several cases before a step, by number: few queries."""
    marked, editors = marks_of(cases), editors_of(cases)
    sides = {code: sides_of(viewer, code) for code in {case.department_id for case in cases}}
    return {
        case.number: Standing(marked[case.number], editors[case.number], sides[case.department_id])
        for case in cases
    }


def apply_steps(step: Step, taken: Sequence[Taken]) -> None:
    """Write what decided steps do: states, events, audit entries, clocks and notices."""
    if not connection.in_atomic_block:
        raise RuntimeError("a step is written in the transaction of its decision")
    before = {one.case.number: one.case.state for one in taken}
    _store_states(step, taken)
    ids = append_entries([_audit_entry(one, step, before[one.case.number]) for one in taken])
    insert_rows(
        _event(one, step, before[one.case.number], entry) for one, entry in zip(taken, ids, strict=True)
    )
    _follow_clocks(taken)
    hooks.tell(_moved(step, taken, before))
    _tell(step, taken, ids)


def _moved(step: Step, taken: Sequence[Taken], before: Mapping[str, str]) -> list[hooks.Moved]:
    """The cases whose step is an event of the regulation, for whoever follows what becomes of entries."""
    found = []
    for one in taken:
        case = one.case
        event = hooks.event_of(named(case.regulation), before[case.number], step.action, one.accepted)
        if event:
            found.append(hooks.Moved(case.number, case.resource, case.department_id, case.kind, event))
    return found


def record_step(case: Compilation, step: Step, to_state: str, article: str) -> uuid.UUID:
    """Record something that leaves a case in its state, with its audit entry; return the entry's id."""
    one = Taken(case, Accepted(to_state, Phase(case.phase), article))
    [entry] = append_entries([_audit_entry(one, step, case.state)])
    _event(one, step, case.state, entry).save(force_insert=True)
    return entry


def _store_states(step: Step, taken: Sequence[Taken]) -> None:
    """Bring state and times up to date, with one statement for all that go the same way."""
    now = clock.now()
    ways: dict[tuple[str, str, bool], list[Compilation]] = {}
    for one in taken:
        sent = is_sending(one)
        ways.setdefault((one.accepted.to_state, one.accepted.phase.value, sent), []).append(one.case)
    for (state, phase, sent), cases in ways.items():
        changed: dict[str, object] = {"state": state, "phase": phase, "changed_at": now}
        if sent:
            changed |= {"submitted_by_id": step.viewer.account_id, "submitted_at": now}
            _declare(cases, step)
        if phase == Phase.GRANTED:
            changed |= {"published_at": now}
        numbers = [case.number for case in cases]
        Compilation.objects.filter(number__in=numbers).update(**changed)
        for case in cases:
            for name, value in changed.items():
                setattr(case, name, value)


def is_sending(one: Taken) -> bool:
    """Whether a step sends a draft on its way, so that it is checked and declared."""
    leaves = one.case.phase == Phase.DRAFT and one.accepted.phase != Phase.DRAFT
    return leaves and one.accepted.phase != Phase.CLOSED


def _declare(cases: Sequence[Compilation], step: Step) -> None:
    """Keep who declared that the entries hold no state secret, and when (CAT-26)."""
    declared = [case for case in cases if case.content.get("not_secret")]
    now = clock.now()
    for case in declared:
        case.declared_by_id, case.declared_at = step.viewer.account_id, now
    numbers = [case.number for case in declared]
    Compilation.objects.filter(number__in=numbers).update(
        declared_by_id=step.viewer.account_id, declared_at=now
    )
    # What was found at an earlier round has been answered: a new round looks at every item again.
    Mark.objects.filter(compilation_id__in=[case.number for case in cases]).delete()


def _event(one: Taken, step: Step, before: str, entry: uuid.UUID) -> CompilationEvent:
    return CompilationEvent(
        compilation_id=one.case.number,
        action=step.action,
        from_state=before,
        to_state=one.accepted.to_state,
        occurred_at=clock.now(),
        account_id=step.viewer.account_id,
        department_id=step.viewer.department.code,
        reason=step.reason[:REASON_KEPT],
        article=one.accepted.article,
        entry_id=entry,
    )


def _audit_entry(one: Taken, step: Step, before: str) -> AuditEntry:
    case = one.case
    facts: dict[str, object] = {
        "regulation": case.regulation,
        "action": step.action,
        "kind": case.kind,
        "before": before,
        "revision": case.revision,
        "declared_not_secret": bool(case.content.get("not_secret")),
        "articles": [one.accepted.article],
    }
    if step.reason:
        facts["reason"] = step.reason
    return AuditEntry(
        EVENT,
        f"account:{step.viewer.username}",
        clock.now(),
        one.accepted.to_state,
        step.viewer.department.code,
        case.department_id,
        case.resource,
        case_no=case.number,
        facts=facts,
    )


def _follow_clocks(taken: Sequence[Taken]) -> None:
    holders: dict[str, str] = {}
    groups: dict[tuple[str, Accepted], list[CaseRef]] = {}
    for one in taken:
        case, region = one.case, region_of(one.case.department_id)
        if region not in holders:
            found = Department.objects.filter(region=region, roles__contains=[COMPETENT], active=True)
            holders[region] = found.values_list("code", flat=True).first() or case.department_id
        ref = CaseRef(PROCEDURE, case.number, holders[region], case.department_id)
        groups.setdefault((case.regulation, one.accepted), []).append(ref)
    for (regulation, accepted), cases in groups.items():
        follow_all(cases, accepted, named(regulation), clock.today())


def _tell(step: Step, taken: Sequence[Taken], entries: Sequence[uuid.UUID]) -> None:
    """Tell each department whose cases moved, and the bodies that act next, once for all of them."""
    told: dict[tuple[str, str, str], list[int]] = {}
    concerned: dict[tuple[str, str, str], set[tuple[str, str]]] = {}
    for at, one in enumerate(taken):
        like = (one.case.regulation, one.case.department_id, one.case.state)
        if like not in concerned:
            concerned[like] = _to_tell(one.case)
        for department, capability in concerned[like]:
            if department != step.viewer.department.code or capability in _OTHERS_AT_HOME:
                told.setdefault((department, capability, one.accepted.to_state), []).append(at)
    notify_all(
        _notice(step, [taken[at] for at in places], department, capability, str(entries[places[0]]))
        for (department, capability, _), places in told.items()
    )


_OTHERS_AT_HOME = frozenset({"catalogue_review"})
"""Who is told within the acting department too: its reviewer is another person than its compiler."""


def _to_tell(case: Compilation) -> set[tuple[str, str]]:
    """Whom a case concerns now: its own compilers, and whoever may take its next step."""
    found = {(case.department_id, "catalogue_edit")}
    procedure = named(case.regulation).procedure(PROCEDURE)
    if case.phase != Phase.WAITING:
        return found
    for step in procedure.transitions:
        if case.state in step.from_states and step.action not in ("save", "withdraw", "return"):
            for side in step.by:
                for code in _bodies(side, case):
                    found.add((code, step.capability))
    return found


def _bodies(side: str, case: Compilation) -> list[str]:
    if side == PROVIDER:
        return [case.department_id]
    found = Department.objects.filter(
        region=region_of(case.department_id), roles__contains=[side], active=True
    )
    return list(found.values_list("code", flat=True))


def _notice(step: Step, taken: Sequence[Taken], department: str, capability: str, occasion: str) -> ToTell:
    first = taken[0]
    procedure = named(first.case.regulation).procedure(PROCEDURE)
    action, state = procedure.action(step.action), procedure.state(first.accepted.to_state)
    return ToTell(
        department,
        "compilation_moved",
        first.case.number,
        capability=capability,
        occasion=occasion,
        params={
            "count": len(taken),
            "name_zh": first.case.name_zh,
            "step_zh": action.zh if action else step.action,
            "step_en": action.en if action else step.action,
            "state_zh": state.zh if state else first.accepted.to_state,
            "state_en": state.en if state else first.accepted.to_state,
        },
    )
