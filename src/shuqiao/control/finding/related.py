"""Entries that belong beside an entry: those its department has named, and those that are like it."""

from dataclasses import dataclass

from django.db import connection
from django.db.models import Q

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.texts import Text

MAX_RELATED = 6
MAX_COMPARED = 200
MAX_ITEMS = 30


@dataclass(frozen=True)
class RelatedEntry:
    """An entry beside another: named by its department, or like it by what it says and shares."""

    id: str
    name: Text
    department: DepartmentRef
    declared: bool
    same_subject: bool
    shared_items: int


def related(viewer: Viewer, resource_id: str) -> tuple[RelatedEntry, ...]:
    """Return at most six entries, declared ones first, then those that share most items.

    Compared are entries of the same classification and those of its department, a bounded number of them.
    """
    resource = access_resource(viewer, resource_id)
    declared = tuple(resource.content.get("related", ()))[:MAX_RELATED]
    named = {key: number for number, key in enumerate(declared)}
    shared = _shared_items(resource, [*declared, *_alike(resource)])
    ids = sorted(
        (key for key in shared if key != resource.id and (key in named or shared[key][1] or shared[key][0])),
        key=lambda key: (named.get(key, len(named)), not shared[key][1], -shared[key][0], key),
    )[:MAX_RELATED]
    return _shown(viewer, ids, named, shared)


def _alike(resource: Resource) -> list[str]:
    """Candidates: of the same 目, and of the same department; the first that the indexes give.

    Sorting them would read tens of thousands for the two hundred that are compared.
    """
    listed = Resource.objects.filter(state="published", shared=True).exclude(pk=resource.pk)
    subject = listed.filter(subject=resource.subject).values_list("id", flat=True)
    own = listed.filter(department_id=resource.department_id).values_list("id", flat=True)
    return list(dict.fromkeys([*subject[:MAX_COMPARED], *own[: MAX_COMPARED // 2]]))


def _shared_items(resource: Resource, ids: list[str]) -> dict[str, tuple[int, bool]]:
    """How many items each of these has in common by name, and whether its class is the same."""
    names = [item.zh for item in resource.items.all()][:MAX_ITEMS]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.id, count(DISTINCT i.zh), r.subject = %(subject)s FROM catalogue_resource r"
            " LEFT JOIN catalogue_item i ON i.resource_id = r.id AND i.removed_in IS NULL"
            " AND i.zh = ANY(%(names)s) WHERE r.id = ANY(%(ids)s) GROUP BY r.id",
            {"subject": resource.subject, "names": names, "ids": ids},
        )
        return {row[0]: (int(row[1]), bool(row[2])) for row in cursor.fetchall()}


def _shown(
    viewer: Viewer, ids: list[str], named: dict[str, int], shared: dict[str, tuple[int, bool]]
) -> tuple[RelatedEntry, ...]:
    visible = Q(shared=True) | Q(department_id=viewer.department.code)
    rows = Resource.objects.defer("content").filter(visible, state="published").in_bulk(ids)
    departments = department_refs()
    return tuple(
        RelatedEntry(
            id=key,
            name=Text(rows[key].name_zh, rows[key].name_en or rows[key].name_zh),
            department=departments[rows[key].department_id],
            declared=key in named,
            same_subject=shared[key][1],
            shared_items=shared[key][0],
        )
        for key in ids
        if key in rows
    )
