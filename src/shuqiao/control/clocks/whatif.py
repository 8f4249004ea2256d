"""What would be overdue today under another regulation: the open terms counted anew by its numbers.

Nothing is changed. A term is compared with that of its name in the other regulation; where that one starts on
another event, the day on which ours started is taken for it and the row says so.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count, Max, Min, QuerySet

from shuqiao.control import clock
from shuqiao.control.clocks.models import Clock
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import calendar, named, readable
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.deadlines import due_date
from shuqiao.rules.regulation import Deadline, Regulation
from shuqiao.rules.workdays import LONGEST_TERM_DAYS, Calendar, working_days_between

LISTED = 200
LOOK_BACK_DAYS = 800
"""No term of a regulation is longer: 250 working days and their holidays."""


@dataclass(frozen=True)
class Row:
    """One open term as it stands, and as it would stand. Days left are negative where overdue."""

    kind: str
    number: str
    term: Text
    holder: DepartmentRef
    starts_on: date
    due_on: date
    days_left: int
    other_due_on: date
    other_days_left: int
    other_ref: ArticleRef
    assumed: bool


@dataclass(frozen=True)
class Kind:
    """All open terms of one name in one kind of case: how many, and how many are and would be overdue.

    `other` is None where the other regulation has no such term; nothing would be overdue by it.
    """

    kind: str
    term: Text
    ours: int
    other: int | None
    open: int
    overdue: int
    would_be: int


@dataclass(frozen=True)
class WhatIf:
    """The answer: totals by term, and the terms that would be overdue, oldest first, up to LISTED."""

    today: date
    kinds: tuple[Kind, ...]
    rows: tuple[Row, ...]

    @property
    def overdue(self) -> int:
        """How many open terms are overdue today."""
        return sum(one.overdue for one in self.kinds)

    @property
    def would_be(self) -> int:
        """How many would be overdue today under the other regulation."""
        return sum(one.would_be for one in self.kinds)


def what_if(regulation_id: str) -> WhatIf:
    """Count the open terms by another regulation; the cost grows with the terms' names, not the cases."""
    today, other = clock.today(), readable(regulation_id)
    groups = (
        Clock.objects.filter(ended_on=None)
        .values("kind", "deadline", "regulation")
        .annotate(n=Count("pk"), oldest=Min("starts_on"), newest=Max("starts_on"))
        .order_by("kind", "deadline", "regulation")
    )
    kinds: list[Kind] = []
    rows: list[Row] = []
    for group in groups:
        of_group = Clock.objects.filter(
            ended_on=None, kind=group["kind"], deadline=group["deadline"], regulation=group["regulation"]
        )
        own = named(group["regulation"]).deadline(group["deadline"])
        theirs = next((one for one in other.deadlines if one.key == own.key), None)
        would_be = _started_too_long_ago(of_group, theirs, other, today)
        overdue = of_group.filter(due_on__lt=today).count()
        days = theirs.working_days if theirs else None
        words = Text(own.zh, own.en)
        kinds.append(
            Kind(group["kind"], words, own.working_days, days, group["n"], overdue, would_be.count())
        )
        if theirs is not None:
            rows += _rows(
                would_be.order_by("starts_on", "pk")[: LISTED - len(rows)], (own, theirs), other, today
            )
    return WhatIf(today, tuple(kinds), tuple(rows))


def _started_too_long_ago(
    terms: QuerySet[Clock], theirs: Deadline | None, other: Regulation, today: date
) -> QuerySet[Clock]:
    """The terms whose last day would have passed: those that started on or before one day, found once."""
    if theirs is None:
        return terms.none()
    known = calendar()
    for back in range(LOOK_BACK_DAYS):
        start = today - timedelta(days=back)
        if due_date(theirs, start, other, known).due_on < today:
            return terms.filter(starts_on__lte=start)
    return terms.none()


def _rows(
    terms: QuerySet[Clock], both: tuple[Deadline, Deadline], other: Regulation, today: date
) -> list[Row]:
    own, theirs = both
    known, found = calendar(), list(terms)
    holders = department_refs()
    made = []
    for term in found:
        due = due_date(theirs, term.starts_on, other, known).due_on
        made.append(
            Row(
                kind=term.kind,
                number=term.number,
                term=Text(own.zh, own.en),
                holder=holders[term.holder_id],
                starts_on=term.starts_on,
                due_on=term.due_on,
                days_left=_days_left(known, today, term.due_on),
                other_due_on=due,
                other_days_left=_days_left(known, today, due),
                other_ref=article_ref(theirs.article, other.id),
                assumed=theirs.starts_on != own.starts_on,
            )
        )
    return made


def _days_left(calendar: Calendar, today: date, due_on: date) -> int:
    """Working days to a last day; one that passed very long ago is only counted so far."""
    longest = timedelta(days=LONGEST_TERM_DAYS)
    return working_days_between(calendar, today, min(max(due_on, today - longest), today + longest))
