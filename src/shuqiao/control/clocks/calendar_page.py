"""A year of the working calendar as its page shows it."""

import calendar as weeks
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.clocks.calendar import YEARS_AHEAD
from shuqiao.control.clocks.models import Clock
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.files import load_calendar, load_holiday_names
from shuqiao.control.regulations.models import CalendarDay, CalendarYear
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Words
from shuqiao.rules.workdays import Calendar, is_working_day


@dataclass(frozen=True)
class Day:
    """One day: `kind` is work, weekend, holiday, makeup, set_work or set_off; `label` says why."""

    day: date
    kind: str
    label: Text
    is_today: bool


@dataclass(frozen=True)
class Month:
    """One month in weeks from Monday; days of other months are None."""

    number: int
    name: Text
    weeks: tuple[tuple[Day | None, ...], ...]
    working_days: int


@dataclass(frozen=True)
class Year:
    """A year that can be shown; `standing` is announced, announced_here, provisional or missing."""

    year: int
    standing: str


@dataclass(frozen=True)
class SetDay:
    """A day that the office has set itself, with its reason and audit entry."""

    day: date
    working: bool
    reason: str
    entry: UUID


@dataclass(frozen=True)
class CalendarPage:
    """One year with its months, what the office has set in it, and what the viewer may do."""

    year: Year
    years: tuple[Year, ...]
    months: tuple[Month, ...]
    working_days: int
    set_days: tuple[SetDay, ...]
    open_clocks: int
    provisional_clocks: int
    can_edit: bool


def calendar_page(viewer: Viewer, year: int) -> CalendarPage:
    """A year of the calendar; anybody who is signed in may see it. Raises `NotFound` for other years."""
    years = calendar_years()
    shown = next((one for one in years if one.year == year), None)
    if shown is None:
        raise NotFound
    announced = load_calendar(regulation().calendar)
    own = tuple(
        SetDay(row.day, row.working, row.ground, row.entry_id)
        for row in CalendarDay.objects.filter(day__year=year)
    )
    months = tuple(_month(year, number, announced, own) for number in range(1, 13))
    open_clocks = Clock.objects.filter(ended_on=None)
    return CalendarPage(
        year=shown,
        years=years,
        months=months,
        working_days=sum(month.working_days for month in months),
        set_days=own,
        open_clocks=open_clocks.count(),
        provisional_clocks=open_clocks.filter(provisional=True).count(),
        can_edit=viewer.can(Capability.CALENDAR_EDIT),
    )


def calendar_years() -> tuple[Year, ...]:
    """Every year of the files or opened by the office, and those that can still be added."""
    filed = load_calendar(regulation().calendar).years
    opened = dict(CalendarYear.objects.values_list("year", "announced"))
    today = clock.today().year
    known = filed | opened.keys() | set(range(today, today + YEARS_AHEAD + 1))
    return tuple(Year(year, _standing(year, filed, opened)) for year in sorted(known))


def _standing(year: int, filed: frozenset[int], opened: dict[int, bool]) -> str:
    if year in filed:
        return "announced"
    if year not in opened:
        return "missing"
    return "announced_here" if opened[year] else "provisional"


def _month(year: int, number: int, announced: Calendar, own: tuple[SetDay, ...]) -> Month:
    names = load_holiday_names(regulation().calendar)
    kept = announced.with_days({one.day: one.working for one in own})
    rows = tuple(
        tuple(_day(day, announced, own, names) if day.month == number else None for day in week)
        for week in weeks.Calendar().monthdatescalendar(year, number)
    )
    worked = sum(1 for week in rows for one in week if one is not None and is_working_day(kept, one.day))
    return Month(number, Text(f"{number}月", weeks.month_name[number]), rows, worked)


def _day(day: date, announced: Calendar, own: tuple[SetDay, ...], names: Mapping[date, Words]) -> Day:
    mine = next((one for one in own if one.day == day), None)
    if mine is not None:
        kind = "set_work" if mine.working else "set_off"
        label = Text(mine.reason, mine.reason)
    elif day in announced.days:
        kind = "makeup" if announced.days[day] else "holiday"
        found = names.get(day)
        label = Text(found.zh, found.en) if found else Text("", "")
    else:
        kind = "weekend" if day.weekday() > 4 else "work"
        label = Text("", "")
    return Day(day, kind, label, day == clock.today())
