"""Due dates and the legal clock: what a term of the regulation means on the calendar.

Source: guangzhou-2016 art. 35(1) for the terms; whether the start day counts is left open by the text and is
a setting of the regulation file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from shuqiao.rules.regulation import Deadline, Extension, Regulation
from shuqiao.rules.workdays import (
    Calendar,
    Counted,
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


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which a term stands still; `resumed_on` is None while it lasts."""

    paused_on: date
    resumed_on: date | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """What a term's last day is counted from: kept, so that it can be counted anew by another calendar."""

    starts_on: date
    working_days: int
    extended_days: int = 0
    times_extended: int = 0
    pauses: tuple[Pause, ...] = ()

    @property
    def total_days(self) -> int:
        """The working days of the term with its extensions."""
        return self.working_days + self.extended_days

    @property
    def is_paused(self) -> bool:
        """Whether the term stands still now."""
        return bool(self.pauses) and self.pauses[-1].resumed_on is None


def begin(deadline: Deadline, starts_on: date) -> Term:
    """The term of a deadline from this legal day on."""
    return Term(starts_on, deadline.working_days)


def extend(term: Term, extension: Extension) -> Term:
    """The term with one more extension; whether it is allowed was decided before."""
    return replace(
        term,
        extended_days=term.extended_days + extension.working_days,
        times_extended=term.times_extended + 1,
    )


def pause(term: Term, on: date) -> Term:
    """The term standing still after this day; a term that stands still already is left as it is."""
    if term.is_paused:
        return term
    return replace(term, pauses=(*term.pauses, Pause(max(on, term.starts_on))))


def resume(term: Term, on: date) -> Term:
    """The term running on after this day; a term that runs is left as it is."""
    if not term.is_paused:
        return term
    last = term.pauses[-1]
    ended = replace(last, resumed_on=max(on, last.paused_on))
    return replace(term, pauses=(*term.pauses[:-1], ended))


def last_day(term: Term, calendar: Calendar, *, start_day_counts: bool) -> Counted:
    """The last day of a term. A pause that still lasts has moved nothing yet."""
    count = term.total_days
    # Where the start day counts it is the first of the term, if it is worked at all.
    if start_day_counts and count and is_working_day(calendar, term.starts_on):
        count -= 1
    counted = add_working_days(calendar, term.starts_on, count)
    for one in term.pauses:
        if one.resumed_on is not None and one.paused_on <= counted.day:
            counted = _moved(counted, one.paused_on, one.resumed_on, calendar)
    return counted


def _moved(before: Counted, paused_on: date, resumed_on: date, calendar: Calendar) -> Counted:
    """As many working days are left on the day of resumption as on the day of the pause."""
    left = working_days_between(calendar, paused_on, before.day)
    if left:
        after = add_working_days(calendar, resumed_on, left)
    else:
        # Paused on its last day: the day of resumption is the last one, or the next that is worked.
        after = add_working_days(calendar, resumed_on - timedelta(days=1), 1)
    return Counted(after.day, before.provisional or after.provisional)


def due_date(deadline: Deadline, starts_on: date, regulation: Regulation, calendar: Calendar) -> Due:
    """When a term that starts on this legal day ends."""
    term = begin(deadline, starts_on)
    counted = last_day(term, calendar, start_day_counts=regulation.start_day_counts)
    return due_of(term, counted, deadline, regulation)


def due_of(term: Term, counted: Counted, deadline: Deadline, regulation: Regulation) -> Due:
    """A counted term with the articles it rests on."""
    return Due(
        term.starts_on,
        counted.day,
        term.total_days,
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
