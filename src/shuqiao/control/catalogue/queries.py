"""What pages show of the catalogue: search with facets, and one entry."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels
from shuqiao.control.catalogue import search as found_in
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.catalogue.sharing import Current, ShareMark, SharingView, current, share_mark
from shuqiao.control.catalogue.words import QueryTerms, pinyin_of, query_terms, words_of
from shuqiao.control.organisations.queries import DepartmentRef, PersonRow, department_refs
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, ArticleText, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Phase

PAGE_SIZE = 10
MAX_CANDIDATES = 10_000
MAX_QUERY_CHARS = 60


@dataclass(frozen=True)
class SearchFilters:
    """Chosen facet values; within one facet they add up, between facets they narrow."""

    department: tuple[str, ...] = ()
    mode: tuple[str, ...] = ()
    library: tuple[str, ...] = ()
    update_cycle: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fragment:
    """A piece of a title or item name; `hit` marks what matched."""

    text: str
    hit: bool


@dataclass(frozen=True)
class Hit:
    """One entry found. `matched_items` are the item names that matched, each in fragments."""

    id: str
    code: str
    name: Text
    title: tuple[Fragment, ...]
    summary: Text
    department: DepartmentRef
    item_count: int
    matched_items: tuple[tuple[Fragment, ...], ...]
    library: Text
    update_cycle: Text
    modes: tuple[tuple[str, Text], ...]
    article: ArticleRef
    share_type: ShareMark | None
    granted_until: date | None
    open_request: str | None


@dataclass(frozen=True)
class FacetValue:
    """One value of a facet with the number of entries it would leave."""

    value: str
    label: Text
    count: int
    selected: bool


@dataclass(frozen=True)
class Facet:
    """A facet; `key` is the name of the filter field."""

    key: str
    label: Text
    values: tuple[FacetValue, ...]


@dataclass(frozen=True)
class SearchPage:
    """One page of results. `total_is_exact` is false beyond `MAX_CANDIDATES`: show "10,000+"."""

    query: str
    filters: SearchFilters
    hits: tuple[Hit, ...]
    total: int
    total_is_exact: bool
    page: int
    pages: int
    facets: tuple[Facet, ...]
    elapsed_ms: int


@dataclass(frozen=True)
class ItemRow:
    """One item of an entry; the parts of a compound item of the law share its number."""

    number: int
    part: int
    part_of: str
    field: str
    name: Text
    type: str
    type_label: Text
    length: int | None
    standard: str
    sensitivity: int
    identity: bool
    required: bool
    codes: tuple[tuple[str, str], ...]
    modes: tuple[tuple[str, Text], ...]
    record_key: bool
    companion: bool
    article: ArticleRef | None
    share_type: ShareMark | None = None
    element: str = ""


@dataclass(frozen=True)
class ModeUse:
    """A mode in which the entry is offered, and how many departments use it now."""

    mode: str
    label: Text
    departments: int


@dataclass(frozen=True)
class UserRow:
    """A department that uses the entry under a grant."""

    department: DepartmentRef
    applications: tuple[Text, ...]
    mode: str
    mode_label: Text
    valid_until: date
    calls_30_days: int


@dataclass(frozen=True)
class VersionRow:
    """One published version of an entry, newest first."""

    version: int
    note: Text
    published_at: datetime
    current: bool


@dataclass(frozen=True)
class TermRow:
    """A term of a request for the entry, in working days, as the regulation names it."""

    label: Text
    working_days: int
    article: ArticleRef


@dataclass(frozen=True)
class EntryPage:
    """Everything the entry page shows; `can_request` says why not in `request_refusal` when false."""

    id: str
    code: str
    name: Text
    summary: Text
    version: int
    published_at: datetime | None
    category: Text
    article: ArticleText
    terms: tuple[TermRow, ...]
    share_type: ShareMark | None
    sharing: SharingView | None
    may_classify: bool
    free: ArticleRef
    provider: DepartmentRef
    joint_departments: tuple[DepartmentRef, ...]
    persons: tuple[PersonRow, ...]
    library: Text
    update_cycle: Text
    platform: str
    scope: str
    max_period_months: int
    shared_until: date
    may_prolong: bool
    conditions: tuple[Text, ...]
    record_key: str
    items: tuple[ItemRow, ...]
    services: tuple[ModeUse, ...]
    users: tuple[UserRow, ...]
    versions: tuple[VersionRow, ...]
    record_count: int
    last_received_at: datetime | None
    calls_30_days: int
    can_request: bool
    request_refusal: Text | None
    granted_until: date | None = None
    open_request: str | None = None


def search(viewer: Viewer, text: str, filters: SearchFilters | None = None, page: int = 1) -> SearchPage:
    """Find entries by words, exact parts, pinyin or initials, code, or English; empty text lists all.

    Titles stand before items; facets count what a change of that facet would leave. Raises `NotFound` for
    a role that may not search the catalogue.
    """
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    started = time.perf_counter()
    asked, chosen = text.strip()[:MAX_QUERY_CHARS], filters or SearchFilters()
    terms = query_terms(asked)
    number = max(1, min(page, MAX_CANDIDATES // PAGE_SIZE))
    found = found_in.find(terms, asdict(chosen), ((number - 1) * PAGE_SIZE, PAGE_SIZE), MAX_CANDIDATES)
    departments = department_refs()
    return SearchPage(
        query=asked,
        filters=chosen,
        hits=_hits(viewer, found.ids, terms, departments),
        total=found.total,
        total_is_exact=not found.capped,
        page=number,
        pages=max(1, -(-found.total // PAGE_SIZE)),
        facets=tuple(_facet(key, values, chosen, departments) for key, values in found.facets.items()),
        elapsed_ms=round((time.perf_counter() - started) * 1000),
    )


def suggest(viewer: Viewer, text: str) -> tuple[Hit, ...]:
    """Return at most six entries for what has been typed so far."""
    asked = text.strip()[:MAX_QUERY_CHARS]
    if not asked or not viewer.can(Capability.CATALOGUE_SEARCH):
        return ()
    terms = query_terms(asked)
    return _hits(viewer, found_in.find(terms, {}, (0, 6), 100).ids, terms, department_refs())


def access_resource(viewer: Viewer, resource_id: str) -> Resource:
    """Return a published entry for a role that may see the catalogue."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    resource = (
        Resource.objects.select_related("department")
        .prefetch_related("items")
        .filter(id=resource_id, state="published")
        .first()
    )
    if resource is None:
        raise NotFound
    return resource


def item_row(
    item: Item,
    record_key: str,
    share_type: ShareMark | None = None,
    standards: Mapping[str, Text] | None = None,
) -> ItemRow:
    """Show one item of an entry: `share_type` is the one in force for it, `standards` names its element."""
    named = (standards or {}).get(item.standard)
    return ItemRow(
        number=item.number,
        part=item.part,
        part_of=item.part_of_zh,
        field=item.field,
        name=Text(item.zh, item.en),
        type=item.type,
        type_label=labels.label(labels.TYPES, item.type),
        length=item.length,
        standard=str(named) if named else "",
        element=item.standard if named else "",
        sensitivity=item.sensitivity,
        identity=item.identity,
        required=item.required,
        codes=tuple((item.codes or {}).items()),
        modes=labels.mode_labels(item.modes),
        record_key=item.field == record_key,
        companion=item.companion,
        article=article_ref(item.article) if item.article else None,
        share_type=share_type,
    )


def _facet(
    key: str, values: Iterable[tuple[str, int]], chosen: SearchFilters, departments: dict[str, DepartmentRef]
) -> Facet:
    words = {"mode": labels.MODES, "library": labels.LIBRARIES, "update_cycle": labels.UPDATE_CYCLES}
    names = {code: ref.name for code, ref in departments.items()} if key == "department" else words[key]
    selected: tuple[str, ...] = getattr(chosen, key)
    return Facet(
        key,
        labels.FACETS[key],
        tuple(FacetValue(v, labels.label(names, v), count, v in selected) for v, count in values),
    )


def _hits(
    viewer: Viewer, ids: tuple[str, ...], terms: QueryTerms, departments: dict[str, DepartmentRef]
) -> tuple[Hit, ...]:
    """Fetch the entries of one page in the order found: five queries, however many they are."""
    resources = Resource.objects.prefetch_related("items").in_bulk(ids)
    held = held_grants(viewer.department.code, ids)
    asked = open_requests(viewer.department.code, ids)
    shared = current(resources.values())
    return tuple(
        _hit(shared[rid], terms, departments, (held.get(rid), asked.get(rid)))
        for rid in ids
        if rid in resources
    )


def held_grants(department: str, ids: Iterable[str]) -> dict[str, date]:
    """Return until when a department holds a grant of each entry."""
    rows = Resource.objects.filter(
        id__in=list(ids), grants__consumer_id=department, grants__phase=Phase.GRANTED.value
    ).values_list("id", "grants__valid_until")
    # In order of the last day, so that the longest one stays.
    return dict(rows.order_by("grants__valid_until"))


def open_requests(department: str, ids: Iterable[str]) -> dict[str, str]:
    """Return the number of a department's unanswered request for each entry."""
    rows = Resource.objects.filter(
        id__in=list(ids),
        requests__requester_id=department,
        requests__phase__in=[Phase.WAITING.value, Phase.DISPUTED.value],
    ).values_list("id", "requests__number")
    return {rid: number for rid, number in rows if number}


def _hit(
    at: Current,
    terms: QueryTerms,
    departments: dict[str, DepartmentRef],
    own: tuple[date | None, str | None],
) -> Hit:
    resource, rules = at.resource, regulation()
    items = list(resource.items.all())
    return Hit(
        id=resource.id,
        code=resource.code,
        name=Text(resource.name_zh, resource.name_en),
        title=fragments(resource.name_zh, terms),
        summary=Text(resource.summary_zh, resource.summary_en),
        department=departments[resource.department_id],
        item_count=len({item.number for item in items if not item.companion}),
        matched_items=tuple(fragments(i.zh, terms) for i in items if _matches(i.zh, i.en, terms))[:6],
        library=labels.label(labels.LIBRARIES, resource.library),
        update_cycle=labels.label(labels.UPDATE_CYCLES, resource.update_cycle),
        modes=labels.mode_labels(resource.modes),
        article=article_ref(resource.article, resource.regulation),
        share_type=share_mark(at.type_of(None, rules), rules),
        granted_until=own[0],
        open_request=own[1],
    )


def _matches(zh: str, en: str, terms: QueryTerms) -> bool:
    if any(chunk in zh for chunk in terms.chunks):
        return True
    tails = pinyin_of(zh) + words_of(en) if terms.latin else []
    return any(tail.startswith(prefix) for prefix in terms.latin for tail in tails)


def fragments(text: str, terms: QueryTerms) -> tuple[Fragment, ...]:
    """Cut a text where the query occurs in it, whole where it can be, else its words."""
    whole = [chunk for chunk in terms.chunks if chunk in text]
    needles = whole or [word for word in terms.words.split() if len(word) > 1]
    hit = [False] * len(text)
    for needle in needles:
        at = text.find(needle)
        while at >= 0:
            hit[at : at + len(needle)] = [True] * len(needle)
            at = text.find(needle, at + 1)
    pieces: list[Fragment] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or hit[at] != hit[start]:
            pieces.append(Fragment(text[start:at], hit[start]))
            start = at
    return tuple(pieces)
