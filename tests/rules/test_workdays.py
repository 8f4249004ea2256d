"""Counting working days: weekends, holidays, make-up days, unknown years, and counting back."""

import random
from datetime import date, timedelta

import pytest

from shuqiao.control.regulations.files import load_calendar
from shuqiao.rules import workdays as w

CN = load_calendar("cn")
NO_YEARS = w.Calendar(frozenset())


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        (date(2026, 2, 14), True),  # a Saturday worked for the Spring Festival
        (date(2026, 2, 16), False),
        (date(2026, 2, 24), True),
        (date(2026, 10, 10), True),  # a Saturday worked for the National Day
        (date(2026, 10, 5), False),
        (date(2026, 11, 21), False),
        (date(2026, 11, 23), True),
        (date(2016, 10, 8), True),
        (date(2020, 1, 31), False),  # the holiday lengthened in the epidemic
    ],
)
def test_announced_days(day: date, worked: bool) -> None:
    assert w.is_working_day(CN, day) is worked


def test_all_years_from_2016_to_2026_are_announced() -> None:
    assert CN.years == frozenset(range(2016, 2027))


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        (date(2026, 11, 20), 0, date(2026, 11, 20)),
        (date(2026, 11, 20), 1, date(2026, 11, 23)),
        (date(2026, 11, 20), 10, date(2026, 12, 4)),
        (date(2026, 9, 22), 10, date(2026, 10, 13)),  # across Mid-autumn, the National Day, two make-up days
        (date(2026, 2, 13), 1, date(2026, 2, 14)),
        (date(2026, 2, 14), 1, date(2026, 2, 24)),
    ],
)
def test_due_days(start: date, count: int, end: date) -> None:
    assert w.add_working_days(CN, start, count) == w.Counted(end, False)


def test_a_year_not_announced_makes_the_result_provisional() -> None:
    assert w.add_working_days(CN, date(2026, 12, 30), 10).provisional
    assert not w.add_working_days(CN, date(2026, 12, 30), 1).provisional
    assert w.add_working_days(NO_YEARS, date(2026, 11, 20), 1) == w.Counted(date(2026, 11, 23), True)


def test_a_day_the_office_sets_counts_at_once_and_changes_nothing_else() -> None:
    flood = CN.with_days({date(2026, 11, 23): False})
    assert w.add_working_days(flood, date(2026, 11, 20), 1).day == date(2026, 11, 24)
    assert w.add_working_days(CN, date(2026, 11, 20), 1).day == date(2026, 11, 23)


def test_counting_forth_and_back_agree() -> None:
    numbers = random.Random(3)
    for _ in range(400):
        start = date(2016, 1, 1) + timedelta(days=numbers.randrange(3900))
        count = numbers.randrange(60)
        end = w.add_working_days(CN, start, count).day
        assert w.working_days_between(CN, start, end) == count
        assert w.working_days_between(CN, end, start) == -count
        assert len(list(w.working_days(CN, start, end))) == count
        assert count == 0 or w.is_working_day(CN, end)


def test_a_later_start_never_gives_an_earlier_end() -> None:
    ends = [w.add_working_days(CN, date(2026, 1, 1) + timedelta(days=n), 10).day for n in range(340)]
    assert ends == sorted(ends)


@pytest.mark.parametrize("count", [-1, 10_000])
def test_what_is_no_term_is_an_error(count: int) -> None:
    with pytest.raises(ValueError):
        w.add_working_days(CN, date(2026, 1, 1), count)


def test_a_calendar_without_working_days_ends_in_an_error() -> None:
    idle = w.Calendar(frozenset(), {date(2026, 1, 1) + timedelta(days=n): False for n in range(5000)})
    with pytest.raises(ValueError):
        w.add_working_days(idle, date(2026, 1, 1), 1)
