"""The counts beside the entries of the navigation."""

from dataclasses import dataclass

from django.db.models import Q

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.clocks.models import Clock
from shuqiao.control.grants.models import IN_USE, Grant
from shuqiao.control.requests.models import KIND, OPEN_PHASES, Request
from shuqiao.rules.regulation import Phase


@dataclass(frozen=True)
class Badges:
    """How much waits for the viewer's department."""

    to_answer: int
    overdue: int
    own_open: int
    grants: int


def badges(viewer: Viewer) -> Badges:
    """Count what waits: one indexed query for each count that the viewer's role has a link for."""
    own = viewer.department.code
    answers = viewer.can(Capability.REQUEST_ANSWER) or viewer.can(Capability.ANSWER_CONFIRM)
    asks = viewer.can(Capability.REQUEST_SUBMIT)
    received = Request.objects.filter(provider_id=own, phase__in=OPEN_PHASES)
    late = Clock.objects.filter(holder_id=own, ended_on=None, due_on__lt=clock.today(), kind=KIND)
    mine = Request.objects.filter(requester_id=own)
    own_open = Q(phase__in=OPEN_PHASES) | Q(phase=Phase.DRAFT.value, created_by_id=viewer.account_id)
    uses = viewer.can(Capability.GRANT_USE) or viewer.can(Capability.GRANT_REVOKE)
    given = Grant.objects.filter(phase=IN_USE, provider_id=own)
    held = Grant.objects.filter(phase=IN_USE, consumer_id=own)
    return Badges(
        to_answer=received.count() if answers else 0,
        overdue=late.count() if answers else 0,
        own_open=mine.filter(own_open).count() if asks else 0,
        # No department grants itself anything, so that nothing is counted twice.
        grants=given.count() + held.count() if uses else 0,
    )
