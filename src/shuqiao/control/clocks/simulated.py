"""The time of a sample installation, which can be moved ahead so that a year of cases is played in seconds.

Only a sample has one: elsewhere nothing here is ever read. It moves what control reads as the time. Calls,
signatures and grants in the plane keep the real time.
"""

from datetime import datetime, time, timedelta

from django.conf import settings
from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.clocks.models import SimulatedTime

OFFICE_OPENS = time(9, 0)


class NotASample(Exception):
    """This installation holds real cases: its time is not moved."""


def read_ahead() -> timedelta:
    """How far the sample's time is ahead of the real one."""
    row = SimulatedTime.objects.first()
    return row.ahead if row else timedelta()


@transaction.atomic
def set_ahead(ahead: timedelta) -> None:
    """Set how far the sample's time is ahead of the real one, with an audit entry that says so.

    Other processes follow within `clock.AHEAD_KEPT_S`. Raises `NotASample`.
    """
    if not settings.SAMPLE_DATA:
        raise NotASample("the time of an installation with real cases is not moved")
    SimulatedTime.objects.update_or_create(pk=1, defaults={"ahead": ahead})
    clock.forget_ahead()
    append_entry(
        "sample_time_set",
        actor="system:simulation",
        at=clock.now(),
        outcome="moved",
        facts={"ahead_s": int(ahead.total_seconds())},
    )


def next_morning() -> datetime:
    """When the office opens on the legal day after today."""
    day = clock.today() + timedelta(days=1)
    return datetime.combine(day, OFFICE_OPENS, clock.LEGAL_ZONE)


def advance_to(moment: datetime) -> None:
    """Move the sample's time to a later moment; an earlier one changes nothing. Raises `NotASample`."""
    missing = moment - clock.now()
    if missing > timedelta():
        set_ahead(read_ahead() + missing)
