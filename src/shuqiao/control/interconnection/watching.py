"""Telling both sides that the day by which a system was to be put right has passed.

Source: xiamen-2015 art. 19; SUP-11.
"""

from django.db import transaction
from django.db.models import OuterRef, Subquery

from shuqiao.control import clock
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import ToTell, notify_all
from shuqiao.control.interconnection.models import BusinessSystem, SystemStep
from shuqiao.control.organisations.bodies import bodies_with
from shuqiao.control.regulations.current import regulation
from shuqiao.rules.interconnection import RETIRED


@transaction.atomic
def watch_rectification() -> int:
    """Tell of systems that did not pass and were to be put right by a day that is over; return how many.

    A system in use whose last acceptance refused it counts. Each such day is told once, to its department and
    to the body that accepts systems. Safe late, twice, and beside another.
    """
    judged = SystemStep.objects.filter(system=OuterRef("pk"), kind__in=["accepted", "refused"])
    last = judged.order_by("-occurred_at", "-id")
    found = list(
        BusinessSystem.objects.exclude(state=RETIRED)
        .annotate(last=Subquery(last.values("kind")[:1]), due_on=Subquery(last.values("due_on")[:1]))
        .filter(last="refused", due_on__lt=clock.today())
        .values_list("number", "name", "department_id", "due_on")
    )
    accepting = bodies_with(regulation().exchange.interconnection.acceptance_by)
    notify_all(
        ToTell(
            body,
            "rectification_over",
            number,
            capability,
            due_on.isoformat(),
            {"name": name, "due_on": due_on.isoformat()},
        )
        for number, name, department, due_on in found
        for body, capability in (
            (department, Capability.APPLICATION_ENROL),
            *((one, Capability.CATALOGUE_REVIEW) for one in accepting),
        )
    )
    return len(found)
