"""Due dates and the legal clock: what a term of the regulation means on the calendar.

Source: guangzhou-2016 art. 35(1) for the terms; whether the start day counts is left open by the text and is
a setting of the regulation file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from shuqiao.rules.regulation import Deadline, Regulation
from shuqiao.rules.workdays import (
    Calendar,
    add_working_days,
    is_working_day,
    working_days,
    working_days_between,
)

SOON_WORKING_DAYS = 2
"""From this many working days left a clock is shown as urgent. Source: our choice, decision "legal clock"."""


class ClockState(StrEnum):
    """How a clock stands."""

    NORMAL = "normal"
    SOON = "soon"
    OVER = "over"
    DONE = "done"


class TickState(StrEnum):
    """How one working day of a clock stands to today."""

    PAST = "past"
    TODAY = "today"
    LEFT = "left"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Tick:
    """One working day of the clock."""

    day: date
    state: TickState


@dataclass(frozen=True, slots=True)
class Due:
    """A due date with its article; `provisional` when a year on the way has no announced calendar."""

    starts_on: date
    due_on: date
    working_days: int
    provisional: bool
    article: str
    starts_article: str
    counting_article: str


@dataclass(frozen=True, slots=True)
class Clock:
    """A running (or stopped) term on a given day. `days_left` is negative when overdue, 0 on the due date."""

    due: Due
    days_left: int
    state: ClockState
    ticks: tuple[Tick, ...]


def due_date(deadline: Deadline, starts_on: date, regulation: Regulation, calendar: Calendar) -> Due:
    """When a term that starts on this legal day ends."""
    count = deadline.working_days
    # Where the start day counts it is the first of the term, if it is worked at all.
    if regulation.start_day_counts and is_working_day(calendar, starts_on):
        count -= 1
    counted = add_working_days(calendar, starts_on, count)
    return Due(
        starts_on,
        counted.day,
        deadline.working_days,
        counted.provisional,
        regulation.cite(deadline.article),
        regulation.cite(deadline.starts_article),
        regulation.cite(regulation.start_day_article),
    )


def read_clock(due: Due, calendar: Calendar, today: date, *, done_on: date | None = None) -> Clock:
    """How the term stands today, or stood on the day it was met."""
    on = done_on or today
    left = working_days_between(calendar, on, due.due_on)
    ticks = tuple(Tick(day, _tick_state(day, due, on)) for day in _days_shown(due, calendar, on))
    return Clock(due, left, _clock_state(left, due, on, done_on), ticks)


def _days_shown(due: Due, calendar: Calendar, on: date) -> list[date]:
    """The working days of the term, and after it those overdue, at most as many again."""
    first = list(working_days(calendar, due.starts_on, due.due_on))
    if len(first) < due.working_days:
        first.insert(0, due.starts_on)
    if on <= due.due_on:
        return first
    late = working_days(calendar, due.due_on, min(on, due.due_on + timedelta(days=366)))
    return first + list(late)[: due.working_days]


def _tick_state(day: date, due: Due, on: date) -> TickState:
    if day > due.due_on:
        return TickState.OVER
    if day == on:
        return TickState.TODAY
    return TickState.PAST if day < on else TickState.LEFT


def _clock_state(left: int, due: Due, on: date, done_on: date | None) -> ClockState:
    if done_on is not None:
        return ClockState.DONE
    if on > due.due_on:
        return ClockState.OVER
    return ClockState.SOON if left <= SOON_WORKING_DAYS else ClockState.NORMAL
