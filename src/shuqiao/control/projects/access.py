"""Fetching a project and being allowed to, in one call: absent and not permitted are one answer."""

from django.db.models import Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.organisations.bodies import sides_between
from shuqiao.control.projects.models import Line, Project
from shuqiao.rules.regulation import Phase

_INVOLVED = (
    Capability.PROJECT_LEAD,
    Capability.REQUEST_SUBMIT,
    Capability.REQUEST_ANSWER,
    Capability.AUDIT_VIEW,
)


def projects_visible(viewer: Viewer) -> QuerySet[Project]:
    """Return the projects this viewer may see.

    A draft is the lead's alone; one that has started is seen by its participants and the providers of its
    items, and by those who co-ordinate or supervise.
    """
    own, started = viewer.department.code, Q(started_at__isnull=False)
    allowed = Q(pk__in=[])
    if any(viewer.can(capability) for capability in _INVOLVED):
        involved = Project.objects.filter(
            Q(participants__department_id=own) | Q(lines__resource__department_id=own) | Q(lines__user_id=own)
        )
        allowed |= Q(lead_id=own) | (Q(pk__in=involved.values("pk")) & started)
    if viewer.can(Capability.DISPUTE_COORDINATE) or viewer.can(Capability.AUDIT_VIEW_ALL):
        allowed |= started
    return Project.objects.filter(allowed)


def access_project(viewer: Viewer, number: str) -> Project:
    """Return a project this viewer may see."""
    found = projects_visible(viewer).select_related("lead", "duty").filter(number=number).first()
    if found is None:
        raise NotFound
    return found


def access_project_locked(viewer: Viewer, number: str) -> Project:
    """Return a project to act on, locked until the transaction ends."""
    found = projects_visible(viewer).select_for_update(of=("self",)).filter(number=number).first()
    if found is None:
        raise NotFound
    return found


def sides_of(viewer: Viewer, project: Project) -> frozenset[str]:
    """Tell on which sides of a project the viewer's department stands: who leads it asks."""
    return sides_between(viewer.department.code, project.lead_id)


def may_join(viewer: Viewer, project: Project) -> bool:
    """Tell whether the viewer can make the requests of its department for a running project."""
    running = project.phase == Phase.GRANTED.value
    waiting = project.lines.filter(user_id=viewer.department.code, request_number=None, covered_by="")
    return running and viewer.can(Capability.REQUEST_SUBMIT) and waiting.exists()


def projects_to_join(viewer: Viewer) -> QuerySet[Project]:
    """Return the running projects for which the viewer's department has requests still to make."""
    if not viewer.can(Capability.REQUEST_SUBMIT):
        return Project.objects.none()
    waiting = Line.objects.filter(user_id=viewer.department.code, request_number=None, covered_by="")
    running = Project.objects.filter(phase=Phase.GRANTED.value, pk__in=waiting.values("project_id"))
    return running.select_related("lead").order_by("valid_until", "number")
