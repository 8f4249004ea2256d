"""What the pages show of updates: changes with their days, one entry, notices, exceptions and the report."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, TypeVar

from django.db.models import F, Model, Q, QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.labels import UPDATE_CYCLES, label
from shuqiao.control.clocks.models import Clock
from shuqiao.control.clocks.queries import CaseClock, clocks_of
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import calendar
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.control.updating import ledger
from shuqiao.control.updating.access import concerns, may_decide, may_notice, may_provide, published, scope_of
from shuqiao.control.updating.changes import KIND, rule_of
from shuqiao.control.updating.duties import Duty, duty_of
from shuqiao.control.updating.exceptions import standing_of
from shuqiao.control.updating.hindrances import MATTER, hindrances_now
from shuqiao.control.updating.models import DataChange, Decision, Hindrance, MissedCycle, SlowUpdate, Told
from shuqiao.control.updating.schedule import ScheduleRow, schedule_rows
from shuqiao.rules.updating import Period, exception_of, next_window, window_of

Row = TypeVar("Row")
AnyModel = TypeVar("AnyModel", bound=Model)

PAGE_SIZE = 30
SHOWN = 20
SHOWN_CYCLES = 500
DECISIONS = {
    Decision.ASKED.value: Text("待审核", "To be decided"),
    Decision.APPROVED.value: Text("已批准", "Approved"),
    Decision.REFUSED.value: Text("未批准", "Not approved"),
}


@dataclass(frozen=True)
class ChangeRow:
    """One change: `clock` where a term of the regulation runs, else `due_on`, which may be none."""

    number: str
    resource: str
    name: Text
    provider: DepartmentRef
    noticed_by: DepartmentRef
    happened_on: date
    description: str
    rule: Text
    article: ArticleRef | None
    clock: CaseClock | None
    due_on: date | None
    provisional: bool
    is_over: bool
    done_on: date | None
    was_late: bool
    by_batch: int | None
    statement: str
    may_state: bool


@dataclass(frozen=True)
class ToldRow:
    """An update that a recipient was told of."""

    key: int
    resource: str
    name: Text
    recipient: DepartmentRef
    ways: tuple[Text, ...]
    told_at: datetime
    change: str
    confirmed_at: datetime | None
    by: str
    by_receipt: bool
    may_confirm: bool


@dataclass(frozen=True)
class SlowRow:
    """An application for slower updating; `windows` are the next ones of an approval that stands."""

    key: int
    resource: str
    name: Text
    provider: DepartmentRef
    reason: str
    asked_at: datetime
    decision: str
    words: Text
    decided_on: date | None
    note: str
    ended_on: date | None
    article: ArticleRef | None
    windows: tuple[Period, ...]
    may_decide: bool
    may_end: bool

    @property
    def is_standing(self) -> bool:
        """Approved and in force."""
        return self.decision == Decision.APPROVED and self.ended_on is None


@dataclass(frozen=True)
class HindranceRow:
    """A record of force majeure."""

    key: int
    resource: str
    name: Text
    provider: DepartmentRef
    began_on: date
    cause: str
    remedy: str
    expected_on: date | None
    recorded_at: datetime
    ended_on: date | None
    may_end: bool


@dataclass(frozen=True)
class Listed(Generic[Row]):
    """One page of a list."""

    rows: tuple[Row, ...]
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class EntryUpdates:
    """Everything about the updates of one entry, and what the viewer may do about it."""

    resource: str
    name: Text
    provider: DepartmentRef
    duty: Duty | None
    cycle: Text
    schedule: ScheduleRow | None
    missed: tuple[MissedCycle, ...]
    changes: tuple[ChangeRow, ...]
    told: tuple[ToldRow, ...]
    slow: tuple[SlowRow, ...]
    hindrances: tuple[HindranceRow, ...]
    exception: Text | None
    exception_article: ArticleRef | None
    majeure_article: ArticleRef
    notice_article: ArticleRef
    may_notice: bool
    may_provide: bool
    may_ask: bool
    may_record: bool
    today: date


@dataclass(frozen=True)
class DepartmentUpdates:
    """One department's updates: open, overdue and late changes, missed cycles, notices not confirmed."""

    department: DepartmentRef
    changes: int
    open: int
    overdue: int
    late: int
    missed: int
    hindered: int
    unconfirmed: int


def change_list(viewer: Viewer, page: int) -> Listed[ChangeRow]:
    """List the changes the viewer may see, open ones first."""
    found = DataChange.objects.filter(concerns(scope_of(viewer), "noticed_by_id"))
    rows, pages, total = _cut(found.order_by(F("done_on").desc(nulls_first=True), "happened_on"), page)
    return Listed(_change_rows(viewer, rows), page, pages, total)


def change_page(viewer: Viewer, number: str) -> ChangeRow:
    """Return one change; raises `NotFound`."""
    found = DataChange.objects.filter(concerns(scope_of(viewer), "noticed_by_id"), number=number)
    rows = _change_rows(viewer, found)
    if not rows:
        raise NotFound
    return rows[0]


def told_list(viewer: Viewer, page: int) -> Listed[ToldRow]:
    """List what the viewer's department was told of or told, the unconfirmed first."""
    scope = scope_of(viewer)
    mine = Q() if scope is None else Q(recipient_id=scope) | Q(resource__department_id=scope)
    found = Told.objects.filter(mine).order_by(F("confirmed_at").desc(nulls_first=True), "-told_at")
    rows, pages, total = _cut(found, page)
    return Listed(_told_rows(viewer, rows), page, pages, total)


def slow_list(viewer: Viewer, page: int) -> Listed[SlowRow]:
    """List applications for slower updating, those to be decided first."""
    scope = scope_of(viewer)
    found = SlowUpdate.objects.all() if scope is None else SlowUpdate.objects.filter(department_id=scope)
    rows, pages, total = _cut(found.order_by(F("decided_on").desc(nulls_first=True), "-asked_at"), page)
    return Listed(_slow_rows(viewer, rows), page, pages, total)


def hindrance_list(viewer: Viewer, page: int) -> Listed[HindranceRow]:
    """List the records of force majeure, those that last first."""
    scope = scope_of(viewer)
    found = Hindrance.objects.all() if scope is None else Hindrance.objects.filter(department_id=scope)
    rows, pages, total = _cut(found.order_by(F("ended_on").desc(nulls_first=True), "-began_on"), page)
    return Listed(_hindrance_rows(viewer, rows), page, pages, total)


def schedule_list(viewer: Viewer) -> tuple[tuple[ScheduleRow, DepartmentRef], ...]:
    """List how deliveries stand to their cycles: the late ones first, as many as a page holds."""
    refs, rows = department_refs(), schedule_rows(department=scope_of(viewer))
    return tuple((row, refs[row.department]) for row in rows[:SHOWN_CYCLES])


def entry_updates(viewer: Viewer, resource_id: str) -> EntryUpdates:
    """Return the page of one entry; raises `NotFound` for who has nothing to do with it."""
    resource = published(resource_id)
    scope_of(viewer)
    if not (may_notice(viewer, resource) or viewer.department.code == resource.department_id):
        raise NotFound
    rules, own = rules_for(resource.department_id), may_provide(viewer, resource.department_id)
    rule = exception_of(rules.updates)
    told = Told.objects.filter(resource=resource)
    if not own and scope_of(viewer) is not None:
        told = told.filter(recipient_id=viewer.department.code)
    schedule = schedule_rows([resource.id])
    return EntryUpdates(
        resource=resource.id,
        name=resource.name,
        provider=department_refs()[resource.department_id],
        duty=duty_of(resource),
        cycle=label(UPDATE_CYCLES, resource.update_cycle),
        schedule=schedule[0] if schedule else None,
        missed=tuple(MissedCycle.objects.filter(resource=resource)[:SHOWN]),
        changes=_change_rows(viewer, DataChange.objects.filter(resource=resource)[:SHOWN]),
        told=_told_rows(viewer, told[:SHOWN]),
        slow=_slow_rows(viewer, SlowUpdate.objects.filter(resource=resource)[:SHOWN]),
        hindrances=_hindrance_rows(viewer, Hindrance.objects.filter(resource=resource)[:SHOWN]),
        exception=Text(rule.zh, rule.en) if rule else None,
        exception_article=article_ref(rule.article, rules.id) if rule else None,
        majeure_article=article_ref(rules.citations[MATTER], rules.id),
        notice_article=article_ref(rules.citations["update_notice"], rules.id),
        may_notice=may_notice(viewer, resource),
        may_provide=own,
        may_ask=own and rule is not None and standing_of(resource.id) is None,
        may_record=own and resource.id not in hindrances_now([resource.id]),
        today=clock.today(),
    )


def updates_report(viewer: Viewer) -> tuple[DepartmentUpdates, ...]:
    """Count changes, missed cycles and notices of each department, the most overdue first (UPD-01)."""
    scope, refs, today = scope_of(viewer), department_refs(), clock.today()
    changes = DataChange.objects.all()
    every = _per(changes, "department_id")
    opened = _per(changes.filter(done_on=None), "department_id")
    own_day = changes.filter(deadline="")
    running = Clock.objects.filter(kind=KIND)
    over = _per(own_day.filter(done_on=None, due_on__lt=today), "department_id")
    over += _per(running.filter(ended_on=None, due_on__lt=today), "holder_id")
    late = _per(own_day.filter(done_on__gt=F("due_on")), "department_id")
    late += _per(running.filter(ended_on__gt=F("due_on")), "holder_id")
    missed = _per(MissedCycle.objects.filter(hindrance=None), "department_id")
    hindered = _per(MissedCycle.objects.exclude(hindrance=None), "department_id")
    waiting = _per(Told.objects.filter(confirmed_at=None), "recipient_id")
    codes = {*every, *missed, *hindered, *waiting} & refs.keys()
    rows = [
        DepartmentUpdates(
            refs[code],
            every[code],
            opened[code],
            over[code],
            late[code],
            missed[code],
            hindered[code],
            waiting[code],
        )
        for code in codes
        if scope in (None, code)
    ]
    return tuple(sorted(rows, key=lambda row: (-row.overdue - row.missed, row.department.code)))


REPORT_HEAD = (
    "部门代码",
    "部门",
    "登记变化数",
    "待更新",
    "更新逾期",
    "逾期后更新",
    "未按周期更新",
    "因不可抗力未按周期",
    "待确认更新",
)


def report_table(rows: tuple[DepartmentUpdates, ...]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Give the report as a table to take away."""
    return REPORT_HEAD, [
        (row.department.code, row.department.name.zh, *map(str, (
            row.changes, row.open, row.overdue, row.late, row.missed, row.hindered, row.unconfirmed,
        )))
        for row in rows
    ]  # fmt: skip


def _per(
    found: QuerySet[DataChange] | QuerySet[Clock] | QuerySet[MissedCycle] | QuerySet[Told], of: str
) -> Counter[str]:
    return Counter(found.order_by().values_list(of, flat=True))


def _cut(found: QuerySet[AnyModel], page: int) -> tuple[QuerySet[AnyModel], int, int]:
    total = found.count()
    return found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE], max(1, -(-total // PAGE_SIZE)), total


def _change_rows(viewer: Viewer, found: QuerySet[DataChange]) -> tuple[ChangeRow, ...]:
    rows = list(found.select_related("resource"))
    clocks, refs, today = clocks_of(KIND, [row.number for row in rows]), department_refs(), clock.today()
    shown = []
    for row in rows:
        rule, running = rule_of(row), clocks.get(row.number, ())
        due_on = running[-1].due_on if running else row.due_on
        shown.append(
            ChangeRow(
                number=row.number,
                resource=row.resource_id,
                name=row.resource.name,
                provider=refs[row.department_id],
                noticed_by=refs[row.noticed_by_id],
                happened_on=row.happened_on,
                description=row.description,
                rule=Text(rule.zh, rule.en) if rule else Text("现行规则未定", "The regulation sets none"),
                article=article_ref(rule.article, row.regulation) if rule else None,
                clock=running[-1] if running else None,
                due_on=due_on,
                provisional=running[-1].provisional if running else row.provisional,
                is_over=row.done_on is None and due_on is not None and due_on < today,
                done_on=row.done_on,
                was_late=row.done_on is not None and due_on is not None and row.done_on > due_on,
                by_batch=row.by_batch,
                statement=row.statement,
                may_state=row.done_on is None and may_provide(viewer, row.department_id),
            )
        )
    return tuple(shown)


def _told_rows(viewer: Viewer, found: QuerySet[Told]) -> tuple[ToldRow, ...]:
    refs = department_refs()
    return tuple(
        ToldRow(
            key=row.pk,
            resource=row.resource_id,
            name=row.resource.name,
            recipient=refs[row.recipient_id],
            ways=tuple(ledger.WAYS[way] for way in row.ways),
            told_at=row.told_at,
            change=row.change_id or "",
            confirmed_at=row.confirmed_at,
            by=row.confirmed_by.display_name if row.confirmed_by else "",
            by_receipt=row.receipt is not None,
            may_confirm=row.confirmed_at is None
            and row.recipient_id == viewer.department.code
            and viewer.can(Capability.GRANT_USE),
        )
        for row in found.select_related("resource", "confirmed_by")
    )


def _slow_rows(viewer: Viewer, found: QuerySet[SlowUpdate]) -> tuple[SlowRow, ...]:
    refs, shown = department_refs(), []
    for row in found.select_related("resource"):
        rule = exception_of(rules_for(row.department_id).updates)
        stands = row.decision == Decision.APPROVED and row.ended_on is None and rule is not None
        own, decides = may_provide(viewer, row.department_id), may_decide(viewer, row.department_id)
        is_asked = row.decision == Decision.ASKED and row.ended_on is None
        windows: tuple[Period, ...] = ()
        if stands and rule is not None:
            first = next_window(rule, clock.today(), calendar())
            windows = (first, window_of(rule, _after(first), calendar()))
        shown.append(
            SlowRow(
                key=row.pk,
                resource=row.resource_id,
                name=row.resource.name,
                provider=refs[row.department_id],
                reason=row.reason,
                asked_at=row.asked_at,
                decision=row.decision,
                words=DECISIONS[row.decision],
                decided_on=row.decided_on,
                note=row.note,
                ended_on=row.ended_on,
                article=article_ref(rule.article, row.regulation) if rule else None,
                windows=windows,
                may_decide=is_asked and decides,
                may_end=(is_asked and own) or (stands and (own or decides)),
            )
        )
    return tuple(shown)


def _after(window: Period) -> date:
    """A day of the quarter after that of a window."""
    month = window.first.month + 3
    return date(window.first.year + (month > 12), month if month <= 12 else 1, 1)


def _hindrance_rows(viewer: Viewer, found: QuerySet[Hindrance]) -> tuple[HindranceRow, ...]:
    refs = department_refs()
    return tuple(
        HindranceRow(
            key=row.pk,
            resource=row.resource_id,
            name=row.resource.name,
            provider=refs[row.department_id],
            began_on=row.began_on,
            cause=row.cause,
            remedy=row.remedy,
            expected_on=row.expected_on,
            recorded_at=row.recorded_at,
            ended_on=row.ended_on,
            may_end=row.ended_on is None and may_provide(viewer, row.department_id),
        )
        for row in found.select_related("resource")
    )


def entry_note(viewer: Viewer, resource_id: str) -> tuple[HindranceRow | None, bool]:
    """What the page of an entry says: a hindrance that lasts, and whether the viewer sees its updates."""
    found = Hindrance.objects.filter(resource=resource_id, ended_on=None)
    rows = _hindrance_rows(viewer, found)
    resource = published(resource_id)
    sees = may_notice(viewer, resource) or viewer.department.code == resource.department_id
    return (rows[0] if rows else None), sees


def cycles_of(resources: Collection[str]) -> dict[str, ScheduleRow]:
    """How these entries stand to their cycles, for the table of jobs."""
    return {row.resource: row for row in schedule_rows(resources)}
