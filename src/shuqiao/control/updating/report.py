"""The report of updates: each department's changes, missed cycles and notices, counted (UPD-01)."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, F, QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.clocks.models import Clock
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.updating.access import scope_of
from shuqiao.control.updating.changes import KIND
from shuqiao.control.updating.models import DataChange, MissedCycle, Told


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
    return Counter(dict(found.order_by().values_list(of).annotate(number=Count("pk"))))
