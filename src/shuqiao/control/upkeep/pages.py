"""What the pages show of upkeep: changes with their terms, the full maintenance, the report to take away."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Q, QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.clocks.queries import CaseClock, clocks_of
from shuqiao.control.compiling.districts import region_of, rules_for
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.control.upkeep.changes import KIND, is_competent, may_register_for, term_of
from shuqiao.control.upkeep.maintenance import Checked, EntryFinding, period_of, stored_finding
from shuqiao.control.upkeep.models import Change, ChangeKind, Maintenance
from shuqiao.control.upkeep.report import DepartmentReport, scope_of, sees_everyone
from shuqiao.rules.regulation import SETTING

PAGE_SIZE = 30
MAX_CHOICES = 500

KIND_WORDS = {
    ChangeKind.LAW: Text("法律法规修改", "Law amended"),
    ChangeKind.FUNCTIONS: Text("行政职能变更", "Functions changed"),
    ChangeKind.RESOURCE: Text("目录要素或可共享资源变化", "Elements or shareable resources changed"),
}


@dataclass(frozen=True)
class TouchedRow:
    """An entry that a change touches; `done_on` and the case once it has been brought up to date."""

    resource: str
    name: Text
    done_on: date | None
    compilation: str


@dataclass(frozen=True)
class ChangeRow:
    """One change; `clock` is its term, absent where the regulation sets none."""

    number: str
    kind: Text
    department: DepartmentRef
    happened_on: date
    document: str
    description: str
    done_on: date | None
    closing: str
    total: int
    done: int
    clock: CaseClock | None


@dataclass(frozen=True)
class ChangePage:
    """One change in full."""

    row: ChangeRow
    touched: tuple[TouchedRow, ...]
    by: str
    registered_at: datetime
    entry: str
    article: ArticleRef | None
    may_close: bool
    may_update: bool


@dataclass(frozen=True)
class ChangeList:
    """A page of changes, open ones first."""

    rows: tuple[ChangeRow, ...]
    page: int
    pages: int
    total: int
    may_register: bool
    everyone: bool


@dataclass(frozen=True)
class TermRow:
    """What a kind of change means under the regulation: its term, or none."""

    kind: str
    label: Text
    working_days: int | None
    article: ArticleRef


@dataclass(frozen=True)
class ChangeForm:
    """What the form of a change needs: for which departments, which entries of the chosen one, the terms."""

    department: str
    query: str
    departments: tuple[tuple[str, Text], ...]
    entries: tuple[tuple[str, Text], ...]
    more: int
    terms: tuple[TermRow, ...]


@dataclass(frozen=True)
class MaintenanceRow:
    """One period of a department."""

    key: int
    department: DepartmentRef
    starts_on: date
    due_on: date
    is_over: bool
    signed_at: datetime | None
    signed_by: str
    statement: str
    entries: int
    counts: tuple[tuple[str, int], ...]
    findings: tuple[EntryFinding, ...]
    entry: str


@dataclass(frozen=True)
class MaintenancePage:
    """A department's periods, what a check found just now, and what the regulation says."""

    department: DepartmentRef
    months: int | None
    article: ArticleRef | None
    period: tuple[date, date] | None
    open: MaintenanceRow | None
    rows: tuple[MaintenanceRow, ...]
    checked: Checked | None
    may_sign: bool


def change_list(viewer: Viewer, page: int) -> ChangeList:
    """List the changes the viewer may see."""
    found = _visible(viewer)
    total = found.count()
    rows = list(
        found.select_related("department")
        .prefetch_related("touched")
        .order_by("done_on", "-registered_at", "-number")[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    )
    # PostgreSQL sorts what is absent last: open changes come first all the same.
    rows.sort(key=lambda row: row.done_on is not None)
    clocks = clocks_of(KIND, [row.number for row in rows])
    return ChangeList(
        rows=tuple(_row(row, clocks.get(row.number, ())) for row in rows),
        page=page,
        pages=max(1, -(-total // PAGE_SIZE)),
        total=total,
        may_register=bool(_registered_for(viewer)),
        everyone=sees_everyone(viewer),
    )


def change_page(viewer: Viewer, number: str) -> ChangePage:
    """Show one change."""
    found = _visible(viewer).select_related("department", "registered_by")
    change = found.filter(number=number).first()
    if change is None:
        raise NotFound
    touched = change.touched.select_related("resource").order_by("resource__code")
    clocks = clocks_of(KIND, [number]).get(number, ())
    rules = named(change.regulation)
    term = term_of(ChangeKind(change.kind), rules)
    return ChangePage(
        row=_row(change, clocks),
        touched=tuple(
            TouchedRow(
                one.resource_id,
                one.resource.name,
                one.done_on,
                one.compilation,
            )
            for one in touched
        ),
        by=change.registered_by.display_name,
        registered_at=change.registered_at,
        entry=str(change.entry_id),
        article=article_ref(term.article, rules.id) if term else None,
        may_close=change.done_on is None and may_register_for(viewer, change.department_id),
        may_update=change.department_id == viewer.department.code and viewer.can(Capability.CATALOGUE_EDIT),
    )


def change_form(viewer: Viewer, department: str, query: str = "", chosen: Collection[str] = ()) -> ChangeForm:
    """Return what the form of a change needs; raises `NotFound` for who registers none.

    Of a long catalogue the entries whose name holds the query are offered, and those chosen already.
    """
    codes = _registered_for(viewer)
    if not codes:
        raise NotFound
    whose = department if department in codes else next(iter(codes))
    own = Resource.objects.filter(department_id=whose, state="published").order_by("code")
    words = query.strip()[:60]
    if words:
        own = own.filter(Q(name_zh__icontains=words) | Q(pk__in=list(chosen)))
    rows = own.values_list("id", "name_zh", "name_en")[:MAX_CHOICES]
    rules = rules_for(whose)
    terms = []
    for kind in ChangeKind:
        term = term_of(kind, rules)
        article = article_ref(term.article if term else SETTING, rules.id)
        terms.append(TermRow(kind.value, KIND_WORDS[kind], term.working_days if term else None, article))
    return ChangeForm(
        department=whose,
        query=words,
        departments=tuple((code, name) for code, name in codes.items()),
        entries=tuple((key, Text(zh, en or zh)) for key, zh, en in rows),
        more=max(0, own.count() - MAX_CHOICES),
        terms=tuple(terms),
    )


def maintenance_page(viewer: Viewer, department: str, checked: Checked | None = None) -> MaintenancePage:
    """Show a department's full maintenance: one's own, or anyone's to who supervises."""
    code = department if department and sees_everyone(viewer) else viewer.department.code
    scope_of(viewer)
    body = Department.objects.filter(code=code).first()
    if body is None:
        raise NotFound
    rules = rules_for(code)
    months = rules.maintenance_months
    found = Maintenance.objects.filter(department_id=code).select_related("department", "signed_by")
    rows = [_maintenance_row(row) for row in found[:20]]
    period = period_of(clock.today(), months) if months else None
    unsigned = [row for row in rows if row.signed_at is None]
    own = code == viewer.department.code
    return MaintenancePage(
        department=department_ref(body),
        months=months,
        article=article_ref(rules.maintenance_article, rules.id) if months else None,
        period=(period.first, period.last) if period else None,
        open=unsigned[-1] if unsigned else None,
        rows=tuple(rows),
        checked=checked,
        may_sign=own and viewer.can(Capability.CATALOGUE_EDIT) and bool(unsigned),
    )


def maintenance_record(viewer: Viewer, key: int) -> MaintenanceRow:
    """Show one period with what was found when it was signed."""
    scope = scope_of(viewer)
    found = Maintenance.objects.filter(pk=key).select_related("department", "signed_by")
    row = (found if scope is None else found.filter(department_id__in=scope)).first()
    if row is None:
        raise NotFound
    return _maintenance_row(row)


REPORT_HEAD = (
    "部门代码",
    "部门",
    "目录条目数",
    "最近更新",
    "登记变更数",
    "未办结变更",
    "更新逾期",
    "逾期后更新",
    "最近全面维护",
    "未按期维护",
    "可共享未提供服务",
    "未数字化",
    "未回流",
)


def report_table(rows: tuple[DepartmentReport, ...]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Give the supervision report as a table to take away."""
    return REPORT_HEAD, [
        (
            row.department.code,
            row.department.name.zh,
            str(row.entries),
            clock.legal_day(row.updated_at).isoformat() if row.updated_at else "",
            str(row.changes),
            str(row.open_changes),
            str(row.overdue),
            str(row.late),
            row.maintained_on.isoformat() if row.maintained_on else "",
            str(row.maintenance_over),
            str(row.open_work),
            str(row.not_digital),
            str(row.not_returned),
        )
        for row in rows
    ]


def _visible(viewer: Viewer) -> QuerySet[Change]:
    scope = scope_of(viewer)
    return Change.objects.all() if scope is None else Change.objects.filter(department_id__in=scope)


def _registered_for(viewer: Viewer) -> dict[str, Text]:
    """The departments whose changes the viewer registers, its own first."""
    own, found = viewer.department.code, {}
    if may_register_for(viewer, own):
        found[own] = viewer.department.name
    if viewer.can(Capability.CATALOGUE_REVIEW) and is_competent(own):
        holding = Q(pk__in=Resource.objects.filter(state="published").values("department_id"))
        others = Department.objects.filter(holding, active=True, region=region_of(own)).exclude(code=own)
        found |= {one.code: Text(one.name_zh, one.name_en) for one in others.order_by("code")}
    return found


def _row(change: Change, clocks: tuple[CaseClock, ...]) -> ChangeRow:
    touched = list(change.touched.all())
    return ChangeRow(
        number=change.number,
        kind=KIND_WORDS[ChangeKind(change.kind)],
        department=department_ref(change.department),
        happened_on=change.happened_on,
        document=change.document,
        description=change.description,
        done_on=change.done_on,
        closing=change.closing,
        total=len(touched),
        done=sum(one.done_on is not None for one in touched),
        clock=clocks[-1] if clocks else None,
    )


def _maintenance_row(row: Maintenance) -> MaintenanceRow:
    return MaintenanceRow(
        key=row.pk,
        department=department_ref(row.department),
        starts_on=row.starts_on,
        due_on=row.due_on,
        is_over=row.signed_at is None and row.due_on < clock.today(),
        signed_at=row.signed_at,
        signed_by=row.signed_by.display_name if row.signed_by else "",
        statement=row.statement,
        entries=row.entries,
        counts=tuple(row.counts.items()),
        findings=tuple(stored_finding(one) for one in row.findings),
        entry=str(row.entry_id or ""),
    )
