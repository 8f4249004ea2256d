"""One case of the catalogue as its page shows it: proposed beside in force, marks, steps, history."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.models import Resource, ResourceVersion
from shuqiao.control.compiling.access import PROCEDURE, access_compilation, sides_of
from shuqiao.control.compiling.chain import ChainStep, chain_of
from shuqiao.control.compiling.checking import check
from shuqiao.control.compiling.form_page import FaultLink, code_preview, fault_links
from shuqiao.control.compiling.models import Compilation, CompilationEvent, CompilationKind, Mark
from shuqiao.control.compiling.pages import (
    ENDS_BADLY,
    KINDS,
    ORIGINS,
    SAVE,
    may_edit,
    state_label,
    steps_of,
)
from shuqiao.control.compiling.review_rows import (
    MarkView,
    ReviewGroup,
    ReviewRow,
    Sides,
    field_groups,
    item_rows,
)
from shuqiao.control.compiling.steps import places_of
from shuqiao.control.compiling.wording import item_names, path_words, wording
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry
from shuqiao.rules.regulation import PROVIDER, Phase, Transition

PAGE_ROWS = 100
"""Items on one page of a review; a form may not have more than 500 fields."""
MARKS = "marks"
MAX_REASON = 1000
TAKEN_OVER, REBASED = "taken_over", "rebased"
_OWN_STEPS = {
    TAKEN_OVER: Text("接手编制", "Taken over"),
    REBASED: Text("改以现行版本为底稿", "Started again from the version in force"),
}


@dataclass(frozen=True)
class StepOffer:
    """A step the viewer may take now."""

    action: str
    label: Text
    article: ArticleRef
    needs_reason: bool
    needs_marks: bool
    ends_badly: bool


@dataclass(frozen=True)
class EventRow:
    """One step of the history."""

    label: Text
    state: Text
    by: str
    department: DepartmentRef | None
    at: datetime
    reason: str
    article: ArticleRef
    entry: str


@dataclass(frozen=True)
class Progress:
    """How far the review has come: the items, and what is returned anywhere."""

    total: int
    accepted: int
    unmarked: int
    returned: int


@dataclass(frozen=True)
class CompilationView:
    """Everything the page of a case shows."""

    number: str
    kind: str
    kind_label: Text
    title: str
    resource: str
    code: str
    in_force: bool
    base_version: int
    current_version: int
    department: DepartmentRef
    regulation: Text
    state: str
    state_label: Text
    phase: str
    origin: Text
    compiler: str
    compiled_at: datetime
    submitted_by: str
    submitted_at: datetime | None
    declared_by: str
    declared_at: datetime | None
    published_at: datetime | None
    chain: tuple[ChainStep, ...]
    groups: tuple[ReviewGroup, ...]
    items: tuple[ReviewRow, ...]
    items_total: int
    page: int
    pages: int
    changed: int
    can_mark: bool
    progress: Progress
    faults: tuple[FaultLink, ...]
    steps: tuple[StepOffer, ...]
    can_edit: bool
    history: tuple[EventRow, ...]
    returned_reason: str

    @property
    def columns(self) -> int:
        """Return how many columns the comparison has."""
        marks = self.can_mark or self.progress.accepted or self.progress.returned
        return 2 + self.compares + bool(marks)

    @property
    def compares(self) -> bool:
        """Tell whether something is in force to compare with."""
        return self.in_force and self.kind != CompilationKind.NEW

    @property
    def is_outdated(self) -> bool:
        """Tell whether the entry has changed since this case began."""
        open_case = self.phase in (Phase.DRAFT, Phase.WAITING)
        return open_case and self.compares and self.current_version != self.base_version


def compilation_page(
    viewer: Viewer, number: str, page: int = 1, *, only_changed: bool = False
) -> CompilationView:
    """Return the page of a case; raises `NotFound` for whoever may not see it.

    Its last call has a line for each field of the page.
    """
    case = access_compilation(viewer, number)
    rules, entry = named(case.regulation), entry_from(case.content)
    held = Resource.objects.filter(id=case.resource).first()
    marks = {mark.path: mark for mark in _marks(case)}
    places = places_of(case)
    steps = tuple(offer_of(step, case) for step in steps_of(viewer, case))
    sides = _sides(case, entry, marks, places)
    rows = item_rows(sides)
    shown = tuple(row for row in rows if row.change != "same") if only_changed else rows
    pages = max(1, -(-len(shown) // PAGE_ROWS))
    page = min(max(1, page), pages)
    groups = field_groups(sides)
    events = list(case.events.select_related("account", "department"))
    is_checked = case.phase in (Phase.DRAFT, Phase.WAITING) and case.kind != CompilationKind.WITHDRAWAL
    found = check(viewer, entry, resource=case.resource) if is_checked else ()
    return CompilationView(
        number=case.number,
        kind=case.kind,
        kind_label=KINDS[case.kind],
        title=case.name_zh or str(Text("未命名条目", "Unnamed entry")),
        resource=case.resource,
        code=code_preview(case.resource, entry.subject),
        in_force=held is not None,
        base_version=case.base_version,
        current_version=held.version if held else 0,
        department=department_ref(case.department),
        regulation=Text(rules.title.zh, rules.title.en),
        state=case.state,
        state_label=state_label(rules.id, case.state),
        phase=case.phase,
        origin=ORIGINS[case.origin],
        compiler=case.compiler.display_name,
        compiled_at=case.changed_at,
        submitted_by=case.submitted_by.display_name if case.submitted_by else "",
        submitted_at=case.submitted_at,
        declared_by=case.declared_by.display_name if case.declared_by else "",
        declared_at=case.declared_at,
        published_at=case.published_at,
        chain=chain_of(rules, case.state, events, correction=case.kind == CompilationKind.CORRECTION),
        groups=_only_changed(groups) if only_changed else groups,
        items=shown[(page - 1) * PAGE_ROWS : page * PAGE_ROWS],
        items_total=len(rows),
        page=page,
        pages=pages,
        changed=sum(row.change != "same" for group in groups for row in group.rows)
        + sum(row.change != "same" for row in rows),
        can_mark=any(step.needs_marks for step in steps),
        progress=_progress(places, marks),
        faults=fault_links(found, entry),
        steps=steps,
        can_edit=may_edit(viewer, case),
        history=tuple(_event(case, event) for event in events),
        returned_reason=_returned_reason(marks, entry),
    )


def _sides(case: Compilation, entry: Entry, marks: Mapping[str, Mark], places: tuple[str, ...]) -> Sides:
    """What is proposed beside what the case started from, with the marks of the review."""
    return Sides(
        base=_base(case),
        entry=entry,
        regulation=named(case.regulation),
        words=wording(case.regulation, entry.department),
        marks={path: _mark_view(mark) for path, mark in marks.items()},
        places=frozenset(places),
    )


def review_progress(viewer: Viewer, number: str) -> Progress:
    """How far the review of a case has come."""
    case = access_compilation(viewer, number)
    return _progress(places_of(case), {mark.path: mark for mark in _marks(case)})


def _marks(case: Compilation) -> list[Mark]:
    return list(case.marks.filter(state=case.state).select_related("account"))


def _mark_view(mark: Mark) -> MarkView:
    return MarkView(mark.accepted, mark.remark, mark.account.display_name)


def _progress(places: tuple[str, ...], marks: Mapping[str, Mark]) -> Progress:
    return Progress(
        total=len(places),
        accepted=sum(place in marks and marks[place].accepted for place in places),
        unmarked=sum(place not in marks for place in places),
        returned=sum(not mark.accepted for mark in marks.values()),
    )


def _returned_reason(marks: Mapping[str, Mark], entry: Entry) -> str:
    """What was marked to be returned, as the beginning of the reason for returning the whole."""
    names = item_names(entry)
    said = [f"{path_words(path, names)}：{mark.remark}" for path, mark in marks.items() if not mark.accepted]
    return "\n".join(said)[:MAX_REASON]


def _base(case: Compilation) -> Entry | None:
    """What the case started from: the version it was drawn from, however much has changed since."""
    if not case.base_version:
        return None
    found = ResourceVersion.objects.filter(resource_id=case.resource, version=case.base_version).first()
    return entry_from(found.content) if found and found.content else None


def _only_changed(groups: tuple[ReviewGroup, ...]) -> tuple[ReviewGroup, ...]:
    kept = [
        ReviewGroup(group.key, group.title, tuple(row for row in group.rows if row.change != "same"))
        for group in groups
    ]
    return tuple(group for group in kept if group.rows)


def offer_of(step: Transition, case: Compilation) -> StepOffer:
    """Offer a step with what it needs."""
    return StepOffer(
        action=step.action,
        label=Text(step.zh, step.en),
        article=article_ref(step.article, case.regulation),
        needs_reason="reason" in step.requires,
        needs_marks=MARKS in step.requires and case.kind != CompilationKind.WITHDRAWAL,
        ends_badly=step.action in ENDS_BADLY,
    )


def _event(case: Compilation, event: CompilationEvent) -> EventRow:
    known = named(case.regulation).procedure(PROCEDURE)
    step = next(
        (
            one
            for one in known.transitions
            if one.action == event.action
            and event.from_state in one.from_states
            and one.to_state == event.to_state
        ),
        known.action(event.action),
    )
    own = _OWN_STEPS.get(event.action, Text(event.action, event.action))
    return EventRow(
        label=Text(step.zh, step.en) if step else own,
        state=state_label(case.regulation, event.to_state),
        by=event.account.display_name if event.account else "",
        department=department_ref(event.department) if event.department else None,
        at=event.occurred_at,
        reason=event.reason,
        article=article_ref(event.article, case.regulation),
        entry=str(event.entry_id),
    )


def acts_for_all(viewer: Viewer, case: Compilation) -> bool:
    """Tell whether the viewer compiles as a body of the city, for departments other than their own."""
    procedure = named(case.regulation).procedure(PROCEDURE)
    savers = {side for step in procedure.transitions if step.action == SAVE for side in step.by}
    return bool(savers & (sides_of(viewer, case.department_id) - {PROVIDER}))
