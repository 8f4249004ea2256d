"""What departments do in sharing as bodies of the law, and on which sides of a case they stand."""

from shuqiao.control.organisations.models import Department
from shuqiao.rules.regulation import PROVIDER, REQUESTER, SIDES

COMPETENT = "competent"
JOINT_REVIEW = "joint_review"
PLATFORM_AGENCY = "platform_agency"
"""Body roles that every regulation file names alike: who manages sharing, who sits in joint reviews, who runs
the platform."""


def body_roles(department: str) -> frozenset[str]:
    """Return what a department does in sharing, as the regulation names it.

    Nearly every department is a provider and a requester in general. In a case only its two parties are, so
    those words never come from here.
    """
    roles = Department.objects.values_list("roles", flat=True).get(code=department)
    return frozenset(roles) - SIDES


def bodies_with(role: str) -> list[str]:
    """Return the codes of the active departments with a body role."""
    found = Department.objects.filter(roles__contains=[role], active=True)
    return list(found.order_by("code").values_list("code", flat=True))


def sides_between(department: str, requester: str, provider: str = "") -> frozenset[str]:
    """Tell on which sides of a case between these two a department stands, and its roles as a body."""
    sides = set(body_roles(department))
    if department == requester:
        sides.add(REQUESTER)
    if department == provider:
        sides.add(PROVIDER)
    return frozenset(sides)
