"""The register of persons in charge, as filed with the competent department."""

from collections import defaultdict

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.organisations.models import Department, PersonInCharge
from shuqiao.control.organisations.queries import DepartmentRef, PersonRow, department_ref, person_rows


def persons_register(viewer: Viewer) -> tuple[tuple[DepartmentRef, tuple[PersonRow, ...]], ...]:
    """Return the three persons of every active department; two queries.

    Source: guangzhou-2016 art. 8(2), 34(2).
    """
    if not viewer.can(Capability.PERSONS_VIEW):
        raise NotFound
    held: dict[str, list[PersonInCharge]] = defaultdict(list)
    for person in PersonInCharge.objects.filter(until=None):
        held[person.department_id].append(person)
    departments = Department.objects.filter(active=True).order_by("code")
    return tuple((department_ref(one), person_rows(held[one.code])) for one in departments)
