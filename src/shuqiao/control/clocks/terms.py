"""Between the row of a clock and the pure term the rules count."""

from dataclasses import dataclass
from datetime import date

from shuqiao.control.clocks.models import Clock, ClockState
from shuqiao.control.regulations.current import named
from shuqiao.rules.deadlines import Pause, Term, last_day
from shuqiao.rules.workdays import Calendar


@dataclass(frozen=True)
class CaseRef:
    """A case by kind and number, with the codes of the departments that must act and that wait."""

    kind: str
    number: str
    holder: str
    other: str = ""


def term_of(row: Clock) -> Term:
    """The term a row holds."""
    resumed = [*row.resumed_on, None]
    pauses = tuple(Pause(*both) for both in zip(row.paused_on, resumed, strict=False))
    return Term(row.starts_on, row.working_days, row.extended_days, row.times_extended, pauses)


def store_term(row: Clock, term: Term, calendar: Calendar, on: date) -> bool:
    """Put a term into its row, count its last day anew and say how it stands on a legal day.

    True where its last day, or whether that day is provisional, has changed. The row is not saved.
    """
    counted = last_day(term, calendar, start_day_counts=named(row.regulation).start_day_counts)
    row.starts_on = term.starts_on
    row.working_days = term.working_days
    row.extended_days = term.extended_days
    row.times_extended = term.times_extended
    row.paused_on = [one.paused_on for one in term.pauses]
    row.resumed_on = [one.resumed_on for one in term.pauses if one.resumed_on is not None]
    changed = (row.due_on, row.provisional) != (counted.day, counted.provisional)
    row.due_on, row.provisional = counted.day, counted.provisional
    if term.is_paused:
        row.state = ClockState.PAUSED
    elif row.state == ClockState.PAUSED or counted.day >= on:
        row.state = ClockState.RUNNING
    return changed
