"""Steps of a case of the catalogue: sending, reviewing item by item, approving, publishing, taking back.

Each action locks its cases, lets the regulation of each decide, and writes state, event, clocks, audit entry
and notices in one transaction: a process killed in the middle leaves nothing half done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.compiling.access import access_locked
from shuqiao.control.compiling.checking import Subject, check_all
from shuqiao.control.compiling.models import Compilation, CompilationKind, Mark
from shuqiao.control.compiling.publishing import obstacles, publish
from shuqiao.control.compiling.steps import (
    MAX_REASON_CHARS,
    Standing,
    Step,
    Taken,
    apply_steps,
    decide_step,
    is_sending,
    places_of,
    standings,
)
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.wording import worded
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry
from shuqiao.rules.entry_faults import EntryFault, plain_fault
from shuqiao.rules.errors import RowsTooMany, ShuqiaoError, TransitionRefused
from shuqiao.rules.regulation import Phase

MAX_AT_ONCE = 10_000
SAVE = "save"
MAX_REMARK_CHARS = 300
MARK_FIELDS = frozenset(Entry.__dataclass_fields__) - {"items", "not_secret"}
"""Places beside the items that a reviewer may mark, one for each field; none of them has to be."""

Refused = ShuqiaoError | FormRefused


@dataclass(frozen=True)
class Outcome:
    """What became of one case of a bulk step: `error` is None where the step was taken."""

    number: str
    error: Refused | None = None

    @property
    def done(self) -> bool:
        """Whether the step was taken."""
        return self.error is None

    @property
    def message(self) -> Text:
        """Why it was not, in both languages."""
        if isinstance(self.error, ShuqiaoError):
            return worded(self.error)
        if self.error is None:
            return Text("已办理", "Done")
        faults = self.error.faults[:3]
        return Text(
            "；".join(f"{fault.field}：{fault.message.zh}" for fault in faults),
            "; ".join(f"{fault.field}: {fault.message.en}" for fault in faults),
        )


@dataclass(frozen=True)
class MarkInput:
    """What a reviewer found at a place: `items.<field>`, or one of `MARK_FIELDS`."""

    path: str
    accepted: bool
    remark: str = ""


@transaction.atomic
def take_step(viewer: Viewer, number: str, action: str, words: Mapping[str, str] | None = None) -> None:
    """Take a step of one case.

    Raises `NotFound` for whoever may not see it, the refusal's error for whoever may not act or comes second,
    and `FormRefused` with every fault of an entry that is sent; nothing is then written.
    """
    [outcome] = _take(viewer, [number], action, words or {})
    if outcome.error is not None:
        raise outcome.error


@transaction.atomic
def take_steps(
    viewer: Viewer, numbers: Sequence[str], action: str, words: Mapping[str, str] | None = None
) -> tuple[Outcome, ...]:
    """Take one step of many cases: those that can go go together, the others say why not.

    The outcomes stand in the order asked. Raises `RowsTooMany` beyond `MAX_AT_ONCE`.
    """
    asked = tuple(dict.fromkeys(numbers))
    if len(asked) > MAX_AT_ONCE:
        raise RowsTooMany(limit=str(MAX_AT_ONCE))
    return _take(viewer, asked, action, words or {}) if asked else ()


@transaction.atomic
def mark_places(viewer: Viewer, number: str, marks: Sequence[MarkInput]) -> None:
    """Keep what a reviewer found of items of a case; a later mark of a place replaces the earlier.

    Raises `TransitionRefused` for whoever may not pass or return the case now, `FormRefused` for a place that
    isn't there and for a return without its reason. Source: shenyang-2016 art. 12(2); CAT-09.
    """
    [case] = access_locked(viewer, [number])
    _require_reviewer(viewer, case)
    given = {mark.path: mark for mark in marks}
    _refuse_marks(case, given)
    now = clock.now()
    Mark.objects.bulk_create(
        (
            Mark(
                compilation=case,
                state=case.state,
                path=path,
                accepted=mark.accepted,
                remark=mark.remark.strip(),
                account_id=viewer.account_id,
                made_at=now,
            )
            for path, mark in given.items()
        ),
        update_conflicts=True,
        unique_fields=["compilation", "state", "path"],
        update_fields=["accepted", "remark", "account", "made_at"],
    )


def accept_rest(viewer: Viewer, number: str) -> None:
    """Mark every item that has no mark yet as found correct."""
    with transaction.atomic():
        [case] = access_locked(viewer, [number])
        done = set(case.marks.filter(state=case.state).values_list("path", flat=True))
        rest = [MarkInput(path, accepted=True) for path in places_of(case) if path not in done]
        if rest:
            mark_places(viewer, number, rest)


def _take(
    viewer: Viewer, numbers: Sequence[str], action: str, words: Mapping[str, str]
) -> tuple[Outcome, ...]:
    if action == SAVE:
        # Drafts are written by `drafts`, which knows of two writers.
        raise NotFound
    _refuse_words(words)
    cases = {case.number: case for case in access_locked(viewer, numbers)}
    step = Step(action, viewer, words)
    errors: dict[str, Refused] = {}
    taken: dict[str, Taken] = {}
    known = standings(list(cases.values()), viewer)
    for number, case in cases.items():
        decided = _decided(case, step, known[number])
        if isinstance(decided, Taken):
            taken[number] = decided
        else:
            errors[number] = decided
    errors |= _refused_content(taken)
    going = [one for number, one in taken.items() if number not in errors]
    published = [one.case for one in going if one.accepted.phase == Phase.GRANTED]
    blocked = obstacles(published)
    errors |= blocked
    going = [one for one in going if one.case.number not in blocked]
    if going:
        apply_steps(step, going)
    publish([case for case in published if case.number not in blocked], viewer)
    return tuple(
        Outcome(number, errors.get(number) if number in cases else _not_there(number)) for number in numbers
    )


def _decided(case: Compilation, step: Step, standing: Standing) -> Taken | Refused:
    found = decide_step(case, step, standing)
    if isinstance(found, (ShuqiaoError, FormRefused)):
        return found
    return Taken(case, found)


def _not_there(number: str) -> FormRefused:
    """A case that is not there, or not for this viewer: one answer."""
    words = Text("没有这件编制事项", "There is no such case")
    return FormRefused((Fault(number, "not_found", words),))


def _refused_content(taken: Mapping[str, Taken]) -> dict[str, FormRefused]:
    """The faults of the entries that are sent, by number; a withdrawal is sent as it is."""
    sent = [
        one.case for one in taken.values() if is_sending(one) and one.case.kind != CompilationKind.WITHDRAWAL
    ]
    by_department: dict[str, list[Compilation]] = {}
    for case in sent:
        by_department.setdefault(case.department_id, []).append(case)
    found = {}
    for department, cases in by_department.items():
        subjects = [Subject(entry_from(case.content), case.resource) for case in cases]
        for case, faults in zip(cases, check_all(subjects, department), strict=True):
            if faults:
                found[case.number] = FormRefused(tuple(_form_fault(fault) for fault in faults))
    return found


def _form_fault(fault: EntryFault) -> Fault:
    return Fault(fault.path, fault.code, Text(fault.zh, fault.en))


def _refuse_words(words: Mapping[str, str]) -> None:
    faults = [
        Fault(key, fault.code, Text(fault.zh, fault.en))
        for key, text in words.items()
        if (fault := plain_fault(key, text.strip(), MAX_REASON_CHARS)) is not None
    ]
    if faults:
        raise FormRefused(tuple(faults))


def _require_reviewer(viewer: Viewer, case: Compilation) -> None:
    """Whoever may pass or return a case that waits for a review may mark its items."""
    procedure = named(case.regulation).procedure("entry")
    standing = standings([case], viewer)[case.number]
    steps = [step for step in procedure.transitions if case.state in step.from_states]
    reviews = [step for step in steps if "marks" in step.requires or step.action == "return"]
    allowed = any(step.by & standing.sides and viewer.can(step.capability) for step in reviews)
    if not allowed or case.phase != Phase.WAITING:
        state = procedure.state(case.state)
        action = Text("逐项审核", "Review item by item")
        raise TransitionRefused(
            case=case.number, state=state.zh if state else case.state, action=str(action), rule=None
        )


def _refuse_marks(case: Compilation, given: Mapping[str, MarkInput]) -> None:
    places = {*places_of(case), *MARK_FIELDS}
    faults = []
    for path, mark in given.items():
        if path not in places:
            words = Text("没有这一项", "There is no such place")
            faults.append(Fault(path[:80], "place_unknown", words))
        elif not mark.accepted and not mark.remark.strip():
            words = Text("退回须写明理由", "A return needs its reason")
            faults.append(Fault(path, "reason_required", words))
        else:
            fault = plain_fault(path, mark.remark.strip(), MAX_REMARK_CHARS)
            if fault is not None:
                faults.append(Fault(path, fault.code, Text(fault.zh, fault.en)))
    if faults:
        raise FormRefused(tuple(faults))
