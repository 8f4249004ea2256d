"""The clocks of a case: every effect of a decided step, and what the database itself refuses."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.clocks.actions import end_clocks, follow, hand_over, meet_clock, start_clock
from shuqiao.control.clocks.models import Clock
from shuqiao.control.clocks.queries import clock_facts, clocks_of, next_clock, overdue
from shuqiao.control.clocks.terms import CaseRef
from shuqiao.control.operations.seed import seed_departments
from shuqiao.control.regulations.current import forget_calendar, named, regulation
from shuqiao.rules.procedures import Accepted, ClockFacts
from shuqiao.rules.regulation import Extension, Phase
from tests.control.conftest import rows

CASE = CaseRef("request", "R-2026-0001", "440100-health", "440100-housing")
SUBMITTED = date(2026, 11, 11)
STEP = Accepted("submitted", Phase.WAITING, "guangzhou-2016 art. 35(1)")


@pytest.fixture(autouse=True)
def departments(db: None) -> Iterator[None]:
    seed_departments(regulation())
    forget_calendar()
    yield
    forget_calendar()


def step(on: date = SUBMITTED, case: CaseRef = CASE, **effects: object) -> None:
    with transaction.atomic():
        follow(case, replace(STEP, **effects), named("guangzhou-2016"), on)


def standing(deadline: str = "reply") -> list[tuple]:
    return rows(
        "SELECT round, state, due_on, ended_on FROM clocks_clock WHERE deadline = %s ORDER BY round", deadline
    )


def at(day: date):
    return clock.fixed(datetime(day.year, day.month, day.day, 2, tzinfo=UTC))


@pytest.mark.requirement("ORG-13", source="GZ16:35¶1")
@pytest.mark.requirement("REQ-04")
def test_a_started_term_shows_its_event_day_article_and_days_left() -> None:
    step(starts=("reply",))
    (shown,) = clocks_of("request", [CASE.number])[CASE.number]
    assert (shown.starts_on, shown.due_on, shown.state) == (SUBMITTED, date(2026, 11, 25), "running")
    assert (shown.shown.days_left, shown.shown.state, shown.provisional) == (10, "normal", False)
    assert shown.due.article == "guangzhou-2016 art. 35(1)"
    assert shown.shown.article.cite.zh == "细则 第三十五条第一款"
    assert clock_facts(CASE) == {"reply": ClockFacts(date(2026, 11, 25))}
    with at(date(2026, 11, 26)):
        late = next_clock(clocks_of("request", [CASE.number])[CASE.number])
        assert late is not None and (late.shown.state, late.shown.days_left) == ("over", -1)


@pytest.mark.requirement("REQ-07", source="GZ16:35¶1")
def test_an_answer_meets_the_reply_and_starts_the_provision() -> None:
    step(starts=("reply",))
    step(date(2026, 11, 13), meets=("reply",), starts=("provide",))
    assert standing() == [(1, "met", date(2026, 11, 25), date(2026, 11, 13))]
    assert standing("provide") == [(1, "running", date(2026, 11, 20), None)]
    assert clock_facts(CASE)["reply"] == ClockFacts(date(2026, 11, 25), is_running=False)


@pytest.mark.requirement("DIS-05", source="GZ16:35¶3")
def test_a_ruling_starts_five_working_days_on_the_day_of_the_decision() -> None:
    dispute = CaseRef("dispute", "D-2026-0001", "440100-health", "440100-housing")
    step(date(2026, 9, 28), dispute, starts=("execute_ruling",))
    # 1 to 7 October are off and Saturday the 10th is worked.
    assert standing("execute_ruling") == [(1, "running", date(2026, 10, 10), None)]


def test_a_step_after_the_last_day_marks_the_clock_as_over_and_a_late_answer_meets_it() -> None:
    step(starts=("reply",))
    step(date(2026, 11, 26))
    assert standing() == [(1, "over", date(2026, 11, 25), None)]
    assert clock_facts(CASE)["reply"].is_running
    step(date(2026, 11, 27), meets=("reply",))
    assert standing() == [(1, "met", date(2026, 11, 25), date(2026, 11, 27))]


def test_a_pause_stops_the_clock_and_a_resumption_moves_its_day() -> None:
    step(starts=("reply",))
    step(date(2026, 11, 16), pauses="reply")
    assert not clock_facts(CASE)["reply"].is_running
    with at(date(2026, 12, 24)):
        assert overdue("request", "reply") == ()
    step(date(2026, 11, 18), resumes="reply")
    assert standing() == [(1, "running", date(2026, 11, 27), None)]


def test_an_extension_counts_and_moves_the_day() -> None:
    step(starts=("reply",))
    step(extends=Extension("reply", 5, 1))
    assert clock_facts(CASE) == {"reply": ClockFacts(date(2026, 12, 2), times_extended=1)}


def test_a_restart_is_a_new_round_with_the_whole_term() -> None:
    step(starts=("reply",))
    step(date(2026, 11, 16), pauses="reply")
    step(date(2026, 11, 18), restarts="reply")
    assert standing() == [
        (1, "void", date(2026, 11, 25), date(2026, 11, 18)),
        (2, "running", date(2026, 12, 2), None),
    ]


def test_the_end_of_a_case_ends_its_clocks() -> None:
    step(starts=("reply", "provide"))
    step(date(2026, 11, 20), ends=True)
    assert standing() == [(1, "void", date(2026, 11, 25), date(2026, 11, 20))]
    assert standing("provide") == [(1, "over", date(2026, 11, 18), date(2026, 11, 20))]


def test_a_term_without_a_procedure_is_started_met_and_ended() -> None:
    persons = CaseRef("persons", "440100-health", "440100-health")
    with transaction.atomic():
        start_clock(persons, "persons_change", named("guangzhou-2016"), SUBMITTED)
        meet_clock(persons, "persons_change", date(2026, 11, 12))
        meet_clock(persons, "persons_change", date(2026, 11, 13))
        start_clock(persons, "persons_change", named("guangzhou-2016"), SUBMITTED)
        end_clocks(persons, date(2026, 11, 14))
    assert standing("persons_change") == [
        (1, "met", date(2026, 11, 18), date(2026, 11, 12)),
        (2, "void", date(2026, 11, 18), date(2026, 11, 14)),
    ]


def test_overdue_names_only_what_has_run_out_and_is_open() -> None:
    step(starts=("reply",))
    step(case=replace(CASE, number="R-2026-0002"), starts=("reply",))
    step(date(2026, 11, 12), case=replace(CASE, number="R-2026-0002"), meets=("reply",))
    step(date(2026, 11, 9), case=replace(CASE, number="R-2026-0003"), starts=("reply",))
    with at(date(2026, 11, 25)):
        assert overdue("request", "reply") == ("R-2026-0003",)
    with at(date(2026, 11, 26)):
        assert overdue("request", "reply") == ("R-2026-0003", CASE.number)
        assert overdue("dispute", "reply") == overdue("request", "provide") == ()


def test_a_clock_runs_against_whoever_holds_the_case_now() -> None:
    step(starts=("reply",))
    hand_over(replace(CASE, holder="440100-police"), ["reply"])
    (shown,) = clocks_of("request", [CASE.number])[CASE.number]
    assert (shown.holder, shown.other) == ("440100-police", "440100-housing")


def test_lists_read_the_clocks_of_all_their_cases_at_once(django_assert_num_queries) -> None:
    numbers = [f"R-2026-{n:04}" for n in range(1, 30)]
    for number in numbers:
        step(case=replace(CASE, number=number), starts=("reply",))
    clocks_of("request", numbers[:1])
    with django_assert_num_queries(1):
        assert len(clocks_of("request", numbers)) == 29


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "met"},
        {"state": "running", "ended_on": SUBMITTED},
        {"state": "paused"},
        {"paused_on": [SUBMITTED]},
        {"due_on": date(2026, 11, 10)},
        {"working_days": 0},
        {"state": "stopped"},
    ],
)
def test_a_half_written_clock_is_refused_by_the_database(changes: dict[str, object]) -> None:
    step(starts=("reply",))
    with pytest.raises(IntegrityError), transaction.atomic():
        Clock.objects.filter(number=CASE.number).update(**changes)


def test_one_open_clock_for_each_term_of_a_case() -> None:
    step(starts=("reply",))
    again = Clock.objects.get(number=CASE.number)
    again.pk, again.round = None, 2
    with pytest.raises(IntegrityError), transaction.atomic():
        again.save()
