"""Reading what a browser sends: bounded, and never trusted."""

from datetime import date, datetime

from django.http import HttpRequest

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.texts import Text

MAX_PAGE = 1000


def page_number(request: HttpRequest) -> int:
    """Read the page asked for; anything else is the first."""
    asked = request.GET.get("page", "")
    return min(max(1, int(asked)), MAX_PAGE) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1


def read_day(text: str) -> date | None:
    """Read a day as `2026-11-25`; anything else is none."""
    try:
        return date.fromisoformat(text.strip()) if len(text.strip()) == 10 else None
    except ValueError:
        return None


def read_moment(text: str) -> datetime | None:
    """Read a moment as `2026-11-25T09:30` on the office's clock; anything else is none."""
    written = text.strip().replace(" ", "T")
    try:
        found = datetime.fromisoformat(written) if len(written) in (16, 19) else None
    except ValueError:
        return None
    return found.replace(tzinfo=clock.LEGAL_ZONE) if found is not None and found.tzinfo is None else None


def read_count(text: str) -> int | None:
    """Read a whole number of at most ten digits; anything else is none."""
    written = text.strip()
    return int(written) if written.isascii() and written.isdigit() and len(written) <= 10 else None


def read_key(text: str) -> int | None:
    """Read the key of a row, of at most 15 digits; anything else is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def faults_of(refused: FormRefused) -> dict[str, Text]:
    """Name what is wrong field by field, the first fault of each."""
    faults: dict[str, Text] = {}
    for fault in refused.faults:
        faults.setdefault(fault.field, fault.message)
    return faults
