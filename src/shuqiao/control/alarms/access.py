"""Whose alarms one sees, and who judges them.

The provider of the information judges; the supervision sees all and may judge in its place. A department
whose use stands out sees an alarm from the moment it is asked to explain it.
"""

from django.db.models import Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.alarms.models import Alarm, AlarmState


def sees_alarms(viewer: Viewer) -> bool:
    """Tell whether the viewer's role has to do with alarms."""
    return viewer.can(Capability.AUDIT_VIEW) or viewer.can(Capability.AUDIT_VIEW_ALL)


def visible(viewer: Viewer) -> QuerySet[Alarm]:
    """The alarms that the viewer may see."""
    if viewer.can(Capability.AUDIT_VIEW_ALL):
        return Alarm.objects.all()
    if not viewer.can(Capability.AUDIT_VIEW):
        return Alarm.objects.none()
    own = viewer.department.code
    return Alarm.objects.filter(Q(provider_id=own) | Q(department_id=own) & ~Q(state=AlarmState.OPEN))


def access_alarm(viewer: Viewer, number: str, *, lock: bool = False) -> Alarm:
    """Return an alarm the viewer may see, locked where it is to be changed; raises `NotFound`."""
    rows = visible(viewer).select_related("department", "provider", "resource", "explained_by", "judged_by")
    if lock:
        rows = rows.select_for_update(of=("self",))
    found = rows.filter(number=number).first()
    if found is None:
        raise NotFound
    return found


def judges(viewer: Viewer, alarm: Alarm) -> bool:
    """Tell whether the viewer may ask about and judge an alarm."""
    provides = alarm.provider_id == viewer.department.code and viewer.can(Capability.GRANT_REVOKE)
    return provides or viewer.can(Capability.AUDIT_VIEW_ALL)


def explains(viewer: Viewer, alarm: Alarm) -> bool:
    """Tell whether the viewer may explain the use that stands out."""
    return alarm.department_id == viewer.department.code and viewer.can(Capability.AUDIT_VIEW)
