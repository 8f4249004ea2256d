"""Which entries a department knows of: one condition for every page that lists or opens them.

Source: guangzhou-2019-165 art. 11(1): the sharing catalogue is published to all departments; CAT-03.
"""

from django.db.models import Q

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.bodies import body_roles
from shuqiao.rules.regulation import Phase


def knows(viewer: Viewer, path: str = "") -> Q:
    """The condition that a viewer's department knows of an entry; `path` leads to it, such as `resource__`.

    What is not in the sharing catalogue is known to those who hold it, who manage sharing, and who have or
    asked for something of it: to others it is as if it weren't there.
    """
    own = viewer.department.code
    if body_roles(own):
        # Said in full: an empty condition would vanish where it is joined to another by "or".
        return Q(**{f"{path}pk__isnull": False})
    joint = Resource.joint_departments.through.objects.filter(department_id=own).values("resource_id")
    granted = Resource.objects.filter(grants__consumer_id=own).values("pk")
    sent = [phase.value for phase in Phase if phase is not Phase.DRAFT]
    asked = Resource.objects.filter(requests__requester_id=own, requests__phase__in=sent).values("pk")
    return (
        Q(**{f"{path}shared": True})
        | Q(**{f"{path}department_id": own})
        | Q(**{f"{path}pk__in": joint})
        | Q(**{f"{path}pk__in": granted})
        | Q(**{f"{path}pk__in": asked})
    )
