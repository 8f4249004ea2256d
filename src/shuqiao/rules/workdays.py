"""Working days of a calendar with public holidays and make-up working days.

A year the calendar does not know is counted by weekends alone and every result that touched it says so.
Source: the yearly notices of the State Council, as data of regulations/calendars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

LONGEST_TERM_DAYS = 3650
"""No term of the rules comes near ten years; counting stops there instead of running on."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Exceptions to the week: `days` says of a date whether it is worked; `years` are the announced ones."""

    years: frozenset[int]
    days: Mapping[date, bool] = field(default_factory=dict)

    def with_days(self, changes: Mapping[date, bool]) -> Calendar:
        """The same calendar with days that the office has set itself."""
        return Calendar(self.years, {**self.days, **changes})

    def with_years(self, announced: Iterable[int]) -> Calendar:
        """The same calendar with years whose days the office has entered from their announcement."""
        return Calendar(self.years | frozenset(announced), self.days)


@dataclass(frozen=True, slots=True)
class Counted:
    """A day found by counting; provisional when a year on the way is not announced yet."""

    day: date
    provisional: bool


def is_working_day(calendar: Calendar, day: date) -> bool:
    """Whether offices work on `day`: an announced exception, otherwise Monday to Friday."""
    exception = calendar.days.get(day)
    return day.weekday() < 5 if exception is None else exception


def add_working_days(calendar: Calendar, start: date, count: int) -> Counted:
    """The `count`-th working day after `start`; `start` itself never counts, and 0 gives `start`."""
    if not 0 <= count <= LONGEST_TERM_DAYS // 2:
        raise ValueError("not a term in working days")
    day, left = start, count
    while left:
        day += timedelta(days=1)
        left -= is_working_day(calendar, day)
        if (day - start).days > LONGEST_TERM_DAYS:
            raise ValueError("the calendar has too few working days")
    return Counted(day, _provisional(calendar, start, day))


def working_days_between(calendar: Calendar, after: date, until: date) -> int:
    """Working days in (after, until]; negative, counted the other way round, when `until` lies before."""
    if until < after:
        return -working_days_between(calendar, until, after)
    return sum(1 for _ in working_days(calendar, after, until))


def working_days(calendar: Calendar, after: date, until: date) -> Iterable[date]:
    """The working days in (after, until], in order."""
    if (until - after).days > LONGEST_TERM_DAYS:
        raise ValueError("the span is too long to count")
    for number in range(1, (until - after).days + 1):
        day = after + timedelta(days=number)
        if is_working_day(calendar, day):
            yield day


def _provisional(calendar: Calendar, first: date, last: date) -> bool:
    return any(year not in calendar.years for year in range(first.year, last.year + 1))
