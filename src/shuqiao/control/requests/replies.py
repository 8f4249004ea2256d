"""How quickly each provider answers: open requests, mean and longest time of reply (REQ-16).

A time of reply is the working days from the start of the term to the day it was met, as its clock has them.
Source: shenyang-2016 art. 4(3), 26; xiamen-2015 art. 18; guangzhou-2016 art. 42(4).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from django.db.models import Case, Count, F, Value, When

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.clocks.models import Clock, ClockState
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import calendar, named
from shuqiao.control.requests.forms import ANSWERED
from shuqiao.control.requests.models import KIND, OPEN_PHASES, Request
from shuqiao.rules.workdays import working_days_between

YEARS_BACK = 5


@dataclass(frozen=True)
class ProviderReplies:
    """One provider: what waits now, and how long its answers of the year took, in working days."""

    provider: DepartmentRef
    open: int
    overdue: int
    answered: int
    late: int
    mean_days: float | None
    longest_days: int | None


@dataclass(frozen=True)
class ReplyStatistics:
    """The providers with something to show, those with most overdue first, and all of them together."""

    year: int
    years: tuple[int, ...]
    rows: tuple[ProviderReplies, ...]
    open: int
    overdue: int
    answered: int
    mean_days: float | None
    longest_days: int | None


def reply_statistics(viewer: Viewer, year: int) -> ReplyStatistics:
    """Return the figures of a year, by the day of the answer; raises `NotFound` without the capability."""
    this_year = clock.today().year
    if not viewer.can(Capability.REPLIES_VIEW):
        raise NotFound
    year = min(max(year, this_year - YEARS_BACK), this_year)
    times = reply_times(date(year, 1, 1), date(year, 12, 31))
    waiting = _waiting()
    names = department_refs()
    rows = [_row(names[code], waiting.get(code, (0, 0)), times.get(code, [])) for code in {*times, *waiting}]
    every = [one for found in times.values() for one in found]
    total = _row(viewer.department, (0, 0), every)
    return ReplyStatistics(
        year=year,
        years=tuple(range(this_year, this_year - YEARS_BACK - 1, -1)),
        rows=tuple(sorted(rows, key=lambda row: (-row.overdue, -row.open, row.provider.code))),
        open=sum(row.open for row in rows),
        overdue=sum(row.overdue for row in rows),
        answered=total.answered,
        mean_days=total.mean_days,
        longest_days=total.longest_days,
    )


_Time = tuple[int, bool, int]


def reply_times(first: date, last: date, provider: str = "") -> dict[str, list[_Time]]:
    """Working days of each answer given in a time, whether it was late, and how many took so long.

    By provider. A term that began anew counts from its new start, one that was withdrawn not at all.
    """
    rows = Clock.objects.filter(
        kind=KIND, state=ClockState.MET, ended_on__gte=first, ended_on__lte=last
    ).order_by()
    if provider:
        rows = rows.filter(holder_id=provider)
    late = Case(When(ended_on__gt=F("due_on"), then=Value(True)), default=Value(False))
    named_by = ("holder_id", "regulation", "deadline", "starts_on", "ended_on", "late")
    grouped = rows.annotate(late=late).values_list(*named_by).annotate(count=Count("pk"))
    found: dict[str, list[_Time]] = defaultdict(list)
    kept = calendar()
    for holder, rules, deadline, starts_on, ended_on, was_late, count in grouped:
        if named(rules).deadline(deadline).met_by == ANSWERED:
            days = working_days_between(kept, starts_on, ended_on)
            found[holder].append((days, was_late, count))
    return dict(found)


def _waiting() -> dict[str, tuple[int, int]]:
    """Open and overdue requests by provider."""
    waiting = Request.objects.filter(phase__in=OPEN_PHASES).order_by().values_list("provider_id")
    counts: dict[str, int] = dict(waiting.annotate(count=Count("pk")))
    over = Clock.objects.filter(kind=KIND, ended_on=None, due_on__lt=clock.today()).order_by()
    late = dict(over.values_list("holder_id").annotate(count=Count("number", distinct=True)))
    return {code: (counts.get(code, 0), late.get(code, 0)) for code in {*counts, *late}}


def _row(provider: DepartmentRef, waiting: tuple[int, int], times: list[_Time]) -> ProviderReplies:
    answered = sum(count for _, _, count in times)
    total = sum(days * count for days, _, count in times)
    return ProviderReplies(
        provider=provider,
        open=waiting[0],
        overdue=waiting[1],
        answered=answered,
        late=sum(count for _, was_late, count in times if was_late),
        mean_days=round(total / answered, 1) if answered else None,
        longest_days=max((days for days, _, _ in times), default=None),
    )
