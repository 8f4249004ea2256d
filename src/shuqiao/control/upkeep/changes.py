"""Registering a change that the catalogue must follow, and meeting its term when the entries follow it.

Source: guangzhou-2019 art. 8(3), 8(4); shenyang-2016 art. 12(3); CAT-12, CAT-15. The term of the competent
department after a report (CAT-13) runs in the case of the entry itself.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.clocks.actions import end_clocks, meet_clock, start_clock
from shuqiao.control.clocks.terms import CaseRef
from shuqiao.control.compiling.districts import region_of, rules_for
from shuqiao.control.compiling.hooks import Moved
from shuqiao.control.compiling.models import CompilationEvent, CompilationKind
from shuqiao.control.organisations.bodies import COMPETENT
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text
from shuqiao.control.upkeep.models import MAX_DOCUMENT_CHARS, MAX_TEXT_CHARS, Change, ChangeKind, Touched
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.rules.ids import upkeep_no
from shuqiao.rules.regulation import SETTING, Deadline, Regulation

KIND = "upkeep"
"""The name of these cases to the clocks."""

EVENT = "catalogue_change"
REGISTER = Text("登记变更", "Register a change")
MAX_TOUCHED = 200
EARLIEST = date(2000, 1, 1)

STARTS = {
    ChangeKind.LAW: "duty_changed",
    ChangeKind.FUNCTIONS: "duty_changed",
    ChangeKind.RESOURCE: "resource_changed",
}
"""The event of the regulation files that each kind of change is."""

_UPDATED = "catalogue_updated"
"""What brings an entry up to date where the regulation sets no term."""


@dataclass(frozen=True)
class ChangeInput:
    """What is registered: for which department, since when, by which document, and the entries it touches."""

    kind: str
    department: str
    happened_on: date | None
    document: str
    description: str
    entries: tuple[str, ...]


def term_of(kind: ChangeKind, rules: Regulation) -> Deadline | None:
    """The term that a kind of change starts; None where the regulation sets none."""
    return next((one for one in rules.deadlines if one.starts_on == STARTS[kind]), None)


def may_register_for(viewer: Viewer, department: str) -> bool:
    """Tell whether the viewer registers changes of a department: its compilers, and who manages sharing."""
    if department == viewer.department.code:
        return viewer.can(Capability.CATALOGUE_EDIT)
    same = region_of(department) == region_of(viewer.department.code)
    return same and viewer.can(Capability.CATALOGUE_REVIEW) and is_competent(viewer.department.code)


def is_competent(department: str) -> bool:
    """Tell whether a department manages the sharing of its level."""
    return Department.objects.filter(code=department, roles__contains=[COMPETENT]).exists()


@transaction.atomic
def register_change(viewer: Viewer, given: ChangeInput) -> str:
    """Register a change and return its number; its term runs from the day on which it happened.

    An entry whose update was reported since that day already counts as done. Raises `PermissionDenied`,
    `NotFound` for another's department, and `FormRefused` with every fault.
    """
    if not (viewer.can(Capability.CATALOGUE_EDIT) or viewer.can(Capability.CATALOGUE_REVIEW)):
        require(viewer, Capability.CATALOGUE_EDIT, REGISTER)
    if not may_register_for(viewer, given.department):
        raise NotFound
    _lock(shared=False)
    faults = tuple(_faults(given))
    if faults or given.happened_on is None:
        raise FormRefused(faults)
    change = _store(viewer, given, given.happened_on)
    if change.deadline:
        rules = named(change.regulation)
        start_clock(_case(change), change.deadline, rules, change.happened_on)
    for moved in _already(change):
        _meet([change], moved, max(moved.on, change.happened_on))
    if change.department_id != viewer.department.code:
        notify(change.department_id, "change_registered", change.number, capability=Capability.CATALOGUE_EDIT)
    return change.number


def _store(viewer: Viewer, given: ChangeInput, happened_on: date) -> Change:
    rules, kind, today = rules_for(given.department), ChangeKind(given.kind), clock.today()
    term = term_of(kind, rules)
    number = upkeep_no(today.year, next_number("U", today.year))
    article = rules.cite(term.article if term else SETTING)
    entry = append_entry(
        EVENT,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome="change_registered",
        department=viewer.department.code,
        provider=given.department,
        case_no=number,
        facts={
            "kind": given.kind,
            "day": happened_on.isoformat(),
            "entries": sorted(set(given.entries)),
            "regulation": rules.id,
            "articles": [article],
        },
    )
    change = Change.objects.create(
        number=number,
        kind=kind,
        department_id=given.department,
        happened_on=happened_on,
        document=given.document.strip(),
        description=given.description.strip(),
        regulation=rules.id,
        deadline=term.key if term else "",
        met_by=term.met_by if term else _UPDATED,
        registered_by_id=viewer.account_id,
        registered_at=clock.now(),
        entry_id=entry,
    )
    Touched.objects.bulk_create(Touched(change=change, resource_id=key) for key in sorted(set(given.entries)))
    return change


@transaction.atomic
def close_change(viewer: Viewer, number: str, reason: str) -> None:
    """Close a change whose remaining entries need no update, saying why; the competent department is told."""
    change = Change.objects.select_for_update().filter(number=number).first()
    if change is None or not may_register_for(viewer, change.department_id):
        raise NotFound
    words = reason.strip()
    wrong = plain_fault("reason", words, MAX_TEXT_CHARS)
    if not words or wrong:
        said = Text(wrong.zh, wrong.en) if wrong else Text("请写明理由", "Say why")
        raise FormRefused((Fault("reason", "field_required", said),))
    if change.done_on is not None:
        raise FormRefused((Fault("reason", "already_done", Text("该变更已办结", "It is done already")),))
    change.closing = words
    _finish(change, clock.today(), f"account:{viewer.username}", viewer.department.code)
    for office in _offices(change.department_id):
        notify(office, "change_closed", change.number, capability=Capability.CATALOGUE_REVIEW)


def follow_cases(moved: Sequence[Moved]) -> None:
    """Meet what waits for these cases of the catalogue; called in the transaction of their step.

    A correction of wording brings nothing up to date.
    """
    content = [one for one in moved if one.kind != CompilationKind.CORRECTION]
    if not content:
        return
    _lock(shared=True)
    ids = {one.resource for one in content}
    waiting = Touched.objects.filter(resource_id__in=ids, done_on=None, change__done_on=None)
    waited = set(waiting.values_list("change_id", "resource_id"))
    if not waited:
        return
    numbers, wanted = sorted({number for number, _ in waited}), {resource for _, resource in waited}
    changes = list(Change.objects.select_for_update().filter(number__in=numbers).order_by("number"))
    today = clock.today()
    for one in content:
        if one.resource in wanted:
            _meet(changes, _Event(one.number, one.resource, one.event, today), today)


@dataclass(frozen=True)
class _Event:
    """A case that brought an entry up to date, on a day."""

    number: str
    resource: str
    event: str
    on: date


def _meet(changes: Sequence[Change], event: _Event, on: date) -> None:
    for change in changes:
        if change.done_on is not None or change.met_by != event.event:
            continue
        rows = Touched.objects.filter(change=change, resource_id=event.resource, done_on=None)
        done = rows.update(done_on=on, compilation=event.number)
        if done and not Touched.objects.filter(change=change, done_on=None).exists():
            _finish(change, on, "system:control", change.department_id)


def _finish(change: Change, on: date, actor: str, department: str) -> None:
    change.done_on = on
    change.save(update_fields=["done_on", "closing"])
    if change.deadline:
        # Closed with a reason, a term is not met: it ends with its case, and what is over stays over.
        if change.closing:
            end_clocks(_case(change), on)
        else:
            meet_clock(_case(change), change.deadline, on)
    append_entry(
        EVENT,
        actor=actor,
        at=clock.now(),
        outcome="change_closed" if change.closing else "change_updated",
        department=department,
        provider=change.department_id,
        case_no=change.number,
        facts={"day": on.isoformat(), "regulation": change.regulation, "reason": change.closing},
    )


def _already(change: Change) -> Iterator[_Event]:
    """What was reported or updated since the change happened, before it was registered."""
    touched = list(change.touched.values_list("resource_id", flat=True))
    steps = {
        (step.action, source, step.to_state)
        for step in named(change.regulation).procedure("entry").transitions
        for source in step.from_states
        if step.event == change.met_by
    }
    rows = CompilationEvent.objects.filter(compilation__resource__in=touched)
    rows = rows.exclude(compilation__kind=CompilationKind.CORRECTION).select_related("compilation")
    for row in rows.order_by("occurred_at", "pk"):
        on = clock.legal_day(row.occurred_at)
        if on >= change.happened_on and (row.action, row.from_state, row.to_state) in steps:
            yield _Event(row.compilation_id, row.compilation.resource, change.met_by, on)


def _faults(given: ChangeInput) -> Iterator[Fault]:
    if given.kind not in ChangeKind.values:
        yield Fault("kind", "value_unknown", Text("请选择变更种类", "Choose the kind of change"))
    if given.happened_on is None:
        yield Fault("happened_on", "field_required", Text("请填写变化日期", "Enter the day"))
    elif not EARLIEST <= given.happened_on <= clock.today():
        words = Text("变化日期须在今天或以前", "The day is today or earlier")
        yield Fault("happened_on", "day_out_of_range", words)
    limits = {"document": MAX_DOCUMENT_CHARS, "description": MAX_TEXT_CHARS}
    for name, limit in limits.items():
        text = getattr(given, name).strip()
        wrong = plain_fault(name, text, limit)
        if not text:
            yield Fault(name, "field_required", Text("必填", "It must be filled in"))
        elif wrong:
            yield Fault(name, wrong.code, Text(wrong.zh, wrong.en))
    yield from _entry_faults(given.department, given.entries)


def _entry_faults(department: str, entries: Collection[str]) -> Iterator[Fault]:
    if not entries:
        yield Fault("entries", "field_required", Text("请选择涉及的目录条目", "Choose the entries touched"))
    elif len(entries) > MAX_TOUCHED:
        words = Text(f"一次最多 {MAX_TOUCHED} 个条目，请分次登记", f"At most {MAX_TOUCHED} entries at once")
        yield Fault("entries", "too_many", words)
    else:
        own = Resource.objects.filter(department_id=department, state="published", id__in=list(entries))
        if own.count() != len(set(entries)):
            words = Text("只能选择该部门已发布的条目", "Only published entries of the department")
            yield Fault("entries", "resource_unknown", words)


def _case(change: Change) -> CaseRef:
    """Name a change to the clocks: its department must act, the competent one of its level waits."""
    offices = _offices(change.department_id)
    return CaseRef(KIND, change.number, change.department_id, offices[0] if offices else "")


def _offices(department: str) -> list[str]:
    found = Department.objects.filter(
        region=region_of(department), roles__contains=[COMPETENT], active=True
    ).exclude(code=department)
    return list(found.order_by("code").values_list("code", flat=True))


def _lock(*, shared: bool) -> None:
    """Let registering wait for steps under way: a change sees every earlier step, or the step sees it."""
    call = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {call}(hashtext('catalogue-changes'))")
