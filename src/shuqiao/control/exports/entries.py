"""Entries as they are given to others: read in batches for all formats, with what the reader may see."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import Max, Min, QuerySet

from shuqiao.control.catalogue.labels import label
from shuqiao.control.catalogue.models import (
    Item,
    Resource,
    ResourceVersion,
    Service,
    ServiceKind,
    SharingChange,
    SharingVersion,
)
from shuqiao.control.catalogue.services import modes_given
from shuqiao.control.catalogue.sharing import Current, current
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.exports.readers import Reader
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text

BATCH = 200
_COLUMNS = (
    "id", "code", "list_key", "regulation", "name_zh", "name_en", "summary_zh", "summary_en", "subject",
    "category_zh", "category_en", "department", "library", "format", "content", "update_cycle", "modes",
    "open_to_public", "region", "version", "published_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """A key with its words; `code` is the official code where it has one."""

    key: str
    words: Text
    code: str = ""


@dataclass(frozen=True, slots=True)
class Publisher:
    """The department that answers for an entry."""

    code: str
    name: Text
    credit_code: str


@dataclass(frozen=True, slots=True)
class ItemDetail:
    """What a reader learns of an item beyond its name."""

    field: str
    data_type: Named
    length: int | None
    standard: str
    code_list: str
    required: bool


@dataclass(frozen=True, slots=True)
class SharedItem:
    """One item; `detail` is None where the reader learns only that it is there."""

    name: Text
    detail: ItemDetail | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What serves an entry: a mode of the platform's table, a file or an interface."""

    kind: str
    words: Text
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedEntry:
    """An entry with the core metadata of the guide of 2017 and its words; times are aware.

    `openness` is that of the share type, None where the regulation names no types. For the public,
    conditions, manners and services are empty: they concern departments.
    """

    id: str
    code: str
    name: Text
    summary: Text
    subject: str
    themes: tuple[Named, ...]
    category: Text
    publisher: Publisher
    library: Named
    format: Named
    format_detail: str
    share_type: Named
    openness: int | None
    conditions: str
    manner: tuple[Named, ...]
    open_to_public: bool
    open_conditions: str
    cycle: Named
    issued: datetime
    modified: datetime
    version: int
    region: str
    related: tuple[str, ...]
    items: tuple[SharedItem, ...]
    offers: tuple[Offer, ...]

    @property
    def keywords(self) -> tuple[Text, ...]:
        """The words an entry is filed under: its themes, its library and its category."""
        found = [*(theme.words for theme in self.themes), self.library.words, self.category]
        return tuple({words.zh: words for words in found if words.zh}.values())


@dataclass(frozen=True, slots=True)
class PastVersion:
    """What an entry was called and said in one version of the sharing catalogue, and why it changed."""

    version: int
    name: Text
    summary: Text
    note: Text
    published_at: datetime


MAX_VERSIONS = 50


def versions_of(resource: str, reader: Reader) -> tuple[PastVersion, ...]:
    """The versions of an entry in the sharing catalogue, newest first; the public learns of none.

    An earlier version may have said what its department has not opened.
    """
    if reader is Reader.PUBLIC:
        return ()
    rows = SharingVersion.objects.filter(resource_id=resource).exclude(change=SharingChange.REMOVED)
    return tuple(_past(row.of) for row in rows.select_related("of").order_by("-of__version")[:MAX_VERSIONS])


def _past(row: ResourceVersion) -> PastVersion:
    name, summary = _text(row.content, "name_zh"), _text(row.content, "summary_zh")
    return PastVersion(
        row.version,
        Text(name, _text(row.content, "name_en") or name),
        Text(summary, _text(row.content, "summary_en") or summary),
        Text(row.note_zh, row.note_en),
        row.published_at,
    )


def entries_of(wanted: QuerySet[Resource], reader: Reader) -> Iterator[SharedEntry]:
    """Read entries in the order of their codes, batch by batch: as many as there are, in flat memory."""
    last = ""
    while True:
        batch = list(prepared(wanted.filter(code__gt=last).order_by("code"))[:BATCH])
        yield from read(batch, reader)
        if len(batch) < BATCH:
            return
        last = batch[-1].code


def prepared(wanted: QuerySet[Resource]) -> QuerySet[Resource]:
    """Read only what is given out."""
    return wanted.only(*_COLUMNS).select_related("department")


def read(resources: Sequence[Resource], reader: Reader) -> Iterator[SharedEntry]:
    """Describe entries that `prepared` has fetched: five queries more, however many they are."""
    sharing = current(resources)
    items = _items(list(sharing), public=reader is Reader.PUBLIC)
    times = _times(list(sharing))
    offered = _offered(list(sharing)) if reader is Reader.DEPARTMENT else {}
    related = _published(resources)
    for resource in resources:
        has = _Beside(
            items.get(resource.id, ()), times.get(resource.id), offered.get(resource.id, ()), related
        )
        yield _entry(sharing[resource.id], has, reader)


def _times(ids: Sequence[str]) -> dict[str, tuple[datetime, datetime]]:
    """When each entry came into the sharing catalogue, and when it last changed there."""
    rows = SharingVersion.objects.filter(resource_id__in=ids).order_by().values_list("resource_id")
    found = rows.annotate(Min("published_at"), Max("published_at"))
    return {resource: (first, last) for resource, first, last in found}


def _offered(ids: Sequence[str]) -> dict[str, list[Service]]:
    found: dict[str, list[Service]] = {}
    for service in Service.objects.filter(resource_id__in=ids, ended_at=None):
        found.setdefault(service.resource_id, []).append(service)
    return found


def _published(resources: Sequence[Resource]) -> frozenset[str]:
    """Which of the entries that these name as related are in the sharing catalogue."""
    named = {key for resource in resources for key in _list(resource.content, "related")}
    if not named:
        return frozenset()
    known = Resource.objects.filter(id__in=named, state="published", shared=True)
    return frozenset(known.values_list("id", flat=True))


class _Beside(NamedTuple):
    """What is read of an entry beside its own row."""

    items: Sequence[SharedItem]
    times: tuple[datetime, datetime] | None
    services: Sequence[Service]
    related: frozenset[str]


def _entry(at: Current, has: _Beside, reader: Reader) -> SharedEntry:
    resource, words, content = at.resource, vocabulary(), at.resource.content
    public = reader is Reader.PUBLIC
    published = resource.published_at or _NEVER
    issued, modified = has.times or (published, published)
    share_type, openness = _share_type(at)
    return SharedEntry(
        id=resource.id,
        code=resource.code,
        name=resource.name,
        summary=Text(resource.summary_zh, resource.summary_en or resource.summary_zh),
        subject=resource.subject,
        themes=themes_of(resource.subject),
        category=Text(resource.category_zh, resource.category_en or resource.category_zh),
        publisher=publisher_of(resource.department),
        library=_named(words.libraries, resource.library),
        format=_named(words.formats, resource.format, words.codes["formats"]),
        format_detail=_text(content, "format_detail"),
        share_type=share_type,
        openness=openness,
        conditions="" if public or at.entry is None else at.entry.conditions,
        manner=() if public else tuple(_named(words.manners, key) for key in _list(content, "manner")),
        open_to_public=resource.open_to_public,
        open_conditions=_text(content, "open_conditions") if resource.open_to_public else "",
        cycle=_named(words.cycles, resource.update_cycle, words.codes["cycles"]),
        issued=issued,
        modified=modified,
        version=resource.version,
        region=resource.region,
        related=() if public else tuple(key for key in _list(content, "related") if key in has.related),
        items=tuple(has.items),
        offers=_offers(resource, has.services),
    )


def themes_of(subject: str) -> tuple[Named, ...]:
    """The class (类) and subject (项) of a classification, as far as they have words."""
    words = vocabulary()
    keys = ((words.classes, subject[:1]), (words.subjects, subject[:3]))
    return tuple(Named(key, table[key], key) for table, key in keys if key in table)


def publisher_of(department: Department) -> Publisher:
    """Name a department as the publisher of its entries: no person, no address of anybody."""
    return Publisher(department.code, Text(department.name_zh, department.name_en), department.credit_code)


def _share_type(at: Current) -> tuple[Named, int | None]:
    key = at.type_of(None, regulation())
    found = regulation().share_types.named(key)
    if found is None:
        return Named("", Text("", "")), None
    return Named(found.key, Text(found.zh, found.en)), found.openness


class _ItemRow(NamedTuple):
    """The columns of an item that are given out or decide what is; rows are many, so they stay plain."""

    resource_id: str
    zh: str
    en: str
    field: str
    data_type: str
    length: int | None
    standard: str
    code_list: str
    required: bool
    sensitivity: int
    identity: bool
    business_secret: bool


def _items(ids: Sequence[str], *, public: bool) -> dict[str, list[SharedItem]]:
    """Read the items of some entries, in the order of each entry."""
    rows = Item.objects.filter(resource_id__in=ids).order_by("resource_id", "number", "part")
    found: dict[str, list[SharedItem]] = {}
    for row in rows.values_list(*_ItemRow._fields):
        item = _ItemRow(*row)
        found.setdefault(item.resource_id, []).append(_item(item, public=public))
    return found


def _item(item: _ItemRow, *, public: bool) -> SharedItem:
    name = Text(item.zh, item.en or item.zh)
    # What concerns persons, secrets of business and important data shows no more than that it is there.
    if public and (item.sensitivity > 0 or item.identity or item.business_secret):
        return SharedItem(name, None)
    data_type = Named(item.data_type, label(vocabulary().data_types, item.data_type))
    standard = "" if item.standard == "setting" else item.standard
    detail = ItemDetail(item.field, data_type, item.length, standard, item.code_list, item.required)
    return SharedItem(name, detail)


_NEVER = datetime.min.replace(tzinfo=UTC)
_KINDS = {"file": Text("文件", "File"), "interface": Text("接口", "Interface")}


def _offers(resource: Resource, services: Sequence[Service]) -> tuple[Offer, ...]:
    found = []
    for service in services:
        if service.kind in (ServiceKind.TABLE, ServiceKind.NODE):
            modes = vocabulary().modes
            given = modes_given(resource, held=service.kind == ServiceKind.NODE)
            found += [Offer(mode, label(modes, mode), "") for mode in given]
        else:
            found.append(Offer(service.kind, _KINDS[service.kind], service.place))
    return tuple(found)


def _named(table: Mapping[str, Text], key: str, codes: Mapping[str, str] | None = None) -> Named:
    return Named(key, label(table, key), (codes or {}).get(key, ""))


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    return value if isinstance(value, str) else ""


def _list(content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = content.get(key)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
