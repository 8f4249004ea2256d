"""Changing the working calendar: every open due date is counted anew in the same transaction.

Source: our choice, decision "legal clock": the office keeps the calendar, against the yearly announcement
where it must, always with a reason that the audit log keeps.
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import ToTell, notify_all
from shuqiao.control.audit.actions import Entry, append_entries, append_entry
from shuqiao.control.clocks.actions import lock_calendar
from shuqiao.control.clocks.holders import acting_capability, deadline_words
from shuqiao.control.clocks.models import Clock
from shuqiao.control.clocks.terms import store_term, term_of
from shuqiao.control.regulations.current import committed_calendar, forget_calendar, named
from shuqiao.control.regulations.models import CalendarDay, CalendarYear
from shuqiao.control.texts import Text

MAX_REASON_CHARS = 200
YEARS_AHEAD = 2
"""The calendar can be opened for so many years to come."""
SETTINGS = ("working", "off", "announced")
"""What a day can be set to; `announced` takes the office's own setting back."""
BATCH = 500

_EDIT = Text("调整工作日历", "Change the working calendar")


@dataclass(frozen=True)
class DayInput:
    """A day and what it is to be, with the reason for it."""

    day: date | None
    setting: str
    reason: str


@dataclass(frozen=True)
class Recount:
    """How many open due dates a change has moved; the change's audit entry."""

    moved: int
    entry: UUID


@transaction.atomic
def set_day(viewer: Viewer, given: DayInput) -> Recount:
    """Make a day a working day or a day off, or take that back; open due dates follow, ended ones never.

    Raises `FormRefused` for a day of a year the calendar does not have, or without a reason.
    """
    require(viewer, Capability.CALENDAR_EDIT, _EDIT)
    lock_calendar()
    day = _checked(given)
    reason = given.reason.strip()[:MAX_REASON_CHARS]
    entry = _record(viewer, given.setting, reason, {"day": day.isoformat()})
    if given.setting == "announced":
        CalendarDay.objects.filter(day=day).delete()
    else:
        CalendarDay.objects.update_or_create(
            day=day,
            defaults={
                "working": given.setting == "working",
                "ground": reason,
                "set_at": clock.now(),
                "entry_id": entry,
            },
        )
    return _recount(viewer, entry)


@transaction.atomic
def open_year(viewer: Viewer, year: int, reason: str) -> Recount:
    """Add a year that is not announced yet: its days can be set, and due dates in it stay provisional."""
    require(viewer, Capability.CALENDAR_EDIT, _EDIT)
    lock_calendar()
    faults = _reason_faults(reason)
    if not clock.today().year <= year <= clock.today().year + YEARS_AHEAD or _is_known(year):
        words = Text(
            f"{year} 年不能增加，或已在日历中", f"{year} can't be added, or is in the calendar already"
        )
        faults.append(Fault("year", "year_refused", words))
    if faults:
        raise FormRefused(tuple(faults))
    return _write_year(viewer, year, reason, announced=False)


@transaction.atomic
def announce_year(viewer: Viewer, year: int, reason: str) -> Recount:
    """Mark a year as announced once its days are entered: due dates in it are provisional no longer."""
    require(viewer, Capability.CALENDAR_EDIT, _EDIT)
    lock_calendar()
    faults = _reason_faults(reason)
    if not CalendarYear.objects.filter(year=year, announced=False).exists():
        words = Text(f"{year} 年不是暂定年份", f"{year} is not a provisional year")
        faults.append(Fault("year", "year_refused", words))
    if faults:
        raise FormRefused(tuple(faults))
    return _write_year(viewer, year, reason, announced=True)


def _write_year(viewer: Viewer, year: int, reason: str, *, announced: bool) -> Recount:
    words = reason.strip()[:MAX_REASON_CHARS]
    entry = _record(viewer, "year_announced" if announced else "year_opened", words, {"year": year})
    CalendarYear.objects.update_or_create(
        year=year,
        defaults={"announced": announced, "ground": words, "set_at": clock.now(), "entry_id": entry},
    )
    return _recount(viewer, entry)


def _checked(given: DayInput) -> date:
    faults = _reason_faults(given.reason)
    if given.setting not in SETTINGS:
        faults.append(
            Fault("setting", "setting_unknown", Text("请选择这一天如何计", "Choose what the day is"))
        )
    if given.day is None:
        faults.append(Fault("day", "day_invalid", Text("请填写日期", "Give a day")))
    elif not _is_known(given.day.year):
        words = Text(
            f"日历中没有 {given.day.year} 年，请先增加该年",
            f"The calendar has no year {given.day.year}; add it first",
        )
        faults.append(Fault("day", "year_unknown", words))
    if faults or given.day is None:
        raise FormRefused(tuple(faults))
    return given.day


def _reason_faults(reason: str) -> list[Fault]:
    if reason.strip():
        return []
    return [Fault("reason", "reason_required", Text("请写明理由或文号", "Give the reason or the document"))]


def _is_known(year: int) -> bool:
    return year in committed_calendar().years or CalendarYear.objects.filter(year=year).exists()


def _record(viewer: Viewer, outcome: str, reason: str, facts: dict[str, object]) -> UUID:
    return append_entry(
        "calendar_changed",
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=outcome,
        department=viewer.department.code,
        facts={"reason": reason, **facts},
    )


def _recount(viewer: Viewer, change: UUID) -> Recount:
    """Count every open clock by the calendar as it is now, and tell of each day that has moved."""
    kept = committed_calendar()
    touched: list[Clock] = []
    moved: list[tuple[Clock, date]] = []
    for row in Clock.objects.select_for_update().filter(ended_on=None).order_by("pk"):
        before = row.due_on
        if store_term(row, term_of(row), kept, clock.today()):
            touched.append(row)
        if row.due_on != before:
            moved.append((row, before))
    Clock.objects.bulk_update(touched, ["due_on", "provisional", "state"], batch_size=BATCH)
    append_entries([_entry(viewer, row, before, change) for row, before in moved])
    notify_all(notice for row, before in moved for notice in _notices(row, before, change))
    forget_calendar()
    # Another request may have filled this process's copy from before this transaction's end.
    transaction.on_commit(forget_calendar)
    return Recount(len(moved), change)


def _entry(viewer: Viewer, row: Clock, before: date, change: UUID) -> Entry:
    return Entry(
        "due_date_moved",
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome="moved",
        department=row.other_id or row.holder_id,
        provider=row.holder_id,
        case_no=row.number,
        facts={
            "regulation": row.regulation,
            "deadline": row.deadline,
            "due_before": before.isoformat(),
            "due_on": row.due_on.isoformat(),
            "change": str(change),
        },
    )


def _notices(row: Clock, before: date, change: UUID) -> list[ToTell]:
    """What is told to who must act and to who waits."""
    params = {
        "kind": row.kind,
        "due_on": row.due_on.isoformat(),
        "before": before.isoformat(),
        **deadline_words(named(row.regulation), row.deadline),
    }
    told = {row.holder_id: acting_capability(row.regulation, row.kind, row.deadline)}
    if row.other_id and row.other_id != row.holder_id:
        told[row.other_id] = ""
    return [
        ToTell(department, "due_date_moved", row.number, capability, f"{row.deadline}/{change}", params)
        for department, capability in told.items()
    ]
