"""Who has to do with updates of data: the provider, its users, the agency and the competent office."""

from django.db.models import Q

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.districts import region_of
from shuqiao.control.grants.models import IN_USE, Grant
from shuqiao.control.upkeep.changes import is_competent


def watches(viewer: Viewer) -> bool:
    """Tell whether the viewer watches over every department's updates."""
    reviews = viewer.can(Capability.CATALOGUE_REVIEW) and is_competent(viewer.department.code)
    return reviews or viewer.can(Capability.AUDIT_VIEW_ALL) or viewer.can(Capability.APPLICATION_ADMIT)


def sees_updates(viewer: Viewer) -> bool:
    """Tell whether the viewer has to do with updates at all."""
    involved = (Capability.DATA_CLEAR, Capability.GRANT_USE, Capability.NODES_WATCH, Capability.AUDIT_VIEW)
    return watches(viewer) or any(viewer.can(one) for one in involved)


def scope_of(viewer: Viewer) -> str | None:
    """Return the one department whose part the viewer sees, or None for all; raises `NotFound`."""
    if not sees_updates(viewer):
        raise NotFound
    return None if watches(viewer) else viewer.department.code


def may_provide(viewer: Viewer, provider: str) -> bool:
    """Tell whether the viewer answers for a provider's data: its own persons only."""
    return viewer.department.code == provider and viewer.can(Capability.DATA_CLEAR)


def may_notice(viewer: Viewer, resource: Resource) -> bool:
    """Tell whether the viewer registers changes of an entry: provider, users, and who watches."""
    if may_provide(viewer, resource.department_id) or watches(viewer):
        return True
    held = Grant.objects.filter(resource=resource, consumer_id=viewer.department.code, phase=IN_USE)
    return viewer.can(Capability.GRANT_USE) and held.exists()


def may_decide(viewer: Viewer, provider: str) -> bool:
    """Tell whether the viewer decides on slower updating: the competent department of the level."""
    same = region_of(provider) == region_of(viewer.department.code)
    return same and viewer.can(Capability.CATALOGUE_REVIEW) and is_competent(viewer.department.code)


def published(resource_id: str) -> Resource:
    """Return an entry in force; raises `NotFound`."""
    found = Resource.objects.select_related("department").filter(pk=resource_id, state="published").first()
    if found is None:
        raise NotFound
    return found


def concerns(scope: str | None, other: str) -> Q:
    """Rows of a department as provider, or as the party named by `other`; all for who watches."""
    return Q() if scope is None else Q(department_id=scope) | Q(**{other: scope})
