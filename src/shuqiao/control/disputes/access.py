"""Fetching a dispute and being allowed to, in one call: absent and not permitted are one answer."""

from django.db.models import Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.disputes.hooks import owner_of
from shuqiao.control.disputes.models import Dispute, DisputeStep
from shuqiao.control.organisations.bodies import COMPETENT, JOINT_REVIEW, body_roles, sides_between
from shuqiao.control.regulations.current import named


def is_coordinator(viewer: Viewer, roles: frozenset[str]) -> bool:
    """Tell whether the viewer co-ordinates disputes for the competent department."""
    return viewer.can(Capability.DISPUTE_COORDINATE) and COMPETENT in roles


def disputes_visible(viewer: Viewer) -> QuerySet[Dispute]:
    """Return the disputes this viewer may see.

    Parties see their own; the co-ordinator and whoever supervises see all; a member of the joint review sees
    what is on the agenda of its sessions; whoever rules sees what waits for its ruling, and what it ruled.
    """
    own, roles = viewer.department.code, body_roles(viewer.department.code)
    if is_coordinator(viewer, roles) or viewer.can(Capability.AUDIT_VIEW_ALL):
        return Dispute.objects.all()
    allowed = Q(pk__in=[])
    if viewer.can(Capability.DISPUTE_OPEN) or viewer.can(Capability.AUDIT_VIEW):
        allowed |= Q(applicant_id=own) | Q(respondent_id=own)
    if viewer.can(Capability.REVIEW_OPINE) and JOINT_REVIEW in roles:
        sessions = Q(agenda_items__session__convened_at__isnull=False, agenda_items__session__members=own)
        allowed |= Q(pk__in=Dispute.objects.filter(sessions).values("pk"))
    if viewer.can(Capability.RULING_RECORD):
        acted = Dispute.objects.filter(events__department_id=own)
        allowed |= awaiting(roles, Capability.RULING_RECORD) | Q(pk__in=acted.values("pk"))
    return Dispute.objects.filter(allowed)


def awaiting(roles: frozenset[str], capability: str) -> Q:
    """Disputes in a state from which a body of one of these roles goes on with this capability."""
    found = Q(pk__in=[])
    if not roles:
        return found
    for regulation_id in regulations_in_use():
        steps = named(regulation_id).procedure("dispute").transitions
        mine = [step for step in steps if step.capability == capability and step.by & roles]
        found |= Q(regulation=regulation_id, state__in={key for step in mine for key in step.from_states})
    return found


def regulations_in_use() -> list[str]:
    """Return the regulations under which disputes were ever brought: few, however many disputes there are."""
    return list(DisputeStep.objects.order_by("regulation").values_list("regulation", flat=True).distinct())


def access_dispute(viewer: Viewer, number: str) -> Dispute:
    """Return a dispute this viewer may see."""
    found = disputes_visible(viewer).select_related("applicant", "respondent").filter(number=number).first()
    if found is None:
        raise NotFound
    return found


def access_dispute_locked(viewer: Viewer, number: str) -> Dispute:
    """Return a dispute to act on, locked until the transaction ends, its case locked before it."""
    found = access_dispute(viewer, number)
    return lock_dispute(found.pk, found.case_kind, found.case_number)


def lock_dispute(key: int, case_kind: str, case_number: str) -> Dispute:
    """Lock the case and then its dispute: always in this order, so that nobody waits in a ring."""
    owner = owner_of(case_kind)
    if owner is not None:
        owner.lock(case_number)
    return Dispute.objects.select_for_update(of=("self",)).get(pk=key)


def sides_of(viewer: Viewer, dispute: Dispute) -> frozenset[str]:
    """Tell on which sides of a dispute the viewer's department stands."""
    return sides_between(viewer.department.code, dispute.applicant_id, dispute.respondent_id)


def may_see(viewer: Viewer, number: str) -> bool:
    """Tell whether the viewer may see a dispute, and so its documents."""
    return disputes_visible(viewer).filter(number=number).exists()
