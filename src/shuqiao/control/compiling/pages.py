"""What the pages of compiling show: the list of cases, one case with its review, its wizard."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.compiling.access import OPEN_PHASES, PROCEDURE, sides_of, visible
from shuqiao.control.compiling.districts import region_of
from shuqiao.control.compiling.models import Compilation, CompilationKind, CompilationOrigin
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import possible_actions
from shuqiao.rules.regulation import PROVIDER, Phase, Regulation, Transition

PAGE_SIZE = 50
MAX_DEPARTMENTS = 300
SAVE, WITHDRAW, RETURN, SUBMIT = "save", "withdraw", "return", "submit"
ENDS_BADLY = (WITHDRAW, RETURN)

KINDS = {
    CompilationKind.NEW.value: Text("新增", "New"),
    CompilationKind.CHANGE.value: Text("变更", "Change"),
    CompilationKind.CORRECTION.value: Text("文字更正", "Correction"),
    CompilationKind.WITHDRAWAL.value: Text("撤出", "Withdrawal"),
}
ORIGINS = {
    CompilationOrigin.WIZARD.value: Text("在线", "Online"),
    CompilationOrigin.WORKBOOK.value: Text("工作簿", "Workbook"),
    CompilationOrigin.INTERFACE.value: Text("接口", "Interface"),
    CompilationOrigin.TABLE.value: Text("表结构", "Table"),
}


@dataclass(frozen=True)
class CompilationRow:
    """One case of a list; `mine` tells whether the viewer may take a step of it now."""

    number: str
    resource: str
    name: str
    kind: Text
    origin: Text
    department: DepartmentRef
    compiler: str
    items: int
    state: str
    state_label: Text
    phase: str
    changed_at: datetime
    editable: bool
    actions: tuple[str, ...]

    @property
    def waits(self) -> bool:
        """Tell whether the case waits for the viewer; that it could be taken back is no waiting."""
        return self.phase == Phase.WAITING and bool(set(self.actions) - {WITHDRAW})


@dataclass(frozen=True)
class BulkStep:
    """A step that may be taken for several of the rows at once."""

    action: str
    label: Text
    article: ArticleRef
    needs_reason: bool
    count: int


@dataclass(frozen=True)
class ListFilter:
    """What a list is narrowed to; empty is everything. `view` is todo, a state, or all."""

    view: str = ""
    words: str = ""
    kind: str = ""
    department: str = ""
    page: int = 1


@dataclass(frozen=True)
class CompilationList:
    """A page of cases with the counts of each view."""

    rows: tuple[CompilationRow, ...]
    views: tuple[tuple[str, Text, int], ...]
    chosen: ListFilter
    steps: tuple[BulkStep, ...]
    kinds: tuple[tuple[str, Text], ...]
    departments: tuple[DepartmentRef, ...]
    pages: int
    total: int
    may_compile: bool


def may_see(viewer: Viewer) -> bool:
    """Tell whether the pages of compiling are for this viewer at all."""
    involved = (
        Capability.CATALOGUE_EDIT,
        Capability.CATALOGUE_REVIEW,
        Capability.CATALOGUE_APPROVE,
        Capability.AUDIT_VIEW_ALL,
    )
    return any(viewer.can(capability) for capability in involved)


def compilation_list(viewer: Viewer, asked: ListFilter) -> CompilationList:
    """List the cases the viewer may see; without a choice, those that wait for them come first."""
    if not may_see(viewer):
        raise NotFound
    everything = visible(viewer)
    counted = _counts(everything)
    waiting = _waiting(viewer, everything)
    todo = everything.filter(waiting).count()
    view = asked.view or ("todo" if todo else "all")
    found = _narrowed(everything, asked)
    found = found.filter(waiting) if view == "todo" else found if view == "all" else found.filter(state=view)
    total = found.count()
    pages = max(1, -(-total // PAGE_SIZE))
    page = min(max(1, asked.page), pages)
    rows = _rows(viewer, found, page)
    return CompilationList(
        rows=rows,
        views=(
            ("todo", Text("待我办理", "For me"), todo),
            *counted,
            ("all", Text("全部", "All"), sum(count for _, _, count in counted)),
        ),
        chosen=ListFilter(view, asked.words, asked.kind, asked.department, page),
        steps=_bulk_steps(rows),
        kinds=tuple(KINDS.items()),
        departments=_departments(everything),
        pages=pages,
        total=total,
        may_compile=viewer.can(Capability.CATALOGUE_EDIT),
    )


def waiting_count(viewer: Viewer) -> int:
    """Count the cases in which somebody else waits for a step of the viewer."""
    if not may_see(viewer):
        return 0
    everything = visible(viewer).filter(phase=Phase.WAITING.value)
    return everything.filter(_waiting(viewer, everything)).count()


def _counts(everything: QuerySet[Compilation]) -> tuple[tuple[str, Text, int], ...]:
    """How many cases stand in each state, in the order of the procedure."""
    rows = everything.values("regulation", "state").annotate(count=Count("pk")).order_by()
    counts: dict[str, tuple[int, Text, int]] = {}
    for row in rows:
        states = named(row["regulation"]).procedure(PROCEDURE).states
        place = next((n for n, state in enumerate(states) if state.key == row["state"]), len(states))
        label = state_label(row["regulation"], row["state"])
        before = counts.get(row["state"], (place, label, 0))
        counts[row["state"]] = (before[0], before[1], before[2] + row["count"])
    ordered = sorted(counts.items(), key=lambda pair: pair[1][0])
    return tuple((key, label, count) for key, (_, label, count) in ordered)


def _narrowed(found: QuerySet[Compilation], asked: ListFilter) -> QuerySet[Compilation]:
    if asked.words:
        found = found.filter(Q(name_zh__icontains=asked.words) | Q(number__iexact=asked.words))
    if asked.kind in KINDS:
        found = found.filter(kind=asked.kind)
    if asked.department:
        found = found.filter(department_id=asked.department)
    return found


def _waiting(viewer: Viewer, everything: QuerySet[Compilation]) -> Q:
    """The cases of which the viewer may take a step, by state, side and regulation."""
    waiting = Q(pk__in=[])
    own = viewer.department.code
    as_provider = sides_of(viewer, own)
    as_body = as_provider - {PROVIDER}
    under_way = everything.filter(phase__in=OPEN_PHASES)
    for regulation, region in under_way.values_list("regulation", "department__region").distinct().order_by():
        states = named(regulation).procedure(PROCEDURE).states
        # Bodies act within their own region; a department's own cases are in it.
        here = region_of(own) == region
        for sides, whose in ((as_provider, Q(department_id=own)), (as_body, ~Q(department_id=own))):
            keys = [
                state.key for state in states if here and _steps(named(regulation), state.key, viewer, sides)
            ]
            if keys:
                waiting |= whose & Q(regulation=regulation, department__region=region, state__in=keys)
    return waiting


def _steps(rules: Regulation, state: str, viewer: Viewer, sides: frozenset[str]) -> tuple[Transition, ...]:
    """The steps the viewer may take from a state that lead it on or back; saving is none, nor giving up."""
    found = possible_actions(rules.procedure(PROCEDURE), state, viewer.capabilities, sides)
    return tuple(step for step in found if step.action not in (SAVE, WITHDRAW))


def steps_of(viewer: Viewer, case: Compilation) -> tuple[Transition, ...]:
    """The steps the viewer may take of a case now, each action once; a shortcut goes where it applies."""
    rules = named(case.regulation)
    sides = sides_of(viewer, case.department_id)
    found = possible_actions(rules.procedure(PROCEDURE), case.state, viewer.capabilities, sides)
    wording = case.kind == CompilationKind.CORRECTION
    fitting = [step for step in found if step.action != SAVE and bool(step.when) <= wording]
    first: dict[str, Transition] = {}
    for step in sorted(fitting, key=lambda one: not one.when):
        first.setdefault(step.action, step)
    return tuple(step for step in fitting if first[step.action] is step)


def may_edit(viewer: Viewer, case: Compilation) -> bool:
    """Tell whether the viewer may change the draft."""
    rules = named(case.regulation)
    sides = sides_of(viewer, case.department_id)
    found = possible_actions(rules.procedure(PROCEDURE), case.state, viewer.capabilities, sides)
    return case.kind != CompilationKind.WITHDRAWAL and any(step.action == SAVE for step in found)


def _rows(viewer: Viewer, found: QuerySet[Compilation], page: int) -> tuple[CompilationRow, ...]:
    related = found.select_related("department", "compiler").order_by("-changed_at", "-number")
    return tuple(_row(viewer, case) for case in related[(page - 1) * PAGE_SIZE : page * PAGE_SIZE])


def _row(viewer: Viewer, case: Compilation) -> CompilationRow:
    return CompilationRow(
        number=case.number,
        resource=case.resource,
        name=case.name_zh,
        kind=KINDS[case.kind],
        origin=ORIGINS[case.origin],
        department=department_ref(case.department),
        compiler=case.compiler.display_name,
        items=len(case.content.get("items", ())),
        state=case.state,
        state_label=state_label(case.regulation, case.state),
        phase=case.phase,
        changed_at=case.changed_at,
        editable=may_edit(viewer, case),
        actions=tuple(step.action for step in steps_of(viewer, case)),
    )


def _bulk_steps(rows: tuple[CompilationRow, ...]) -> tuple[BulkStep, ...]:
    """The steps that some of the rows offer, the ways forward first."""
    counts: dict[str, int] = {}
    for row in rows:
        for action in row.actions:
            counts[action] = counts.get(action, 0) + 1
    if not counts:
        return ()
    regulations = Compilation.objects.filter(number__in=[row.number for row in rows])
    found: dict[str, BulkStep] = {}
    for regulation in regulations.values_list("regulation", flat=True).distinct().order_by():
        for step in named(regulation).procedure(PROCEDURE).transitions:
            if step.action in counts and not step.when:
                found.setdefault(step.action, _bulk_step(step, regulation, counts[step.action]))
    return tuple(sorted(found.values(), key=lambda step: step.action in ENDS_BADLY))


def _bulk_step(step: Transition, regulation: str, count: int) -> BulkStep:
    return BulkStep(
        step.action,
        Text(step.zh, step.en),
        article_ref(step.article, regulation),
        "reason" in step.requires,
        count,
    )


def _departments(everything: QuerySet[Compilation]) -> tuple[DepartmentRef, ...]:
    codes = everything.values_list("department_id", flat=True).distinct().order_by()[:MAX_DEPARTMENTS]
    return tuple(
        department_ref(one) for one in Department.objects.filter(code__in=list(codes)).order_by("code")
    )


def state_label(regulation: str, key: str) -> Text:
    """How a state is called in its regulation."""
    state = named(regulation).procedure(PROCEDURE).state(key)
    return Text(state.zh, state.en) if state else Text(key, key)
