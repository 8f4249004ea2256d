"""Whole documents in DCAT: a page of the catalogue, one entry, and the terms they name."""

from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote

from django.db.models import QuerySet

from shuqiao.control.accounts.access import NotFound
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.exports.dcat import CataloguePage, graph
from shuqiao.control.exports.entries import Named, Publisher, prepared, publisher_of, read, versions_of
from shuqiao.control.exports.rdf import Node
from shuqiao.control.exports.readers import Places, Reader, visible
from shuqiao.control.exports.selecting import counts
from shuqiao.control.organisations.bodies import COMPETENT
from shuqiao.control.organisations.models import Department
from shuqiao.control.texts import Text

PAGE_SIZE = 200
TITLE = Text("政务信息共享目录", "Sharing catalogue of government information")
OPEN_TITLE = Text("政务信息开放目录", "Open catalogue of government information")
_DESCRIPTION = Text(
    "各部门编制、经审核发布的政务信息资源目录条目",
    "Entries compiled by the departments, reviewed and published",
)


def catalogue_document(
    places: Places, reader: Reader, edition: str, after: str = ""
) -> tuple[Iterator[Node], str | None]:
    """Give the page of the catalogue after an entry's id, and the next page's address if there is one."""
    wanted = visible(reader)
    rows = list(_ordered(wanted, after)[: PAGE_SIZE + 1])
    batch = rows[:PAGE_SIZE]
    following = f"{places.catalogue()}?after={batch[-1].id}" if len(rows) > PAGE_SIZE else None
    page = CataloguePage(
        title=OPEN_TITLE if reader is Reader.PUBLIC else TITLE,
        description=_DESCRIPTION,
        publisher=_keeper(),
        total=_total(edition, reader),
        address=f"{places.catalogue()}?after={quote(after)}",
        first=f"{places.catalogue()}?after=",
        following=following,
    )
    return graph(places, reader).catalogue(page, read(batch, reader)), following


def entry_document(places: Places, reader: Reader, resource: str) -> Iterator[Node]:
    """Give one entry; raises `NotFound` for one that is hidden as for one that isn't there."""
    found = list(read(list(prepared(visible(reader).filter(id=resource))), reader))
    if not found:
        raise NotFound
    return graph(places, reader).dataset(found[0], versions_of(resource, reader))


def terms_document(places: Places, reader: Reader) -> Iterator[Node]:
    """Give the departments, subjects and libraries that the visible entries name."""
    made, seen, words = graph(places, reader), visible(reader), vocabulary()
    for department in Department.objects.filter(code__in=seen.values("department_id")).order_by("code"):
        yield from made.publisher(publisher_of(department))
    yield from made.publisher(_keeper())
    subjects = [key for key, _ in counts(seen, "subject")]
    for key in sorted({subject[:1] for subject in subjects}):
        yield from made.theme(Named(key, words.classes.get(key, Text(key, key)), key))
    for key in sorted(subjects):
        if key in words.subjects:
            yield from made.theme(Named(key, words.subjects[key], key))
    for key, _ in counts(seen, "library"):
        yield from made.series(Named(key, words.libraries.get(key, Text(key, key))))


def _ordered(wanted: QuerySet[Resource], after: str) -> QuerySet[Resource]:
    return prepared(wanted.filter(id__gt=after) if after else wanted).order_by("id")


@lru_cache(maxsize=16)
def _total(_edition: str, reader: Reader) -> int:
    return visible(reader).count()


def _keeper() -> Publisher:
    """The department that manages sharing publishes the catalogue as a whole."""
    named = Department.objects.filter(active=True).order_by("code")
    keeper = named.filter(roles__contains=[COMPETENT]).first() or named.first()
    if keeper is None:
        return Publisher("none", TITLE, "")
    return publisher_of(keeper)
