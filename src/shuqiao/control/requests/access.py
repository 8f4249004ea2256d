"""Fetching a request and being allowed to, in one call: absent and not permitted are one answer."""

from django.db.models import Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.organisations.bodies import sides_between
from shuqiao.control.requests.models import Request


def requests_visible(viewer: Viewer) -> QuerySet[Request]:
    """Return the requests this viewer may see.

    Clerks see what their department has asked for, reviewers also what it was asked for; a draft is seen
    by its own department only; those who co-ordinate or supervise see all that were submitted.
    """
    own = viewer.department.code
    allowed = Q(pk__in=[])
    if viewer.can(Capability.REQUEST_SUBMIT) or viewer.can(Capability.AUDIT_VIEW):
        allowed |= Q(requester_id=own)
    answers = viewer.can(Capability.REQUEST_ANSWER) or viewer.can(Capability.ANSWER_CONFIRM)
    if answers or viewer.can(Capability.AUDIT_VIEW):
        allowed |= Q(provider_id=own, submitted_at__isnull=False)
    if viewer.can(Capability.DISPUTE_COORDINATE) or viewer.can(Capability.AUDIT_VIEW_ALL):
        allowed |= Q(submitted_at__isnull=False)
    return Request.objects.filter(allowed)


def access_request(viewer: Viewer, number: str) -> Request:
    """Return a submitted request this viewer may see, with what every page of it shows."""
    request = (
        requests_visible(viewer)
        .select_related("resource", "requester", "provider", "created_by", "decided_by", "duty", "renews")
        .filter(number=number)
        .first()
    )
    if request is None:
        raise NotFound
    return request


def access_request_locked(viewer: Viewer, number: str) -> Request:
    """Return a request to act on, locked until the transaction ends: a second reviewer waits here."""
    request = requests_visible(viewer).select_for_update(of=("self",)).filter(number=number).first()
    if request is None:
        raise NotFound
    return request


def sides_of(viewer: Viewer, request: Request) -> frozenset[str]:
    """Tell on which sides of a request the viewer's department stands, and its roles as a body."""
    return sides_between(viewer.department.code, request.requester_id, request.provider_id)
