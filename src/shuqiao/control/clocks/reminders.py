"""Telling of terms: before their last day, on it, and when it has passed.

Each is told once for each last day, however late, often or many times at once the job runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db import transaction
from django.db.models import F, Q, QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import ToTell, notify_all
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.clocks.holders import acting_capability, deadline_words
from shuqiao.control.clocks.models import Clock, ClockState
from shuqiao.control.organisations.bodies import COMPETENT, bodies_with
from shuqiao.control.regulations.current import calendar, named
from shuqiao.rules.deadlines import SOON_WORKING_DAYS
from shuqiao.rules.workdays import add_working_days

BATCH = 2000
"""So many clocks are told of in one run; the rest comes with the next."""


@dataclass(frozen=True)
class Told:
    """How many clocks were told of as soon due, due today, and over."""

    soon: int = 0
    due: int = 0
    over: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.soon + self.due + self.over


def remind() -> Told:
    """Tell of every open term that is soon due, due today or over, and mark those that are over."""
    today = clock.today()
    horizon = add_working_days(calendar(), today, SOON_WORKING_DAYS).day
    keys = list(_to_tell(today, horizon).order_by("due_on", "pk").values_list("pk", flat=True)[:BATCH])
    offices = bodies_with(COMPETENT) if keys else []
    found = [_tell(pk, today, horizon, offices) for pk in keys]
    return Told(found.count("soon"), found.count("due"), found.count("over"))


def _to_tell(today: date, horizon: date) -> QuerySet[Clock]:
    soon = Q(due_on__gt=today, due_on__lte=horizon) & _not_told("told_soon")
    due = Q(due_on=today) & _not_told("told_due")
    over = Q(due_on__lt=today) & _not_told("told_over")
    counting = Q(ended_on=None, state__in=[ClockState.RUNNING, ClockState.OVER])
    return Clock.objects.filter(counting, soon | due | over)


def _not_told(field: str) -> Q:
    return Q(**{f"{field}__isnull": True}) | ~Q(**{field: F("due_on")})


@transaction.atomic
def _tell(pk: int, today: date, horizon: date, offices: Sequence[str]) -> str:
    """Tell of one clock under its lock; nothing where another worker has it or has told already."""
    rows = _to_tell(today, horizon).select_for_update(skip_locked=True)
    row = rows.filter(pk=pk).first()
    if row is None:
        return ""
    if row.due_on < today:
        _tell_over(row, offices)
        return "over"
    if row.due_on == today:
        row.told_due = row.due_on
        row.save(update_fields=["told_due"])
        _notify_holder(row, "clock_due")
        return "due"
    row.told_soon = row.due_on
    row.save(update_fields=["told_soon"])
    _notify_holder(row, "clock_soon")
    return "soon"


def _tell_over(row: Clock, offices: Sequence[str]) -> None:
    """Mark a clock as over and tell who is late, who waits, and the office that watches over terms."""
    row.told_over, row.state = row.due_on, ClockState.OVER
    row.save(update_fields=["told_over", "state"])
    rules = named(row.regulation)
    append_entry(
        "clock_run_out",
        actor="system:worker",
        at=clock.now(),
        outcome="over",
        department=row.other_id or row.holder_id,
        provider=row.holder_id,
        case_no=row.number,
        facts={
            "regulation": row.regulation,
            "deadline": row.deadline,
            "due_on": row.due_on.isoformat(),
            "articles": [rules.cite(rules.deadline(row.deadline).article)],
        },
    )
    told = [_notice(row, "clock_over", row.holder_id, _capability(row))]
    if row.other_id and row.other_id != row.holder_id:
        told.append(_notice(row, "clock_over", row.other_id, ""))
    told += [_notice(row, "clock_over", code, Capability.DISPUTE_COORDINATE) for code in offices]
    notify_all(told)


def _notify_holder(row: Clock, code: str) -> None:
    notify_all([_notice(row, code, row.holder_id, _capability(row))])


def _capability(row: Clock) -> str:
    return acting_capability(row.regulation, row.kind, row.deadline)


def _notice(row: Clock, code: str, department: str, capability: str) -> ToTell:
    return ToTell(
        department,
        code,
        row.number,
        capability,
        f"{row.deadline}/{row.round}/{row.due_on}",
        {
            "kind": row.kind,
            "due_on": row.due_on.isoformat(),
            **deadline_words(named(row.regulation), row.deadline),
        },
    )
