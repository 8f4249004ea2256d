"""Fetching a case and being allowed to, in one call: absent and not permitted are one answer."""

from typing import TypeVar

from django.db.models import Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.organisations.bodies import sides_between
from shuqiao.control.outside.models import OutsideRequest, Publication

Case = OutsideRequest | Publication
AnyCase = TypeVar("AnyCase", OutsideRequest, Publication)

KINDS = ("outside", "publication")
"""The kinds of cases of this capability: the names of their procedures."""


def kind_of(case: Case) -> str:
    """Return the name of a case's procedure."""
    return "outside" if isinstance(case, OutsideRequest) else "publication"


def visible(viewer: Viewer, model: type[AnyCase]) -> QuerySet[AnyCase]:
    """Return the cases of a kind this viewer may see.

    Each side sees its own; a draft is seen by its own department only; those who co-ordinate or supervise
    see all that were sent.
    """
    own = viewer.department.code
    sent = Q(submitted_at__isnull=False)
    allowed = Q(pk__in=[])
    if viewer.can(Capability.REQUEST_SUBMIT):
        allowed |= Q(requester_id=own)
    if viewer.can(Capability.REQUEST_ANSWER):
        allowed |= Q(provider_id=own) & sent
    if viewer.can(Capability.AUDIT_VIEW):
        allowed |= (Q(provider_id=own) | Q(requester_id=own)) & sent
    if viewer.can(Capability.DISPUTE_COORDINATE) or viewer.can(Capability.AUDIT_VIEW_ALL):
        allowed |= sent
    return model._default_manager.filter(allowed)


def access_case(viewer: Viewer, model: type[AnyCase], number: str) -> AnyCase:
    """Return a case this viewer may see."""
    found = visible(viewer, model).select_related("requester", "provider", "created_by")
    case = found.filter(number=number).first()
    if case is None:
        raise NotFound
    return case


def access_case_locked(viewer: Viewer, model: type[AnyCase], number: str) -> AnyCase:
    """Return a case to act on, locked until the transaction ends: whoever comes second waits here."""
    case = visible(viewer, model).select_for_update(of=("self",)).filter(number=number).first()
    if case is None:
        raise NotFound
    return case


def access_draft_locked(viewer: Viewer, model: type[AnyCase], key: int) -> AnyCase:
    """Return an unsent case of the viewer's department to act on, locked."""
    if not viewer.can(Capability.REQUEST_SUBMIT):
        raise NotFound
    own = model._default_manager.filter(requester_id=viewer.department.code, number=None)
    case = own.select_for_update(of=("self",)).filter(pk=key).first()
    if case is None:
        raise NotFound
    return case


def sides_of(viewer: Viewer, case: Case) -> frozenset[str]:
    """Tell on which sides of a case the viewer's department stands."""
    return sides_between(viewer.department.code, case.requester_id, case.provider_id)


def access_kind_locked(viewer: Viewer, kind: str, number: str) -> Case:
    """Return a case by its kind and number to act on, locked."""
    if kind not in KINDS:
        raise NotFound
    if kind == "outside":
        return access_case_locked(viewer, OutsideRequest, number)
    return access_case_locked(viewer, Publication, number)
