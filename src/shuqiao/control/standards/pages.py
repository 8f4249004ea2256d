"""What the pages show of the city's standards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import and_

from django.db.models import Count, Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.standards.contents import (
    KINDS,
    WORDS,
    Change,
    Code,
    Content,
    Kind,
    changes,
    content_from,
)
from shuqiao.control.standards.models import Standard, StandardVersion
from shuqiao.control.standards.publishing import CHECKS, DATA_TYPES, existing, may_publish
from shuqiao.control.texts import Text

PAGE_SIZE = 30
CODES_SHOWN = 100
MAX_QUERY_CHARS = 60
CHANGES_SHOWN = 60

# The letters of `standards/catalogue-metadata.yaml`, in words.
TYPE_WORDS = {
    "C": Text("字符型 C", "Characters C"),
    "N": Text("数值型 N", "Numeric N"),
    "Y": Text("货币型 Y", "Money Y"),
    "D": Text("日期型 D", "Date D"),
    "T": Text("日期时间型 T", "Date and time T"),
    "L": Text("逻辑型 L", "Logical L"),
    "M": Text("备注型 M", "Memo M"),
    "G": Text("通用型 G", "General G"),
    "B": Text("双精度型 B", "Double B"),
    "I": Text("整型 I", "Integer I"),
    "F": Text("浮点型 F", "Floating point F"),
}


@dataclass(frozen=True)
class Link:
    """Another standard, by its key and name."""

    kind: str
    key: str
    name: Text


@dataclass(frozen=True)
class StandardRow:
    """One standard of the list."""

    kind: str
    key: str
    name: Text
    type: Text
    length: int | None
    binding: Link | None
    national: str
    provincial: str
    version: int
    codes: int
    ended: bool
    to_verify: bool


@dataclass(frozen=True)
class StandardList:
    """A page of standards of one kind; `gap` shows only those without a national or provincial standard."""

    kind: str
    kinds: tuple[tuple[str, Text, int], ...]
    query: str
    gap: bool
    rows: tuple[StandardRow, ...]
    page: int
    pages: int
    total: int
    may_publish: bool


@dataclass(frozen=True)
class VersionRow:
    """One version with what it changed; `more` counts changes that are not listed."""

    version: int
    reason: str
    published_at: datetime
    by: str
    entry: str
    changes: tuple[Change, ...]
    more: int


@dataclass(frozen=True)
class StandardPage:
    """One standard in full; `used_in` are the standards that name it."""

    kind: str
    kind_name: Text
    key: str
    name: Text
    content: Content
    type: Text
    format: Link | None
    code_list: Link | None
    broader: Link | None
    narrower: tuple[Link, ...]
    used_in: tuple[Link, ...]
    codes: tuple[Code, ...]
    codes_found: int
    codes_all: int
    code_query: str
    page: int
    pages: int
    version: int
    published_at: datetime
    versions: tuple[VersionRow, ...]
    may_publish: bool


@dataclass(frozen=True)
class StandardForm:
    """What the form of a version needs: the standard in force where there is one, and what may be chosen."""

    kind: str
    kind_name: Text
    key: str
    content: Content | None
    version: int
    types: tuple[tuple[str, Text], ...]
    formats: tuple[tuple[str, Text], ...]
    code_lists: tuple[tuple[str, Text], ...]
    checks: tuple[tuple[str, Text], ...]


def require_reader(viewer: Viewer) -> None:
    """Raise `NotFound` for a role that may not see the catalogue; the standards are open to all others."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound


def kind_of(text: str) -> Kind:
    """Read a kind; raises `NotFound` for what is none."""
    try:
        return Kind(text)
    except ValueError:
        raise NotFound from None


def found_standards(kind: Kind, query: str, *, gap: bool) -> QuerySet[Standard]:
    """The standards of a kind in which every word of a query occurs, in order of pinyin."""
    words = query.strip().casefold()[:MAX_QUERY_CHARS].split()
    rows = Standard.objects.filter(kind=kind.value)
    if words:
        rows = rows.filter(reduce(and_, (Q(search_text__contains=word) for word in words)))
    if gap:
        rows = rows.filter(content__national__isnull=True, content__provincial__isnull=True)
    return rows.order_by("pinyin_key", "key")


def standard_list(viewer: Viewer, kind: Kind, query: str, *, gap: bool, page: int) -> StandardList:
    """List the standards of a kind."""
    require_reader(viewer)
    found = found_standards(kind, query, gap=gap)
    total = found.count()
    rows = list(found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE])
    names = _names(rows)
    counted = dict(Standard.objects.values_list("kind").annotate(n=Count("pk")).order_by())
    return StandardList(
        kind=kind.value,
        kinds=tuple((one.value, KINDS[one], counted.get(one.value, 0)) for one in Kind),
        query=query.strip()[:MAX_QUERY_CHARS],
        gap=gap,
        rows=tuple(_row(row, names) for row in rows),
        page=page,
        pages=max(1, -(-total // PAGE_SIZE)),
        total=total,
        may_publish=may_publish(viewer),
    )


def standard_page(viewer: Viewer, kind: Kind, key: str, code_query: str, page: int) -> StandardPage:
    """Show one standard with its codes, versions and the standards that name it."""
    require_reader(viewer)
    row = existing(kind, key)
    content = content_from(row.content)
    names = _names([row])
    asked = code_query.strip().casefold()[:MAX_QUERY_CHARS]
    codes = [
        one for one in content.codes if not asked or asked in f"{one.value}\n{one.zh}\n{one.en}".casefold()
    ]
    return StandardPage(
        kind=kind.value,
        kind_name=KINDS[kind],
        key=key,
        name=Text(row.zh, row.en),
        content=content,
        type=TYPE_WORDS.get(content.data_type, Text("", "")),
        format=names.get((Kind.FORMAT, content.format)),
        code_list=names.get((Kind.CODE_LIST, content.code_list)),
        broader=names.get((Kind.ELEMENT, content.broader)),
        narrower=_naming("broader", key) if kind == Kind.ELEMENT else (),
        used_in=_naming(kind.value, key) if kind in (Kind.FORMAT, Kind.CODE_LIST) else (),
        codes=tuple(codes[(page - 1) * CODES_SHOWN : page * CODES_SHOWN]),
        codes_found=len(codes),
        codes_all=len(content.codes),
        code_query=code_query.strip()[:MAX_QUERY_CHARS],
        page=page,
        pages=max(1, -(-len(codes) // CODES_SHOWN)),
        version=row.version,
        published_at=row.published_at,
        versions=_versions(row),
        may_publish=may_publish(viewer),
    )


def standard_form(kind: Kind, key: str) -> StandardForm:
    """Return what the form of a new version, or of a new standard, needs."""
    row = existing(kind, key) if key else None
    none = ("", Text("无", "None"))
    return StandardForm(
        kind=kind.value,
        kind_name=KINDS[kind],
        key=key,
        content=content_from(row.content) if row else None,
        version=row.version if row else 0,
        types=(none, *((letter, TYPE_WORDS[letter]) for letter in TYPE_WORDS if letter in DATA_TYPES)),
        formats=(none, *_choices(Kind.FORMAT)),
        code_lists=(none, *_choices(Kind.CODE_LIST)),
        checks=(none, *((check, Text(check, check)) for check in sorted(CHECKS))),
    )


def _choices(kind: Kind) -> tuple[tuple[str, Text], ...]:
    rows = Standard.objects.filter(kind=kind.value, ended=False).order_by("pinyin_key", "key")
    return tuple((key, Text(zh, en)) for key, zh, en in rows.values_list("key", "zh", "en"))


def _versions(row: Standard) -> tuple[VersionRow, ...]:
    kept = list(StandardVersion.objects.filter(standard=row).select_related("published_by")[:50])
    older = [*kept[1:], None]
    return tuple(_version(one, before) for one, before in zip(kept, older, strict=True))


def _version(row: StandardVersion, before: StandardVersion | None) -> VersionRow:
    found: tuple[Change, ...] = ()
    if before is not None:
        found = changes(content_from(before.content), content_from(row.content))
    return VersionRow(
        version=row.version,
        reason=row.reason,
        published_at=row.published_at,
        by=row.published_by.display_name if row.published_by else "",
        entry=str(row.entry_id),
        changes=found[:CHANGES_SHOWN],
        more=max(0, len(found) - CHANGES_SHOWN),
    )


def _naming(field: str, key: str) -> tuple[Link, ...]:
    rows = Standard.objects.filter(kind=Kind.ELEMENT.value, **{f"content__{field}": key})
    found = rows.order_by("pinyin_key", "key").values_list("key", "zh", "en")[:200]
    return tuple(Link(Kind.ELEMENT.value, one, Text(zh, en)) for one, zh, en in found)


def _names(rows: list[Standard]) -> Mapping[tuple[Kind, str], Link]:
    """The standards that these name, in one query."""
    wanted = Q(pk__in=[])
    for row in rows:
        for kind, field in (
            (Kind.FORMAT, "format"),
            (Kind.CODE_LIST, "code_list"),
            (Kind.ELEMENT, "broader"),
        ):
            if key := row.content.get(field):
                wanted |= Q(kind=kind.value, key=key)
    found = Standard.objects.filter(wanted).values_list("kind", "key", "zh", "en")
    return {(Kind(kind), key): Link(kind, key, Text(zh, en)) for kind, key, zh, en in found}


def _row(row: Standard, names: Mapping[tuple[Kind, str], Link]) -> StandardRow:
    content = content_from(row.content)
    code_list = names.get((Kind.CODE_LIST, content.code_list))
    return StandardRow(
        kind=row.kind,
        key=row.key,
        name=Text(row.zh, row.en),
        type=TYPE_WORDS.get(content.data_type, Text("", "")),
        length=content.length,
        binding=code_list or names.get((Kind.FORMAT, content.format)),
        national=content.national,
        provincial=content.provincial,
        version=row.version,
        codes=len(content.codes),
        ended=row.ended,
        to_verify=content.to_verify,
    )


def label_of(field: str) -> Text:
    """How a field of a standard is called."""
    return WORDS.get(field, Text(field, field))
