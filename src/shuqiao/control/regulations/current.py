"""The regulation in force, its data, and the calendar as the office keeps it."""

import time
from collections.abc import Mapping
from functools import lru_cache

from django.conf import settings

from shuqiao.control.regulations import files
from shuqiao.control.regulations.models import CalendarDay, CalendarYear
from shuqiao.rules.articles import Article
from shuqiao.rules.catalogue import Bodies, DataList
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.workdays import Calendar

# Days set by the office are read again after this time by every process; a page computes many due dates.
CALENDAR_KEPT_S = 10


def regulation() -> Regulation:
    """Return the regulation this installation runs under."""
    return named(settings.CONFIG.regulation)


def named(regulation_id: str) -> Regulation:
    """Return a regulation by id: a case keeps the one it began under."""
    return files.load_regulation(regulation_id, fallback=settings.CONFIG.regulation_fallback)


def load_whole(regulation_id: str) -> None:
    """Load a regulation with its bodies and lists, so that a fault in one of them shows now."""
    rules = named(regulation_id)
    files.load_departments(rules)
    files.load_catalogue(rules)


def readable(regulation_id: str) -> Regulation:
    """Return any regulation to read or compare, though nobody works under it.

    What its text leaves open is shown from the one in force where neither its file nor the city names a
    fallback; each value says where it comes from.
    """
    config = settings.CONFIG
    chosen = config.regulation_fallback or config.regulation
    return files.load_regulation(regulation_id, fallback=None if chosen == regulation_id else chosen)


def text_articles(regulation_id: str) -> Mapping[int, Article]:
    """Return the articles of a regulation's text by number."""
    return files.load_text(regulation_id)


def data_lists(regulation_id: str) -> tuple[DataList, ...]:
    """Return the base lists of a regulation's catalogue."""
    return files.load_catalogue(named(regulation_id))


def bodies(regulation_id: str) -> Bodies:
    """Return the departments a regulation's data names."""
    return files.load_departments(named(regulation_id))


def calendar() -> Calendar:
    """Return the announced calendar with the days the office has set itself."""
    return _calendar(regulation().calendar, int(time.monotonic() / CALENDAR_KEPT_S))


def committed_calendar() -> Calendar:
    """Return the calendar as the database has it at this moment, for what is written down."""
    return _read_calendar(regulation().calendar)


@lru_cache(maxsize=4)
def _calendar(name: str, _period: int) -> Calendar:
    return _read_calendar(name)


def _read_calendar(name: str) -> Calendar:
    announced = CalendarYear.objects.filter(announced=True).values_list("year", flat=True)
    days = CalendarDay.objects.values_list("day", "working")
    return files.load_calendar(name).with_days(dict(days)).with_years(announced)


def forget_calendar() -> None:
    """Read the office's days again at the next question; for the process that has just set one."""
    _calendar.cache_clear()
