"""The counts beside the entries of the navigation."""

from dataclasses import dataclass

from django.db.models import Count, Q

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.grants.access import grants_visible
from shuqiao.control.grants.models import GrantState
from shuqiao.control.requests.access import requests_visible


@dataclass(frozen=True)
class Badges:
    """How much waits for the viewer's department."""

    to_answer: int
    overdue: int
    own_open: int
    grants: int


def badges(viewer: Viewer) -> Badges:
    """Count what waits: two queries."""
    own = viewer.department.code
    received = Q(provider_id=own, state__in=["submitted", "negotiation"])
    counts = requests_visible(viewer).aggregate(
        to_answer=Count("pk", filter=received),
        overdue=Count("pk", filter=received & Q(reply_due_on__lt=clock.today())),
        own_open=Count("pk", filter=Q(requester_id=own, state__in=["draft", "submitted", "negotiation"])),
    )
    active = grants_visible(viewer).filter(state=GrantState.ACTIVE).count()
    return Badges(counts["to_answer"], counts["overdue"], counts["own_open"], active)
