"""Who has to do with recalls: the holder, the provider, and who watches; all others find nothing."""

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.organisations.bodies import COMPETENT, body_roles

_INVOLVED = (
    Capability.GRANT_USE,
    Capability.GRANT_REVOKE,
    Capability.DATA_CLEAR,
    Capability.NODES_WATCH,
    Capability.AUDIT_VIEW,
)
_STATES = (Capability.GRANT_USE, Capability.DATA_CLEAR)


def watches(viewer: Viewer) -> bool:
    """Tell whether the viewer watches over every department's recalls: data bureau, agency, supervision."""
    reviews = viewer.can(Capability.CATALOGUE_REVIEW) and COMPETENT in body_roles(viewer.department.code)
    return reviews or viewer.can(Capability.AUDIT_VIEW_ALL) or viewer.can(Capability.APPLICATION_ADMIT)


def sees_recalls(viewer: Viewer) -> bool:
    """Tell whether the viewer has to do with recalls at all."""
    return any(viewer.can(one) for one in _INVOLVED) or watches(viewer)


def scope_of(viewer: Viewer) -> str | None:
    """Return the one department whose part the viewer sees, or None for all; raises `NotFound`."""
    if not sees_recalls(viewer):
        raise NotFound
    return None if watches(viewer) else viewer.department.code


def may_state(viewer: Viewer, holder: str) -> bool:
    """Tell whether the viewer states for a holder that copies are deleted: its own persons only."""
    return viewer.department.code == holder and any(viewer.can(one) for one in _STATES)
