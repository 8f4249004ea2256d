"""Reading clocks: what the rules ask of them, what pages show, and what has run out."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import QuerySet

from shuqiao.control import clock
from shuqiao.control.clocks.models import Clock, ClockState
from shuqiao.control.clocks.terms import CaseRef, term_of
from shuqiao.control.regulations import queries as regulations
from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text
from shuqiao.rules.deadlines import Due, due_of
from shuqiao.rules.procedures import ClockFacts
from shuqiao.rules.workdays import Counted

MAX_OVERDUE = 1000
"""So many overdue cases are taken up in one run of a job; the rest comes with the next."""


@dataclass(frozen=True)
class CaseClock:
    """One clock as a page shows it. `state` is running, paused, met, over or void.

    `shown` has the days left and the ticks; `due` the articles of the term, its start and its counting.
    """

    kind: str
    number: str
    deadline: str
    label: Text
    round: int
    state: str
    holder: str
    other: str
    starts_on: date
    due_on: date
    ended_on: date | None
    provisional: bool
    times_extended: int
    due: Due
    shown: regulations.Clock

    @property
    def is_open(self) -> bool:
        """Whether somebody must still act."""
        return self.ended_on is None


def clock_facts(case: CaseRef) -> dict[str, ClockFacts]:
    """The newest clock of each term of a case, for `rules.procedures.decide`."""
    rows = Clock.objects.filter(kind=case.kind, number=case.number).order_by("round")
    return {
        row.deadline: ClockFacts(
            row.due_on,
            is_running=row.ended_on is None and row.state != ClockState.PAUSED,
            times_extended=row.times_extended,
        )
        for row in rows
    }


def clocks_of(kind: str, numbers: Iterable[str]) -> dict[str, tuple[CaseClock, ...]]:
    """All clocks of these cases by number, in the order of their start; one query."""
    found: dict[str, list[CaseClock]] = defaultdict(list)
    rows = Clock.objects.filter(kind=kind, number__in=list(numbers))
    for row in rows.order_by("starts_on", "pk"):
        found[row.number].append(shown(row))
    return {number: tuple(clocks) for number, clocks in found.items()}


def next_clock(clocks: Iterable[CaseClock]) -> CaseClock | None:
    """The open clock that is due first, for a list that shows one."""
    return min((one for one in clocks if one.is_open), key=lambda one: one.due_on, default=None)


def overdue(kind: str, deadline: str, among: QuerySet[Any, Any] | None = None) -> tuple[str, ...]:
    """Numbers of the cases of a kind in which this term has run out and is not met, longest first.

    A case stays here until its clock is met or ends: whoever takes it up asks the rules again under a lock.
    `among` is a query of the numbers that can still be moved on: without it those that were would come first
    for ever, and only MAX_OVERDUE are returned.
    """
    rows = Clock.objects.filter(
        kind=kind,
        deadline=deadline,
        ended_on=None,
        state__in=[ClockState.RUNNING, ClockState.OVER],
        due_on__lt=clock.today(),
    )
    if among is not None:
        rows = rows.filter(number__in=among)
    return tuple(rows.order_by("due_on", "pk").values_list("number", flat=True)[:MAX_OVERDUE])


def shown(row: Clock) -> CaseClock:
    """One clock as a page shows it."""
    rules = named(row.regulation)
    deadline = rules.deadline(row.deadline)
    due = due_of(term_of(row), Counted(row.due_on, row.provisional), deadline, rules)
    return CaseClock(
        kind=row.kind,
        number=row.number,
        deadline=row.deadline,
        label=Text(deadline.zh, deadline.en),
        round=row.round,
        state=row.state,
        holder=row.holder_id,
        other=row.other_id or "",
        starts_on=row.starts_on,
        due_on=row.due_on,
        ended_on=row.ended_on,
        provisional=row.provisional,
        times_extended=row.times_extended,
        due=due,
        shown=regulations.clock_of(due, done_on=row.ended_on),
    )
