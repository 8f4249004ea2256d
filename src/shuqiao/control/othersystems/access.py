"""Who may see and register other exchange systems: absent and not permitted are one answer."""

from django.db.models import QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.othersystems.models import ExchangeSystem


def sees_all(viewer: Viewer) -> bool:
    """Tell whether the viewer watches over all systems: the platform agency and those who supervise."""
    return viewer.can(Capability.APPLICATION_ADMIT) or viewer.can(Capability.AUDIT_VIEW_ALL)


def sees_other_systems(viewer: Viewer) -> bool:
    """Tell whether the viewer has to do with the register."""
    return sees_all(viewer) or viewer.can(Capability.APPLICATION_ENROL)


def may_register(viewer: Viewer, department: str) -> bool:
    """Tell whether the viewer registers and reports for a department: its technicians, or the agency."""
    own = viewer.department.code == department and viewer.can(Capability.APPLICATION_ENROL)
    return own or viewer.can(Capability.APPLICATION_ADMIT)


def systems_visible(viewer: Viewer) -> QuerySet[ExchangeSystem]:
    """Return the systems the viewer may see; raises `NotFound` for who has nothing to do with them."""
    if not sees_other_systems(viewer):
        raise NotFound
    known = ExchangeSystem.objects.all()
    return known if sees_all(viewer) else known.filter(department_id=viewer.department.code)


def access_system_locked(viewer: Viewer, number: str) -> ExchangeSystem:
    """Return a system to report on, locked until the transaction ends."""
    found = systems_visible(viewer).select_for_update(of=("self",)).filter(number=number).first()
    if found is None or not may_register(viewer, found.department_id):
        raise NotFound
    return found
