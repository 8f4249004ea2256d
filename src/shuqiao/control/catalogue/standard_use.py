"""Where data elements and code lists are used: the items of published entries that are bound to them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import Count

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.known import knows
from shuqiao.control.catalogue.models import Item
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.texts import Text

MAX_USES = 200
_COLUMNS = {"element": "standard", "code_list": "code_list"}


@dataclass(frozen=True)
class Use:
    """An item of a published entry that follows a standard."""

    resource: str
    name: Text
    department: DepartmentRef
    item: Text
    field: str


@dataclass(frozen=True)
class Uses:
    """The first uses of a standard, and how many there are."""

    rows: tuple[Use, ...]
    total: int


def uses_of(viewer: Viewer, kind: str, key: str) -> Uses:
    """List where a data element or code list is used; formats and interfaces are not bound to items."""
    column = _COLUMNS.get(kind)
    if column is None:
        return Uses((), 0)
    found = Item.objects.filter(knows(viewer, "resource__"), resource__state="published", **{column: key})
    rows = found.select_related("resource__department").order_by("resource__code", "number", "part")
    return Uses(
        tuple(
            Use(
                item.resource_id,
                item.resource.name,
                department_ref(item.resource.department),
                item.name,
                item.field,
            )
            for item in rows[:MAX_USES]
        ),
        found.count(),
    )


def use_counts(viewer: Viewer, kind: str, keys: Collection[str]) -> Mapping[str, int]:
    """Count the items of published entries that are bound to each of these standards; one query."""
    column = _COLUMNS.get(kind)
    if column is None or not keys:
        return {}
    of_known = knows(viewer, "resource__")
    found = Item.objects.filter(of_known, resource__state="published", **{f"{column}__in": keys})
    return dict(found.values_list(column).annotate(n=Count("pk")).order_by())
