"""The clock of control: the one place that reads the time, so that tests can set it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

LEGAL_ZONE = ZoneInfo("Asia/Shanghai")

_fixed: ContextVar[datetime | None] = ContextVar("fixed_now", default=None)


def now() -> datetime:
    """Return the current time in UTC, or the time a test has set."""
    return _fixed.get() or datetime.now(UTC)


def today() -> date:
    """Return the current legal day: a plain date in Asia/Shanghai."""
    return legal_day(now())


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
