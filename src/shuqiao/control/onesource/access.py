"""Fetching claims, plans and checks and being allowed to, in one call."""

from django.db.models import Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.onesource.models import Claim, CollectionPlan, FormCheck


def watches(viewer: Viewer) -> bool:
    """Whether the viewer co-ordinates or supervises, and so sees what every department does here."""
    return viewer.can(Capability.DISPUTE_COORDINATE) or viewer.can(Capability.AUDIT_VIEW_ALL)


def may_compile(viewer: Viewer) -> bool:
    """Whether the viewer compiles entries, or reviews those of others."""
    return viewer.can(Capability.CATALOGUE_EDIT) or viewer.can(Capability.CATALOGUE_REVIEW)


def may_plan(viewer: Viewer) -> bool:
    """Whether the viewer registers what its department is going to collect, and checks its forms."""
    return viewer.can(Capability.REQUEST_SUBMIT) or viewer.can(Capability.CATALOGUE_EDIT)


def visible_claims(viewer: Viewer) -> QuerySet[Claim]:
    """The claims a viewer may see: those of its department, on either side; all for who co-ordinates."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        return Claim.objects.none()
    if watches(viewer) or viewer.can(Capability.CATALOGUE_REVIEW):
        return Claim.objects.all()
    own = viewer.department.code
    return Claim.objects.filter(Q(department_id=own) | Q(holder_id=own))


def access_claim(viewer: Viewer, number: str) -> Claim:
    """Return a claim this viewer may see."""
    found = visible_claims(viewer).select_related(
        "department", "holder", "held_resource", "account", "decision"
    )
    claim = found.filter(number=number).first()
    if claim is None:
        raise NotFound
    return claim


def sees_claim(viewer: Viewer, number: str) -> bool:
    """Whether a viewer may see a claim, and so its papers."""
    return visible_claims(viewer).filter(number=number).exists()


def access_claim_locked(viewer: Viewer, number: str) -> Claim:
    """Return a claim to act on, locked until the transaction ends."""
    claim = visible_claims(viewer).select_for_update(of=("self",)).filter(number=number).first()
    if claim is None:
        raise NotFound
    return claim


def visible_plans(viewer: Viewer) -> QuerySet[CollectionPlan]:
    """The planned collections a viewer may see."""
    if watches(viewer):
        return CollectionPlan.objects.all()
    if not may_plan(viewer):
        return CollectionPlan.objects.none()
    return CollectionPlan.objects.filter(department_id=viewer.department.code)


def visible_checks(viewer: Viewer) -> QuerySet[FormCheck]:
    """The checks of forms a viewer may see."""
    if watches(viewer):
        return FormCheck.objects.all()
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        return FormCheck.objects.none()
    return FormCheck.objects.filter(department_id=viewer.department.code)


def access_check(viewer: Viewer, number: str) -> FormCheck:
    """Return a check this viewer may see."""
    check = visible_checks(viewer).select_related("department", "account").filter(number=number).first()
    if check is None:
        raise NotFound
    return check


def access_plan(viewer: Viewer, number: str) -> CollectionPlan:
    """Return a planned collection this viewer may see."""
    plan = visible_plans(viewer).select_related("department", "account").filter(number=number).first()
    if plan is None:
        raise NotFound
    return plan
