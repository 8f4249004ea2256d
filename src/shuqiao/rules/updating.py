"""When shared data must be renewed: which rule an entry falls under, its due dates and its delivery periods.

Pure. What is a rule, for whom and in how many days is the regulation's; what is said here is how such a rule
is counted. Source: guangzhou-2019 art. 19; shenyang-2016 art. 18, 22; xiamen-2015 art. 11; guangzhou-2016
art. 30(1). Which entry belongs to which class by its words, and how a cycle is divided: our choice, decision
"update duties of data".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from shuqiao.rules.deadlines import Term, last_day
from shuqiao.rules.procedures import latest_until
from shuqiao.rules.regulation import Regulation, UpdateRule
from shuqiao.rules.workdays import Calendar, Counted, add_working_days

STARTS_ON = "data_changed"
"""The event of the regulation files from which the term of an update runs."""

WINDOW_DAYS = 10
"""The last day of 上旬, the first part of a month: a window for which the text names no working days."""

_DAYS = {"realtime": 0, "daily": 1, "weekly": 7}
_MONTHS = {"monthly": 1, "quarterly": 3, "half_yearly": 6, "yearly": 12}
_QUARTER = 3


@dataclass(frozen=True, slots=True)
class EntryClass:
    """What decides under which rule an entry falls, in the words of the catalogue."""

    library_kind: str
    library: str
    format: str
    forms: tuple[str, ...] = ()

    @property
    def is_base(self) -> bool:
        """Whether it belongs to a base database."""
        return self.library_kind == "base"

    @property
    def is_licence(self) -> bool:
        """Whether it holds electronic licences or documents."""
        return self.library == "licence" or "licence" in self.forms or self.format == "document"


@dataclass(frozen=True, slots=True)
class Period:
    """Days in which data are to come once, both included; provisional as a calendar not announced is."""

    first: date
    last: date
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class Periods:
    """The newest period that is over, and the one that runs or comes next."""

    ended: Period
    running: Period


def rule_for(
    rules: Collection[UpdateRule], entry: EntryClass, *, is_exceptional: bool = False
) -> UpdateRule | None:
    """The rule that applies to an entry: the narrowest one; an approved exception goes before all."""
    classes = [
        ("exceptional", is_exceptional),
        ("licences", entry.is_licence),
        ("base", entry.is_base),
        ("others", True),
        ("all", True),
    ]
    by_class = {rule.applies_to: rule for rule in rules}
    return next((by_class[name] for name, is_of in classes if is_of and name in by_class), None)


def exception_of(rules: Sequence[UpdateRule]) -> UpdateRule | None:
    """The slower rule that may be approved; None where the text knows none."""
    return next((rule for rule in rules if rule.applies_to == "exceptional"), None)


def term_of(rule: UpdateRule, rules: Regulation) -> str:
    """The deadline that counts this rule's working days; empty where none does."""
    found = (
        one.key
        for one in rules.deadlines
        if rule.kind == "within" and one.starts_on == STARTS_ON and one.working_days == rule.working_days
    )
    return next(found, "")


def due_of(
    rule: UpdateRule, happened_on: date, calendar: Calendar, *, cycle: str, start_day_counts: bool
) -> Counted | None:
    """The last day on which a change must have been brought; None where neither law nor entry says one."""
    if rule.kind == "realtime":
        return Counted(happened_on, provisional=False)
    if rule.kind == "within":
        return last_day(
            Term(happened_on, rule.working_days or 0), calendar, start_day_counts=start_day_counts
        )
    if rule.kind == "window":
        window = next_window(rule, happened_on, calendar)
        return Counted(window.last, window.provisional)
    if cycle in _DAYS:
        return Counted(happened_on + timedelta(days=_DAYS[cycle]), provisional=False)
    if cycle in _MONTHS:
        return Counted(latest_until(happened_on, _MONTHS[cycle]), provisional=False)
    return None


def window_of(rule: UpdateRule, day: date, calendar: Calendar) -> Period:
    """The window at the beginning of the quarter in which a day lies."""
    first = _beginning(day, _QUARTER)
    if rule.working_days is None:
        return Period(first, first + timedelta(days=WINDOW_DAYS - 1))
    counted = add_working_days(calendar, first - timedelta(days=1), rule.working_days)
    return Period(first, counted.day, counted.provisional)


def next_window(rule: UpdateRule, day: date, calendar: Calendar) -> Period:
    """The window that is open on a day, or the next one to come."""
    window = window_of(rule, day, calendar)
    return window if day <= window.last else window_of(rule, latest_until(window.first, _QUARTER), calendar)


def periods(cycle: str, window: UpdateRule | None, day: date, calendar: Calendar) -> Periods | None:
    """Which delivery was to come last and which is to come now; None for a cycle that says no time.

    `window` is the rule of an approved exception, which then takes the place of the cycle.
    """
    if window is not None:
        running = next_window(window, day, calendar)
        before = window_of(window, running.first - timedelta(days=1), calendar)
        return Periods(before, running)
    period = cycle_period(cycle, day)
    ended = cycle_period(cycle, period.first - timedelta(days=1)) if period else None
    return Periods(ended, period) if period and ended else None


def cycle_period(cycle: str, day: date) -> Period | None:
    """The period of a cycle in which a day lies: the day, the week from Monday, the month and so on."""
    if cycle in ("realtime", "daily"):
        return Period(day, day)
    if cycle == "weekly":
        monday = day - timedelta(days=day.weekday())
        return Period(monday, monday + timedelta(days=6))
    if cycle not in _MONTHS:
        return None
    first = _beginning(day, _MONTHS[cycle])
    return Period(first, latest_until(first, _MONTHS[cycle]) - timedelta(days=1))


def _beginning(day: date, months: int) -> date:
    """The first day of the group of months of its year in which a day lies."""
    return date(day.year, (day.month - 1) // months * months + 1, 1)
