"""The settable time: in a sample only, forward only, recorded, and played day by day by a command."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.clocks.models import Clock, SimulatedTime
from shuqiao.control.clocks.simulated import NotASample, advance_to, read_ahead, set_ahead
from shuqiao.control.operations.management.commands.simulate import play
from tests.control.conftest import audit_entries
from tests.control.test_calendar import begin


@pytest.fixture
def real_time(city) -> Iterator[None]:
    """The clock as it runs outside tests: real time and what the sample is ahead."""
    token = clock._fixed.set(None)
    clock.forget_ahead()
    yield
    clock._fixed.reset(token)
    clock.forget_ahead()


def test_the_time_of_a_sample_moves_ahead_and_back_and_the_log_says_so(real_time) -> None:
    before = clock.now()
    advance_to(before + timedelta(days=40))
    assert timedelta(days=40) <= clock.now() - before < timedelta(days=40, minutes=1)
    advance_to(before)
    assert clock.now() - before >= timedelta(days=40)
    set_ahead(timedelta())
    assert clock.now() - before < timedelta(minutes=1)
    assert [entry[-1] for entry in audit_entries("sample_time_set")] == ["moved", "moved"]


def test_an_installation_with_real_cases_keeps_the_real_time(real_time, settings) -> None:
    settings.SAMPLE_DATA = False
    with pytest.raises(NotASample):
        set_ahead(timedelta(days=1))
    with pytest.raises(CommandError):
        call_command("simulate", "--days", "3", stdout=StringIO())
    assert not SimulatedTime.objects.exists()


def test_time_never_runs_behind_and_has_one_row(real_time) -> None:
    set_ahead(timedelta(days=1))
    with pytest.raises(IntegrityError), transaction.atomic():
        SimulatedTime.objects.update(ahead=timedelta(days=-1))
    with pytest.raises(IntegrityError), transaction.atomic():
        SimulatedTime.objects.create(pk=2, ahead=timedelta())


def test_the_command_plays_each_day_and_prints_what_happened(real_time) -> None:
    today = clock.today()
    begin("R-2026-0001", today)
    out = StringIO()
    call_command("simulate", "--days", "30", stdout=out)
    assert Clock.objects.get().state == "over"
    assert out.getvalue().count("reminders and notices") == 3
    assert clock.today() == today + timedelta(days=30)
    call_command("simulate", "--until", str(today + timedelta(days=31)), stdout=out)
    assert clock.today() == today + timedelta(days=31)
    for arguments in (["--until", str(today)], ["--days", "5000"]):
        with pytest.raises(CommandError):
            call_command("simulate", *arguments, stdout=out)
    call_command("simulate", "--reset", stdout=out)
    assert clock.today() == datetime.now(UTC).astimezone(clock.LEGAL_ZONE).date()
    assert read_ahead() == timedelta()


def test_a_day_is_played_once_however_it_is_asked(real_time) -> None:
    until = clock.today() + timedelta(days=5)
    assert [played.day for played in play(until)] == [until - timedelta(days=n) for n in (4, 3, 2, 1, 0)]
    assert list(play(until)) == []


def test_a_test_can_hold_the_clock_whatever_the_sample_says(real_time) -> None:
    set_ahead(timedelta(days=100))
    with clock.fixed(datetime(2026, 11, 11, tzinfo=UTC)):
        assert clock.today() == date(2026, 11, 11)
