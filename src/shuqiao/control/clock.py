"""The clock of control: the one place that reads the time, so that tests and simulations can set it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

LEGAL_ZONE = ZoneInfo("Asia/Shanghai")

AHEAD_KEPT_S = 1
"""A sample's time is read again after so long; a page reads the time often."""

_fixed: ContextVar[datetime | None] = ContextVar("fixed_now", default=None)


def now() -> datetime:
    """Return the current time in UTC, or the time that a test or the simulation of a sample has set."""
    return _fixed.get() or datetime.now(UTC) + _ahead(int(time.monotonic() / AHEAD_KEPT_S))


def today() -> date:
    """Return the current legal day: a plain date in Asia/Shanghai."""
    return legal_day(now())


def read_ahead_from(source: Callable[[], timedelta]) -> None:
    """Let the time run ahead by what `source` says: for samples only, where cases are played through."""
    _sources[:] = [source]
    forget_ahead()


def forget_ahead() -> None:
    """Ask again how far the time is ahead; for the process that has just moved it."""
    _ahead.cache_clear()


_sources: list[Callable[[], timedelta]] = []


@lru_cache(maxsize=1)
def _ahead(_period: int) -> timedelta:
    return _sources[0]() if _sources else timedelta()


def legal_day(moment: datetime) -> date:
    """Return the legal day on which `moment` falls."""
    return moment.astimezone(LEGAL_ZONE).date()


@contextmanager
def fixed(moment: datetime) -> Iterator[None]:
    """Hold the clock at `moment` (aware) for the caller's context: tests and the sample city."""
    token = _fixed.set(moment)
    try:
        yield
    finally:
        _fixed.reset(token)
