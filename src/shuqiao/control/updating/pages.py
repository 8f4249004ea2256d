"""What the pages show of updates: lists of changes, notices, exceptions and hindrances, and one entry."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from django.db.models import F, Model, Q, QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.catalogue.labels import UPDATE_CYCLES, label
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.control.updating.access import concerns, may_notice, may_provide, published, scope_of
from shuqiao.control.updating.duties import Duty, duty_of
from shuqiao.control.updating.exceptions import standing_of
from shuqiao.control.updating.hindrances import MATTER, hindrances_now
from shuqiao.control.updating.models import DataChange, Hindrance, MissedCycle, SlowUpdate, Told
from shuqiao.control.updating.rows import (
    ChangeRow,
    HindranceRow,
    SlowRow,
    ToldRow,
    change_rows,
    hindrance_rows,
    slow_rows,
    told_rows,
)
from shuqiao.control.updating.schedule import ScheduleRow, cycle_article, schedule_rows
from shuqiao.rules.updating import exception_of

Row = TypeVar("Row")
AnyModel = TypeVar("AnyModel", bound=Model)

PAGE_SIZE = 30
SHOWN = 20
SHOWN_CYCLES = 500


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
    cycle_article: ArticleRef
    majeure_article: ArticleRef
    notice_article: ArticleRef
    may_notice: bool
    may_provide: bool
    may_ask: bool
    may_record: bool
    today: date


def change_list(viewer: Viewer, page: int) -> Listed[ChangeRow]:
    """List the changes the viewer may see, open ones first."""
    found = DataChange.objects.filter(concerns(scope_of(viewer), "noticed_by_id"))
    rows, pages, total = _cut(found.order_by(F("done_on").desc(nulls_first=True), "happened_on"), page)
    return Listed(change_rows(viewer, rows), page, pages, total)


def change_page(viewer: Viewer, number: str) -> ChangeRow:
    """Return one change; raises `NotFound`."""
    found = DataChange.objects.filter(concerns(scope_of(viewer), "noticed_by_id"), number=number)
    rows = change_rows(viewer, found)
    if not rows:
        raise NotFound
    return rows[0]


def told_list(viewer: Viewer, page: int) -> Listed[ToldRow]:
    """List what the viewer's department was told of or told, the unconfirmed first."""
    scope = scope_of(viewer)
    mine = Q() if scope is None else Q(recipient_id=scope) | Q(resource__department_id=scope)
    found = Told.objects.filter(mine).order_by(F("confirmed_at").desc(nulls_first=True), "-told_at")
    rows, pages, total = _cut(found, page)
    return Listed(told_rows(viewer, rows), page, pages, total)


def slow_list(viewer: Viewer, page: int) -> Listed[SlowRow]:
    """List applications for slower updating, those to be decided first."""
    scope = scope_of(viewer)
    found = SlowUpdate.objects.all() if scope is None else SlowUpdate.objects.filter(department_id=scope)
    rows, pages, total = _cut(found.order_by(F("decided_on").desc(nulls_first=True), "-asked_at"), page)
    return Listed(slow_rows(viewer, rows), page, pages, total)


def hindrance_list(viewer: Viewer, page: int) -> Listed[HindranceRow]:
    """List the records of force majeure, those that last first."""
    scope = scope_of(viewer)
    found = Hindrance.objects.all() if scope is None else Hindrance.objects.filter(department_id=scope)
    rows, pages, total = _cut(found.order_by(F("ended_on").desc(nulls_first=True), "-began_on"), page)
    return Listed(hindrance_rows(viewer, rows), page, pages, total)


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
    schedule, duty = schedule_rows([resource.id]), duty_of(resource)
    return EntryUpdates(
        resource=resource.id,
        name=resource.name,
        provider=department_refs()[resource.department_id],
        duty=duty,
        cycle=label(UPDATE_CYCLES, resource.update_cycle),
        schedule=schedule[0] if schedule else None,
        missed=tuple(MissedCycle.objects.filter(resource=resource)[:SHOWN]),
        changes=change_rows(viewer, DataChange.objects.filter(resource=resource)[:SHOWN]),
        told=told_rows(viewer, told[:SHOWN]),
        slow=slow_rows(viewer, SlowUpdate.objects.filter(resource=resource)[:SHOWN]),
        hindrances=hindrance_rows(viewer, Hindrance.objects.filter(resource=resource)[:SHOWN]),
        exception=Text(rule.zh, rule.en) if rule else None,
        exception_article=article_ref(rule.article, rules.id) if rule else None,
        cycle_article=cycle_article(resource, duty),
        majeure_article=article_ref(rules.citations[MATTER], rules.id),
        notice_article=article_ref(rules.citations["update_notice"], rules.id),
        may_notice=may_notice(viewer, resource),
        may_provide=own,
        may_ask=own and rule is not None and standing_of(resource.id) is None,
        may_record=own and resource.id not in hindrances_now([resource.id]),
        today=clock.today(),
    )


def _cut(found: QuerySet[AnyModel], page: int) -> tuple[QuerySet[AnyModel], int, int]:
    total = found.count()
    return found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE], max(1, -(-total // PAGE_SIZE)), total


def entry_note(viewer: Viewer, resource_id: str) -> tuple[HindranceRow | None, bool]:
    """What the page of an entry says: a hindrance that lasts, and whether the viewer sees its updates."""
    found = Hindrance.objects.filter(resource=resource_id, ended_on=None)
    rows = hindrance_rows(viewer, found)
    resource = published(resource_id)
    sees = may_notice(viewer, resource) or viewer.department.code == resource.department_id
    return (rows[0] if rows else None), sees


def cycles_of(resources: Collection[str]) -> dict[str, ScheduleRow]:
    """How these entries stand to their cycles, for the table of jobs."""
    return {row.resource: row for row in schedule_rows(resources)}
