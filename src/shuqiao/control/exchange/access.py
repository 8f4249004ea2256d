"""Who watches the exchange: all of it, or one's own department's; absent and not permitted are one answer."""

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.organisations.bodies import PLATFORM_AGENCY, body_roles


def sees_all(viewer: Viewer) -> bool:
    """Tell whether the viewer watches over every node: the platform agency and those who supervise."""
    return viewer.can(Capability.APPLICATION_ADMIT) or viewer.can(Capability.AUDIT_VIEW_ALL)


def sees_exchange(viewer: Viewer) -> bool:
    """Tell whether the viewer has to do with nodes, or with what its department gives."""
    return sees_all(viewer) or viewer.can(Capability.NODES_WATCH) or viewer.can(Capability.AUDIT_VIEW)


def scope_of(viewer: Viewer) -> str | None:
    """Return the one department whose part the viewer sees, or None for all; raises `NotFound`."""
    if not sees_exchange(viewer):
        raise NotFound
    return None if sees_all(viewer) else viewer.department.code


def may_order(viewer: Viewer, department: str) -> bool:
    """Tell whether the viewer may ask a department's node for something: its technicians, or the agency."""
    own = viewer.department.code == department and viewer.can(Capability.NODES_WATCH)
    return own or viewer.can(Capability.APPLICATION_ADMIT)


def may_clear(viewer: Viewer, department: str) -> bool:
    """Tell whether the viewer signs reviews of what a department gives: its own persons only."""
    return viewer.department.code == department and viewer.can(Capability.DATA_CLEAR)


def may_admit(viewer: Viewer) -> bool:
    """Tell whether the viewer admits and revokes nodes: operators of the platform agency."""
    return viewer.can(Capability.APPLICATION_ADMIT) and PLATFORM_AGENCY in body_roles(viewer.department.code)
