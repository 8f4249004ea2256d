"""`simulate --days N`, `--until DAY` or `--reset`: play the days of a sample, one after the other."""

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from shuqiao.control import clock
from shuqiao.control.clocks.simulated import NotASample, advance_to, next_morning, set_ahead
from shuqiao.control.operations.daily import ClockJob, run_clock_jobs

MAX_DAYS = 800


@dataclass(frozen=True)
class PlayedDay:
    """A day that has been played, and what each job did on it, where it did anything."""

    day: date
    done: tuple[tuple[ClockJob, int], ...]


def play(until: date) -> Iterator[PlayedDay]:
    """Open the office on each day until this one, and run every job that follows the calendar.

    Raises `NotASample` where the installation holds real cases.
    """
    while (before := clock.today()) < until:
        advance_to(next_morning())
        if clock.today() == before:
            raise RuntimeError("the time is held and can't be played")
        yield PlayedDay(clock.today(), run_clock_jobs())


class Command(BaseCommand):
    """Moves the time of a sample ahead day by day and prints what happened."""

    help = "Play the days of a sample: its time moves ahead and every job of the calendar runs on each day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how far to go."""
        far = parser.add_mutually_exclusive_group(required=True)
        far.add_argument("--days", type=int, metavar="N", help="so many calendar days")
        far.add_argument("--until", type=date.fromisoformat, metavar="DAY", help="until this day, 2027-03-01")
        far.add_argument("--reset", action="store_true", help="back to the real time")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Play, or go back to the real time."""
        try:
            if options["reset"]:
                set_ahead(timedelta())
                self.stdout.write(f"it is {clock.today()} again")
                return
            self._play(options["until"] or clock.today() + timedelta(days=options["days"]))
        except NotASample as refused:
            raise CommandError(str(refused)) from refused

    def _play(self, until: date) -> None:
        if not clock.today() <= until <= clock.today() + timedelta(days=MAX_DAYS):
            raise CommandError(f"from today on, and at most {MAX_DAYS} days at once")
        total = 0
        for played in play(until):
            for job, count in played.done:
                total += count
                self.stdout.write(f"{played.day} {played.day:%a}  {count:>5}  {job.words}")
        self.stdout.write(f"it is {clock.today()}; {total} steps")
