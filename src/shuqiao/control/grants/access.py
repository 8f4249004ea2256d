"""Fetching a grant and being allowed to, in one call: absent and not permitted are one answer."""

from django.db.models import Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.grants.models import IN_USE, Grant


def grants_visible(viewer: Viewer) -> QuerySet[Grant]:
    """Return the grants the viewer's department has given or received; supervision sees all."""
    if viewer.can(Capability.AUDIT_VIEW_ALL):
        return Grant.objects.all()
    own = viewer.department.code
    return Grant.objects.filter(Q(provider_id=own) | Q(consumer_id=own))


def access_grant(viewer: Viewer, number: str) -> Grant:
    """Return a grant the viewer may see."""
    grant = (
        grants_visible(viewer)
        .select_related("resource", "provider", "consumer")
        .prefetch_related("applications", "renewals")
        .filter(number=number)
        .first()
    )
    if grant is None:
        raise NotFound
    return grant


def access_grant_to_use(viewer: Viewer, number: str) -> Grant:
    """Return an active grant that the viewer's department holds and the viewer's role may use."""
    grant = access_grant(viewer, number)
    held = grant.consumer_id == viewer.department.code and grant.phase == IN_USE
    if not held or not viewer.can(Capability.GRANT_USE):
        raise NotFound
    return grant


def access_grant_to_change(viewer: Viewer, number: str) -> Grant:
    """Return a grant the viewer may suspend, resume or end, locked until the transaction ends."""
    if not viewer.can(Capability.GRANT_REVOKE):
        raise NotFound
    grant = (
        Grant.objects.select_for_update().filter(number=number, provider_id=viewer.department.code).first()
    )
    if grant is None:
        raise NotFound
    return grant
