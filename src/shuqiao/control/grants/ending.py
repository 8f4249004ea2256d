"""What the worker ends and calls back: grants whose entry was taken out, and copies that were on their way.

Source: our choice, decision 42
"""

from datetime import timedelta

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.grants.actions import end_early
from shuqiao.control.grants.models import ENDED, Grant
from shuqiao.control.grants.recalling import call_back_copies

TAKEN_OUT = "目录条目已撤出 / its entry was taken out of the catalogue"
BATCH = 1000
"""So many are looked at in one run; the rest comes with the next."""

_LATE = timedelta(days=2)
"""So long after its end it is looked at again what was on its way then: no delivery lasts so long."""


def end_withdrawn() -> int:
    """End the grants of entries that are in the catalogue no longer; the plane refuses them already."""
    opened = Grant.objects.exclude(phase=ENDED).filter(resource__state="withdrawn")
    return sum(
        _end(number) for number in list(opened.order_by("number").values_list("number", flat=True)[:BATCH])
    )


@transaction.atomic
def _end(number: str) -> bool:
    return end_early(number, TAKEN_OUT)


def call_back_late() -> int:
    """Name in recalls what was on its way when a grant ended; how many recalls have changed."""
    lately = Grant.objects.filter(phase=ENDED, ended_at__gte=clock.now() - _LATE)
    # They stay for two days, however often they are looked at: where more end than one run takes, chance
    # lets each have its turn.
    lately = lately.order_by("?")
    return sum(_again(number) for number in list(lately.values_list("number", flat=True)[:BATCH]))


@transaction.atomic
def _again(number: str) -> int:
    # Whoever holds the lock takes a step of this grant, and calls back by itself.
    rows = Grant.objects.select_for_update(skip_locked=True).filter(number=number, phase=ENDED)
    grant = rows.first()
    return call_back_copies(grant) if grant is not None else 0
