"""The libraries of the platform with the data sets assigned to each.

Every entry belongs to a base, thematic or business database, so that a library can be walked through.
Source: guangzhou-2019 art. 14(1), 14(2); shenyang-2016 art. 2, 16(1); BAS-21.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.known import knows
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.texts import Text

PAGE_SIZE = 30
UNNAMED = "none"
"""The address of the entries of a kind that name no library."""


@dataclass(frozen=True)
class LibraryRow:
    """One library and how many published entries belong to it."""

    key: str
    kind: str
    name: Text
    entries: int


@dataclass(frozen=True)
class LibraryKind:
    """Base, thematic or business databases, with their libraries and how many entries are of the kind."""

    key: str
    name: Text
    entries: int
    libraries: tuple[LibraryRow, ...]


@dataclass(frozen=True)
class DataSet:
    """One entry of a library."""

    id: str
    code: str
    name: Text
    department: DepartmentRef
    subject: Text


@dataclass(frozen=True)
class LibraryPage:
    """One library, or the entries of a kind that name none, page by page."""

    library: LibraryRow
    kind_name: Text
    rows: tuple[DataSet, ...]
    page: int
    pages: int
    total: int


def _published(viewer: Viewer) -> QuerySet[Resource]:
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    return Resource.objects.filter(knows(viewer), state="published")


def libraries(viewer: Viewer) -> tuple[LibraryKind, ...]:
    """Every kind with its libraries, those without an entry too: that they exist is what is asked for."""
    rows = _published(viewer).values_list("library_kind", "library")
    found = rows.annotate(n=Count("pk")).order_by()
    counts = {(kind, library): n for kind, library, n in found}
    words = vocabulary()
    return tuple(
        LibraryKind(
            kind,
            name,
            sum(n for (of, _), n in counts.items() if of == kind),
            tuple(_rows(kind, counts)),
        )
        for kind, name in words.library_kinds.items()
    )


def _rows(kind: str, counts: Mapping[tuple[str, str], int]) -> list[LibraryRow]:
    words = vocabulary()
    own = [key for key in words.libraries if words.library_kind[key] == kind]
    found = [LibraryRow(key, kind, words.libraries[key], counts.get((kind, key), 0)) for key in own]
    others = [key for of, key in counts if of == kind and key not in own]
    if others:
        count = sum(counts[kind, key] for key in others)
        found.append(LibraryRow(UNNAMED, kind, Text("未指定具体库", "No library named"), count))
    return found


def library_page(viewer: Viewer, kind: str, key: str, page: int) -> LibraryPage:
    """Walk through one library; raises `NotFound` for what is none."""
    words = vocabulary()
    row = next((r for k in libraries(viewer) if k.key == kind for r in k.libraries if r.key == key), None)
    if row is None:
        raise NotFound
    found = _published(viewer).filter(library_kind=kind)
    own = [one for one in words.libraries if words.library_kind[one] == kind]
    found = found.exclude(library__in=own) if key == UNNAMED else found.filter(library=key)
    total = found.count()
    rows = found.select_related("department").order_by("code")[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    return LibraryPage(
        library=row,
        kind_name=words.library_kinds[kind],
        rows=tuple(_data_set(one) for one in rows),
        page=page,
        pages=max(1, -(-total // PAGE_SIZE)),
        total=total,
    )


def _data_set(resource: Resource) -> DataSet:
    subject = vocabulary().subjects.get(resource.subject[:3], Text(resource.subject, resource.subject))
    return DataSet(
        resource.id,
        resource.code,
        resource.name,
        department_ref(resource.department),
        subject,
    )
