"""Terms that are extended, paused, resumed and counted anew: tables and properties."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shuqiao.control.regulations.files import load_calendar, load_regulation
from shuqiao.rules.deadlines import Pause, Term, begin, extend, last_day, pause, resume
from shuqiao.rules.regulation import Extension
from shuqiao.rules.workdays import Calendar, is_working_day, working_days_between

RULES = load_regulation("guangzhou-2016")
CN = load_calendar("cn")
FRIDAY = date(2026, 11, 20)
REPLY = begin(RULES.deadline("reply"), FRIDAY)

days = st.dates(date(2016, 1, 1), date(2026, 9, 1))
counts = st.integers(1, 40)
terms = st.builds(Term, days, counts)


def end(term: Term, calendar: Calendar = CN) -> date:
    return last_day(term, calendar, start_day_counts=False).day


@pytest.mark.parametrize(
    ("term", "due_on"),
    [
        (REPLY, date(2026, 12, 4)),
        (extend(REPLY, Extension("reply", 5, 1)), date(2026, 12, 11)),
        # Paused on Wednesday, resumed on Friday: two working days stood still.
        (resume(pause(REPLY, date(2026, 11, 25)), date(2026, 11, 27)), date(2026, 12, 8)),
        # Paused and resumed over a weekend: nothing stood still.
        (resume(pause(REPLY, date(2026, 11, 27)), date(2026, 11, 29)), date(2026, 12, 4)),
        # Paused on its last day: the day of resumption is the last, or the next that is worked.
        (resume(pause(REPLY, date(2026, 12, 4)), date(2026, 12, 8)), date(2026, 12, 8)),
        (resume(pause(REPLY, date(2026, 12, 4)), date(2026, 12, 12)), date(2026, 12, 14)),
        # Paused when it was over already: nothing is won.
        (resume(pause(REPLY, date(2026, 12, 7)), date(2026, 12, 9)), date(2026, 12, 4)),
        # A pause that lasts takes nothing away yet.
        (pause(REPLY, date(2026, 11, 25)), date(2026, 12, 4)),
        # A term paused before it began stands still from its start.
        (resume(pause(REPLY, date(2026, 11, 1)), date(2026, 11, 23)), date(2026, 12, 7)),
    ],
)
def test_due_days_of_moved_terms(term: Term, due_on: date) -> None:
    assert end(term) == due_on


def test_pausing_or_resuming_twice_changes_nothing() -> None:
    still = pause(REPLY, FRIDAY)
    assert still.is_paused and pause(still, date(2026, 11, 24)) == still
    running = resume(still, date(2026, 11, 24))
    assert not running.is_paused and resume(running, date(2026, 11, 30)) == running
    assert running.pauses == (Pause(FRIDAY, date(2026, 11, 24)),)


def test_a_term_knows_how_often_it_was_extended() -> None:
    twice = extend(extend(REPLY, Extension("reply", 5, 2)), Extension("reply", 3, 2))
    assert (twice.times_extended, twice.total_days) == (2, 18)


@given(terms, counts)
def test_an_extension_is_a_longer_term(term: Term, more: int) -> None:
    longer = extend(term, Extension("reply", more, 1))
    assert end(longer) == end(Term(term.starts_on, term.working_days + more))


@given(terms, st.integers(0, 30), st.integers(0, 60))
def test_a_pause_moves_the_end_by_the_working_days_it_takes(term: Term, after: int, lasting: int) -> None:
    first = term.starts_on + timedelta(days=after)
    if first >= end(term):
        return
    last = first + timedelta(days=lasting)
    moved = resume(pause(term, first), last)
    stood_still = working_days_between(CN, first, last)
    assert working_days_between(CN, term.starts_on, end(moved)) == term.working_days + stood_still


@given(terms, st.lists(st.integers(0, 20), max_size=6))
def test_counting_anew_gives_the_same_day_and_never_an_earlier_one(term: Term, steps: list[int]) -> None:
    day, moved = term.starts_on, term
    for number, step in enumerate(steps):
        day += timedelta(days=step)
        moved = resume(moved, day) if number % 2 else pause(moved, day)
    assert end(moved) == end(moved) >= end(term)
    assert is_working_day(CN, end(moved))


@given(terms, st.integers(1, 60))
def test_a_day_off_more_never_brings_the_end_nearer(term: Term, after: int) -> None:
    day = term.starts_on + timedelta(days=after)
    flood = CN.with_days({day: False})
    moved = day <= end(term) and is_working_day(CN, day)
    assert (end(term, flood) > end(term)) is moved
    # What the office takes back leaves no trace.
    assert end(term, flood.with_days({day: is_working_day(CN, day)})) == end(term)


@given(terms)
def test_a_term_is_provisional_until_its_years_are_announced(term: Term) -> None:
    unknown = Calendar(frozenset(), CN.days)
    counted = last_day(term, unknown, start_day_counts=False)
    years = range(term.starts_on.year, counted.day.year + 1)
    assert counted.provisional
    assert not last_day(term, unknown.with_years(years), start_day_counts=False).provisional
