"""How departments keep their catalogues: the supervision report, open work, digitisation, return flow.

Source: guangzhou-2019 art. 8(5); shenyang-2016 art. 20(1), 26; xiamen-2015 art. 8, 10; CAT-23, MOD-13,
COL-07, COL-08.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Resource, Service
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.clocks.models import Clock
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.control.upkeep.changes import KIND, is_competent
from shuqiao.control.upkeep.models import Change, Maintenance
from shuqiao.rules.sharing import Openness

PAGE_SIZE = 50


@dataclass(frozen=True)
class DepartmentReport:
    """One department's catalogue: what it has, when it was last updated, and what is overdue.

    `maintained_on` is the day of its last signed full maintenance; `maintenance_over` counts periods that
    ended unsigned.
    """

    department: DepartmentRef
    entries: int
    updated_at: datetime | None
    changes: int
    open_changes: int
    overdue: int
    late: int
    maintained_on: date | None
    maintenance_over: int
    open_work: int
    not_digital: int
    not_returned: int


@dataclass(frozen=True)
class OpenEntry:
    """An entry with something left to do."""

    id: str
    name: Text
    department: DepartmentRef
    state: Text
    detail: str


@dataclass(frozen=True)
class OpenEntries:
    """A page of such entries, and how many there are in each state."""

    rows: tuple[OpenEntry, ...]
    states: tuple[tuple[Text, int], ...]
    total: int
    page: int
    pages: int


def sees_everyone(viewer: Viewer) -> bool:
    """Tell whether the viewer supervises the catalogues of all departments."""
    reviews = viewer.can(Capability.CATALOGUE_REVIEW) and is_competent(viewer.department.code)
    return viewer.can(Capability.AUDIT_VIEW_ALL) or reviews


def scope_of(viewer: Viewer, department: str = "") -> list[str] | None:
    """The departments a viewer sees: all (None) or one for who supervises, else its own.

    Raises `NotFound` for a role that neither compiles nor reviews nor supervises.
    """
    if sees_everyone(viewer):
        return [department] if department else None
    involved = (Capability.CATALOGUE_EDIT, Capability.CATALOGUE_REVIEW, Capability.AUDIT_VIEW)
    if not any(viewer.can(capability) for capability in involved):
        raise NotFound
    return [viewer.department.code]


def supervision(viewer: Viewer) -> tuple[DepartmentReport, ...]:
    """Report on each department that has entries or changes; the most overdue first. Source: CAT-23."""
    scope = scope_of(viewer)
    refs = department_refs()
    entries = _entries(scope)
    totals = _counts(entries)
    updated = dict(entries.values_list("department_id").annotate(at=Max("published_at")).order_by())
    work = _counts(without_service(scope))
    paper = _counts(not_digital(scope))
    returning = _counts(not_returned(scope))
    changes, clocks, kept = _changes(scope), _clocks(scope), _maintenance(scope)
    codes = totals.keys() | changes.keys() | kept.keys()
    rows = []
    for code in codes & refs.keys():
        every, opened = changes.get(code, (0, 0))
        overdue, late = clocks.get(code, (0, 0))
        signed, missed = kept.get(code, (None, 0))
        rows.append(
            DepartmentReport(
                department=refs[code],
                entries=totals.get(code, 0),
                updated_at=updated.get(code),
                changes=every,
                open_changes=opened,
                overdue=overdue,
                late=late,
                maintained_on=clock.legal_day(signed) if signed else None,
                maintenance_over=missed,
                open_work=work.get(code, 0),
                not_digital=paper.get(code, 0),
                not_returned=returning.get(code, 0),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.overdue - row.maintenance_over, row.department.code)))


def without_service(scope: Iterable[str] | None) -> QuerySet[Resource]:
    """Entries that are shareable but for which nothing is offered yet (MOD-13)."""
    offered = Service.objects.filter(resource_id=OuterRef("pk"), ended_at=None)
    closed = [one.key for one in regulation().share_types.types if one.openness == Openness.NOT_SHARED]
    found = _entries(scope).filter(~Exists(offered), shared=True)
    return found.exclude(share_type__in=closed) if closed else found


def not_digital(scope: Iterable[str] | None) -> QuerySet[Resource]:
    """Entries whose source is not in a database in structured form, or of which nobody says so (COL-07)."""
    said = _entries(scope).alias(digital=KeyTextTransform("digitisation", "content"))
    return said.filter(Q(digital__isnull=True) | ~Q(digital="database"))


def not_returned(scope: Iterable[str] | None) -> QuerySet[Resource]:
    """Entries whose data lie in a superior body's system and do not flow back wholly (COL-08)."""
    said = _entries(scope).alias(
        system=KeyTextTransform("superior_system", "content"),
        flow=KeyTextTransform("return_flow", "content"),
    )
    return said.filter(Q(flow__isnull=True) | ~Q(flow="running"), system__gt="")


def superior(scope: Iterable[str] | None) -> QuerySet[Resource]:
    """Every entry whose data lie in a superior body's system."""
    return _entries(scope).alias(system=KeyTextTransform("superior_system", "content")).filter(system__gt="")


def open_work(viewer: Viewer, page: int, department: str = "") -> OpenEntries:
    """List what is shareable but not offered. Source: xiamen-2015 art. 10; shenyang-2016 art. 20(1)."""
    found = without_service(scope_of(viewer, department))
    share_types = {one.key: Text(one.zh, one.en) for one in regulation().share_types.types}
    states = _by_state(found.values_list("share_type"), share_types, Text("可共享", "Shareable"))
    return _page(
        found, page, states, lambda row: share_types.get(row.share_type, Text("可共享", "Shareable"))
    )


def digitisation(viewer: Viewer, page: int, department: str = "") -> OpenEntries:
    """List what is not in a database, with how many entries are in each state of digitisation (COL-07)."""
    scope = scope_of(viewer, department)
    words = vocabulary().digitisation
    unsaid = Text("未填写", "Not said")
    every = _entries(scope).annotate(state_key=KeyTextTransform("digitisation", "content"))
    states = _by_state(every.values_list("state_key"), words, unsaid)
    return _page(
        not_digital(scope), page, states, lambda row: words.get(row.content.get("digitisation", ""), unsaid)
    )


def return_flow(viewer: Viewer, page: int, department: str = "") -> OpenEntries:
    """List the entries held in a superior system with the state of their return flow (COL-08)."""
    scope = scope_of(viewer, department)
    words = vocabulary().return_flow
    unsaid = Text("未填写", "Not said")
    every = superior(scope).annotate(flow=KeyTextTransform("return_flow", "content"))
    states = _by_state(every.values_list("flow"), words, unsaid)
    return _page(
        superior(scope), page, states, lambda row: words.get(row.content.get("return_flow", ""), unsaid)
    )


def _entries(scope: Iterable[str] | None) -> QuerySet[Resource]:
    found = Resource.objects.filter(state="published")
    return found if scope is None else found.filter(department_id__in=list(scope))


def _counts(found: QuerySet[Resource]) -> Mapping[str, int]:
    return dict(found.values_list("department_id").annotate(n=Count("pk")).order_by())


def _by_state(
    found: "QuerySet[Resource, tuple[str | None]]", words: Mapping[str, Text], unsaid: Text
) -> tuple[tuple[Text, int], ...]:
    """Count by state, in the order of the words, with what nobody has said last."""
    counts: dict[str, int] = {}
    for key, n in found.annotate(n=Count("pk")).order_by():
        known = key if key in words else ""
        counts[known] = counts.get(known, 0) + n
    ordered = [(label, counts[key]) for key, label in words.items() if key in counts]
    return (*ordered, (unsaid, counts[""])) if "" in counts else tuple(ordered)


def _page(
    found: QuerySet[Resource],
    page: int,
    states: tuple[tuple[Text, int], ...],
    state_of: Callable[[Resource], Text],
) -> OpenEntries:
    total, refs = found.count(), department_refs()
    rows = found.order_by("department_id", "code")[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    return OpenEntries(
        rows=tuple(
            OpenEntry(
                row.id,
                Text(row.name_zh, row.name_en or row.name_zh),
                refs[row.department_id],
                state_of(row),
                str(row.content.get("superior_system", "")),
            )
            for row in rows
        ),
        states=states,
        total=total,
        page=page,
        pages=max(1, -(-total // PAGE_SIZE)),
    )


def _changes(scope: Iterable[str] | None) -> Mapping[str, tuple[int, int]]:
    """All and open changes of each department."""
    found = Change.objects.all() if scope is None else Change.objects.filter(department_id__in=list(scope))
    rows = found.values_list("department_id").annotate(n=Count("pk"), o=Count("pk", Q(done_on=None)))
    return {code: (every, opened) for code, every, opened in rows.order_by()}


def _clocks(scope: Iterable[str] | None) -> Mapping[str, tuple[int, int]]:
    """Updates of each department that are overdue now, and those that were met or closed late."""
    found = Clock.objects.filter(kind=KIND)
    if scope is not None:
        found = found.filter(holder_id__in=list(scope))
    overdue = Q(ended_on=None, due_on__lt=clock.today())
    late = Q(ended_on__gt=F("due_on"))
    rows = found.values_list("holder_id").annotate(o=Count("pk", overdue), n=Count("pk", late))
    return {code: (now, before) for code, now, before in rows.order_by()}


def _maintenance(scope: Iterable[str] | None) -> Mapping[str, tuple[datetime | None, int]]:
    """When each department last signed, and how many periods ended unsigned."""
    found = Maintenance.objects.all()
    if scope is not None:
        found = found.filter(department_id__in=list(scope))
    missed = Q(signed_at=None, due_on__lt=clock.today())
    rows = found.values_list("department_id").annotate(at=Max("signed_at"), m=Count("pk", missed))
    return {code: (at, n) for code, at, n in rows.order_by()}
