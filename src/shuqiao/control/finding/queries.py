"""What an account keeps: its searches and the entries it follows."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.search import Sort
from shuqiao.control.catalogue.search_page import FACETS
from shuqiao.control.finding.actions import asked_of
from shuqiao.control.finding.models import FollowedEntry, SavedSearch
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.texts import Text


@dataclass(frozen=True)
class SearchRow:
    """A saved search; `address` is the query string of the search page."""

    id: int
    name: str
    text: str
    filters: tuple[Text, ...]
    own: bool
    watched: bool
    address: str
    created_at: datetime


@dataclass(frozen=True)
class EntryRow:
    """A followed entry; one that is no longer there can only be left."""

    id: str
    name: Text
    code: str
    department: DepartmentRef
    version: int
    published_at: datetime | None
    there: bool


@dataclass(frozen=True)
class Following:
    """Everything an account keeps, newest first."""

    searches: tuple[SearchRow, ...]
    entries: tuple[EntryRow, ...]


def following(viewer: Viewer) -> Following:
    """Return what the viewer keeps; raises `NotFound` for a role that may not search."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    searches = SavedSearch.objects.filter(account_id=viewer.account_id)
    entries = FollowedEntry.objects.filter(account_id=viewer.account_id).select_related("resource")
    departments = department_refs()
    return Following(
        tuple(_search(saved) for saved in searches),
        tuple(_entry(viewer, row, departments) for row in entries.defer("resource__content")),
    )


def follows(viewer: Viewer, resource_id: str) -> bool:
    """Tell whether the viewer is told of changes of an entry."""
    return FollowedEntry.objects.filter(account_id=viewer.account_id, resource_id=resource_id).exists()


def _search(saved: SavedSearch) -> SearchRow:
    asked = asked_of(saved)
    chosen = [(key, value) for key in FACETS for value in getattr(asked.filters, key)]
    given = [("q", asked.text), *chosen]
    given += [("sort", asked.sort.value)] if asked.sort != Sort.RELEVANCE else []
    given += [(flag, "1") for flag in ("own", "plain") if getattr(asked, flag)]
    return SearchRow(
        id=saved.pk,
        name=saved.name,
        text=asked.text,
        filters=tuple(FACETS[key] for key in FACETS if getattr(asked.filters, key)),
        own=asked.own,
        watched=saved.watched,
        address=urlencode(given),
        created_at=saved.created_at,
    )


def _entry(viewer: Viewer, row: FollowedEntry, departments: dict[str, DepartmentRef]) -> EntryRow:
    entry = row.resource
    visible = entry.shared or entry.department_id == viewer.department.code
    return EntryRow(
        id=entry.id,
        name=Text(entry.name_zh, entry.name_en or entry.name_zh),
        code=entry.code,
        department=departments[entry.department_id],
        version=entry.version,
        published_at=entry.published_at,
        there=entry.state == "published" and visible,
    )
