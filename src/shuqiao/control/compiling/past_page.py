"""The catalogues as they stood on a past day: the resource catalogue, or the sharing catalogue beside it."""

from dataclasses import dataclass
from datetime import date, datetime

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.history import (
    Asked,
    EntryThen,
    resource_catalogue_on,
    sharing_catalogue_on,
)
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.queries import ArticleRef, matter_ref

PAGE_SIZE = 50
CATALOGUES = ("resource", "sharing")


@dataclass(frozen=True)
class PastRow:
    """An entry as it stood."""

    resource: str
    version: int
    name: str
    department: DepartmentRef | None
    published_at: datetime


@dataclass(frozen=True)
class PastPage:
    """A page of a past catalogue; `after` leads to the next, empty at the end."""

    day: date
    which: str
    department: str
    rows: tuple[PastRow, ...]
    after: str
    departments: tuple[DepartmentRef, ...]
    article: ArticleRef


def past_page(
    viewer: Viewer, day: date, *, which: str = "resource", department: str = "", after: str = ""
) -> PastPage:
    """Return the entries in force at the end of a day, in the order of their ids."""
    read = sharing_catalogue_on if which == "sharing" else resource_catalogue_on
    found = read(viewer, day, Asked(department=department, after=after, limit=PAGE_SIZE + 1))
    named = department_refs()
    shown = found[:PAGE_SIZE]
    return PastPage(
        day=day,
        which=which if which in CATALOGUES else CATALOGUES[0],
        department=department,
        rows=tuple(_row(one, named) for one in shown),
        after=shown[-1].resource if len(found) > PAGE_SIZE else "",
        departments=tuple(named.values()),
        article=matter_ref("catalogue_entry"),
    )


def _row(then: EntryThen, named: dict[str, DepartmentRef]) -> PastRow:
    department = named.get(then.department)
    return PastRow(then.resource, then.version, then.name_zh, department, then.published_at)
