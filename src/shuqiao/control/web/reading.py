"""Reading what a browser sends: bounded, and never trusted."""

from collections.abc import Mapping
from datetime import date

from django.http import HttpRequest

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


def faults_of(refused: FormRefused) -> Mapping[str, Text]:
    """Name what is wrong field by field, the first fault of each."""
    faults: dict[str, Text] = {}
    for fault in refused.faults:
        faults.setdefault(fault.field, fault.message)
    return faults
