"""Who may see, register, certify and accept business systems: absent and not permitted are one answer."""

from django.db.models import QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.interconnection.models import BusinessSystem, ConnectionCertificate
from shuqiao.control.organisations.bodies import body_roles
from shuqiao.control.regulations.current import regulation

_OVERSEEING = (Capability.APPLICATION_ADMIT, Capability.AUDIT_VIEW_ALL)


def sees_all(viewer: Viewer) -> bool:
    """Tell whether the viewer watches over all systems: the platform agency and those who supervise."""
    return any(viewer.can(one) for one in _OVERSEEING)


def sees_business_systems(viewer: Viewer) -> bool:
    """Tell whether the viewer has to do with the register."""
    own = (Capability.APPLICATION_ENROL, Capability.CATALOGUE_EDIT)
    return sees_all(viewer) or any(viewer.can(one) for one in own)


def may_register(viewer: Viewer, department: str) -> bool:
    """Tell whether the viewer registers and reports for a department: its technicians, or the agency."""
    own = viewer.department.code == department and viewer.can(Capability.APPLICATION_ENROL)
    return own or viewer.can(Capability.APPLICATION_ADMIT)


def may_certify(viewer: Viewer) -> bool:
    """Tell whether the viewer issues and revokes certificates for the body that the regulation names."""
    by = regulation().exchange.interconnection.certificate_by
    return viewer.can(Capability.APPLICATION_ADMIT) and by in body_roles(viewer.department.code)


def may_accept(viewer: Viewer) -> bool:
    """Tell whether the viewer records acceptances for the body that the regulation names."""
    by = regulation().exchange.interconnection.acceptance_by
    return viewer.can(Capability.CATALOGUE_REVIEW) and by in body_roles(viewer.department.code)


def systems_visible(viewer: Viewer) -> QuerySet[BusinessSystem]:
    """Return the systems the viewer may see; raises `NotFound` for who has nothing to do with them."""
    if not sees_business_systems(viewer):
        raise NotFound
    known = BusinessSystem.objects.all()
    return known if sees_all(viewer) else known.filter(department_id=viewer.department.code)


def access_system_locked(viewer: Viewer, number: str) -> BusinessSystem:
    """Return a system the viewer may see, locked until the transaction ends."""
    found = systems_visible(viewer).select_for_update(of=("self",)).filter(number=number).first()
    if found is None:
        raise NotFound
    return found


def access_own_locked(viewer: Viewer, number: str) -> BusinessSystem:
    """Return a system the viewer acts for, locked."""
    found = access_system_locked(viewer, number)
    if not may_register(viewer, found.department_id):
        raise NotFound
    return found


def access_certificate(viewer: Viewer, number: str) -> ConnectionCertificate:
    """Return a certificate of a system the viewer may see."""
    seen = ConnectionCertificate.objects.filter(system__in=systems_visible(viewer))
    found = seen.select_related("system").filter(number=number).first()
    if found is None:
        raise NotFound
    return found
