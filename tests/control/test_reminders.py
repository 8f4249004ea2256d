"""Telling of terms: each reminder once, the office told of what has run out, moved days told of again."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.models import Notification
from shuqiao.control.clocks.actions import follow
from shuqiao.control.clocks.calendar import DayInput, set_day
from shuqiao.control.clocks.models import Clock
from shuqiao.control.clocks.reminders import Told, remind
from shuqiao.control.operations.daily import CLOCK_JOBS
from shuqiao.control.operations.seed import seed_departments
from shuqiao.control.regulations.current import forget_calendar, named, regulation
from tests.control.conftest import NOW, audit_entries
from tests.control.test_calendar import STEP, begin, case
from tests.plugins.stages import Stage

SUBMITTED = date(2026, 11, 11)
DUE = date(2026, 11, 25)


def run_on(day: date) -> Told:
    with clock.fixed(datetime(day.year, day.month, day.day, 1, tzinfo=UTC)):
        return remind()


def told(code: str) -> list[tuple[str, str]]:
    found = Notification.objects.filter(code=code).order_by("department_id")
    return list(found.values_list("department_id", "capability"))


@pytest.mark.requirement("REQ-04")
@pytest.mark.requirement("ORG-13")
def test_a_term_is_told_of_before_its_last_day_on_it_and_after_it_and_once_each(city) -> None:
    begin("R-2026-0001")
    day, seen = SUBMITTED, []
    while day <= date(2026, 11, 30):
        seen.append((day, run_on(day), run_on(day)))
        day += timedelta(days=1)
    assert {day: first for day, first, _ in seen if first.total} == {
        date(2026, 11, 23): Told(soon=1),
        DUE: Told(due=1),
        date(2026, 11, 26): Told(over=1),
    }
    assert all(second == Told() for _, _, second in seen)
    assert told("clock_soon") == told("clock_due") == [("440100-health", "request_answer")]
    assert told("clock_over") == [
        ("440100-data", "dispute_coordinate"),
        ("440100-health", "request_answer"),
        ("440100-housing", ""),
    ]
    assert audit_entries("clock_run_out") == [
        ("440100-housing", "440100-health", "system:worker", None, None, "R-2026-0001", "over")
    ]
    assert Clock.objects.get().state == "over"


def test_a_worker_that_was_away_tells_only_what_still_matters(city) -> None:
    begin("R-2026-0001")
    assert run_on(date(2027, 1, 20)) == Told(over=1)
    assert told("clock_soon") == told("clock_due") == []


def test_a_term_that_was_met_or_stands_still_is_not_told_of(city) -> None:
    begin("R-2026-0001")
    begin("R-2026-0001", date(2026, 11, 12), starts=(), meets=("reply",))
    begin("R-2026-0002")
    begin("R-2026-0002", date(2026, 11, 12), starts=(), pauses="reply")
    assert [run_on(day) for day in (date(2026, 11, 24), DUE, date(2026, 12, 24))] == [Told()] * 3


def test_a_last_day_that_moves_is_told_of_again(city) -> None:
    begin("R-2026-0001")
    assert run_on(DUE) == Told(due=1)
    with clock.fixed(datetime(2026, 11, 25, 2, tzinfo=UTC)):
        set_day(city.viewer("zheng"), DayInput(DUE, "off", "台风停工（示例）"))
    assert run_on(DUE) == Told(soon=1)
    assert run_on(date(2026, 11, 26)) == Told(due=1)
    assert run_on(date(2026, 11, 27)) == Told(over=1)


def test_a_new_round_is_told_of_again(city) -> None:
    begin("R-2026-0001")
    assert run_on(date(2026, 11, 26)) == Told(over=1)
    begin("R-2026-0001", date(2026, 11, 26), starts=(), restarts="reply")
    assert run_on(date(2026, 12, 11)) == Told(over=1)


def test_every_job_of_the_calendar_may_run_twice(city) -> None:
    begin("R-2026-0001")
    with clock.fixed(datetime(2026, 12, 24, 1, tzinfo=UTC)):
        assert sum(job.run() for job in CLOCK_JOBS) > 0
        assert [job.run() for job in CLOCK_JOBS] == [0] * len(CLOCK_JOBS)


def seed_departments_only() -> None:
    """Seed the departments."""
    with clock.fixed(NOW):
        seed_departments(regulation())


@pytest.fixture
def committed(stage: Stage) -> Iterator[None]:
    """Departments that other connections see."""
    forget_calendar()
    with stage.copy(seed_departments_only):
        yield
    forget_calendar()


def test_two_workers_at_once_tell_each_term_once(committed) -> None:
    for number in range(1, 41):
        with transaction.atomic():
            follow(case(f"R-2026-{number:04}"), STEP, named("guangzhou-2016"), SUBMITTED)
    barrier, results = threading.Barrier(2, timeout=60), []

    def work() -> None:
        try:
            with clock.fixed(NOW + timedelta(days=20)):
                barrier.wait()
                results.append(remind().over)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with clock.fixed(NOW + timedelta(days=20)):
        results.append(remind().over)
    assert len(results) == 3 and sum(results) == 40
    assert Notification.objects.filter(code="clock_over").count() == 120
    assert len(audit_entries("clock_run_out")) == 40
