"""Fetching cases of the catalogue and being allowed to: absent and not permitted are one answer."""

from collections.abc import Collection

from django.db.models import Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.compiling.districts import region_of, rules_for
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.organisations.bodies import body_roles
from shuqiao.rules.regulation import PROVIDER, Phase

PROCEDURE = "entry"
"""The name of the procedure in the regulation files, and of these cases to clocks and documents."""

_COMPILES = (Capability.CATALOGUE_EDIT, Capability.CATALOGUE_REVIEW, Capability.CATALOGUE_APPROVE)


def visible(viewer: Viewer) -> QuerySet[Compilation]:
    """Return the cases this viewer may see.

    A department's own are seen by its compilers and reviewers, and once sent by whoever reads its log; the
    bodies that take part in the procedure see what was sent within their region.
    """
    own = Q(department_id=viewer.department.code) | Q(compiler__department_id=viewer.department.code)
    sent = Q(submitted_at__isnull=False)
    allowed = Q(pk__in=[])
    takes_part = any(viewer.can(capability) for capability in _COMPILES)
    if takes_part:
        allowed |= own
    if viewer.can(Capability.AUDIT_VIEW):
        allowed |= own & sent
    if viewer.can(Capability.AUDIT_VIEW_ALL):
        allowed |= sent
    if takes_part and _bodies_of_chain(viewer.department.code):
        allowed |= sent & Q(department__region=region_of(viewer.department.code))
    return Compilation.objects.filter(allowed)


def _bodies_of_chain(department: str) -> frozenset[str]:
    """On which sides of its region's procedure a department stands as a body, whoever compiles."""
    procedure = rules_for(department).procedure(PROCEDURE)
    return body_roles(department) & {side for step in procedure.transitions for side in step.by}


def access_compilation(viewer: Viewer, number: str) -> Compilation:
    """Return a case this viewer may see."""
    found = visible(viewer).select_related("department", "compiler", "submitted_by", "declared_by")
    case = found.filter(number=number).first()
    if case is None:
        raise NotFound
    return case


def access_locked(viewer: Viewer, numbers: Collection[str]) -> list[Compilation]:
    """Return those of these cases the viewer may see, locked in the order of their numbers.

    Whoever comes second waits here. Raises `NotFound` for a single one that isn't there.
    """
    seen = visible(viewer).filter(number__in=list(numbers)).values_list("number", flat=True)
    rows = Compilation.objects.select_for_update(of=("self",)).select_related("department")
    found = list(rows.filter(number__in=list(seen)).order_by("number"))
    if len(numbers) == 1 and not found:
        raise NotFound
    return found


def sides_of(viewer: Viewer, department: str) -> frozenset[str]:
    """Tell on which sides of a department's case the viewer's department stands.

    Bodies act within their own region: a district's catalogue has its own competent department.
    """
    own = viewer.department.code
    sides = set(body_roles(own)) if region_of(own) == region_of(department) else set()
    if own == department:
        sides.add(PROVIDER)
    return frozenset(sides)


OPEN_PHASES = (Phase.DRAFT.value, Phase.WAITING.value, Phase.REFUSED.value, Phase.DISPUTED.value)
"""A case in one of these is not at its end: an entry has only one such."""
