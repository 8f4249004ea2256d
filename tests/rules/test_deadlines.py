"""Due dates and the legal clock of the Guangzhou 2016 rules."""

from dataclasses import replace
from datetime import date

import pytest

from shuqiao.control.regulations.files import load_calendar, load_regulation
from shuqiao.rules.deadlines import ClockState, Due, TickState, due_date, read_clock

RULES = load_regulation("guangzhou-2016")
CN = load_calendar(RULES.calendar)
FRIDAY = date(2026, 11, 20)


def reply(start: date = FRIDAY) -> Due:
    return due_date(RULES.deadline("reply"), start, RULES, CN)


def test_the_reply_is_due_on_the_tenth_working_day_after_submission_with_its_article() -> None:
    due = reply()
    assert (due.due_on, due.working_days, due.provisional) == (date(2026, 12, 4), 10, False)
    assert due.article == "guangzhou-2016 art. 35(1)"
    assert due.starts_article == due.counting_article == "guangzhou-2016 setting"


def test_whether_the_start_day_counts_is_the_regulations_setting() -> None:
    counting = replace(RULES, start_day_counts=True)
    assert due_date(RULES.deadline("reply"), FRIDAY, counting, CN).due_on == date(2026, 12, 3)
    # A start day that is not worked can't be the first of the term.
    sunday = date(2026, 11, 22)
    assert due_date(RULES.deadline("reply"), sunday, counting, CN).due_on == reply(sunday).due_on


@pytest.mark.parametrize(
    ("today", "left", "state"),
    [
        (FRIDAY, 10, ClockState.NORMAL),
        (date(2026, 12, 1), 3, ClockState.NORMAL),
        (date(2026, 12, 2), 2, ClockState.SOON),
        (date(2026, 12, 4), 0, ClockState.SOON),
        (date(2026, 12, 5), 0, ClockState.OVER),
        (date(2026, 12, 7), -1, ClockState.OVER),
    ],
)
def test_days_left_and_state(today: date, left: int, state: ClockState) -> None:
    clock = read_clock(reply(), CN, today)
    assert (clock.days_left, clock.state) == (left, state)


def test_one_tick_for_each_working_day_and_those_overdue_after() -> None:
    states = [tick.state for tick in read_clock(reply(), CN, date(2026, 11, 25)).ticks]
    assert states == [TickState.PAST] * 2 + [TickState.TODAY] + [TickState.LEFT] * 7
    late = read_clock(reply(), CN, date(2026, 12, 8)).ticks
    assert [tick.state for tick in late] == [TickState.PAST] * 10 + [TickState.OVER] * 2
    very_late = read_clock(reply(), CN, date(2028, 12, 8)).ticks
    assert len(very_late) == 20


def test_a_term_that_was_met_stands_still() -> None:
    met = read_clock(reply(), CN, date(2027, 6, 1), done_on=date(2026, 12, 1))
    assert (met.state, met.days_left) == (ClockState.DONE, 3)
    assert read_clock(reply(), CN, FRIDAY, done_on=date(2026, 12, 8)).days_left == -2


def test_a_term_into_a_year_without_calendar_says_so() -> None:
    assert reply(date(2026, 12, 25)).provisional
