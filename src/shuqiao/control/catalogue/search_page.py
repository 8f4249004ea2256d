"""What the search page shows: hits with the matching words marked, facets to narrow, and suggestions."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import NamedTuple

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels
from shuqiao.control.catalogue import search as found_in
from shuqiao.control.catalogue.marking import Fragment, fragments, occurs
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.catalogue.platforms import district_platform
from shuqiao.control.catalogue.queries import held_grants, open_requests
from shuqiao.control.catalogue.search import Sort, Wanted
from shuqiao.control.catalogue.sharing import ShareMark, entry_types, share_mark
from shuqiao.control.catalogue.use import NO_USE, Use, use_of
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.catalogue.words import QueryTerms, query_terms
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text

PAGE_SIZE = 10
MAX_CANDIDATES = 10_000
MAX_QUERY_CHARS = 60
MAX_MATCHED_ITEMS = 6
MAX_PREVIEW_ITEMS = 8
SHOWN_VALUES = 6


@dataclass(frozen=True)
class SearchFilters:
    """Chosen facet values; within one facet they add up, between facets they narrow."""

    department: tuple[str, ...] = ()
    share_type: tuple[str, ...] = ()
    mode: tuple[str, ...] = ()
    theme: tuple[str, ...] = ()
    library: tuple[str, ...] = ()
    update_cycle: tuple[str, ...] = ()
    format: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A search as a reader puts it, and as it is saved; `own` looks in the department's resource catalogue.

    `plain` leaves synonyms out.
    """

    text: str = ""
    filters: SearchFilters = field(default_factory=SearchFilters)
    sort: Sort = Sort.RELEVANCE
    own: bool = False
    plain: bool = False

    @property
    def terms(self) -> QueryTerms:
        """The query taken apart."""
        return query_terms(self.text.strip()[:MAX_QUERY_CHARS], plain=self.plain)


@dataclass(frozen=True)
class Hit:
    """One entry found. `matched_items` are the item names that matched, `items` the first of all of them."""

    id: str
    code: str
    name: Text
    title: tuple[Fragment, ...]
    summary: tuple[Fragment, ...]
    department: DepartmentRef
    item_count: int
    matched_items: tuple[tuple[Fragment, ...], ...]
    items: tuple[Text, ...]
    library: Text
    update_cycle: Text
    modes: tuple[tuple[str, Text], ...]
    article: ArticleRef | None
    shared: bool
    share_type: ShareMark | None = None
    platform: Text | None = None
    use: Use = NO_USE
    granted_until: date | None = None
    open_request: str | None = None


class _Item(NamedTuple):
    """What a hit shows of an item."""

    number: int
    companion: bool
    zh: str
    en: str


@dataclass(frozen=True)
class FacetValue:
    """One value of a facet with the number of entries it would leave; with `at_least` there may be more."""

    value: str
    label: Text
    count: int
    selected: bool
    at_least: bool = False


@dataclass(frozen=True)
class Facet:
    """A facet; `key` is the name of the filter field."""

    key: str
    label: Text
    values: tuple[FacetValue, ...]

    @property
    def rest(self) -> int:
        """How many values stand folded away behind the first."""
        return max(0, len(self.values) - SHOWN_VALUES)


@dataclass(frozen=True)
class SearchPage:
    """One page of results. `total_is_exact` is false beyond `MAX_CANDIDATES`: show "10,000+"."""

    asked: Asked
    query: str
    filters: SearchFilters
    synonyms: tuple[str, ...]
    hits: tuple[Hit, ...]
    total: int
    total_is_exact: bool
    page: int
    pages: int
    facets: tuple[Facet, ...]
    elapsed_ms: int


FACETS = {
    "department": Text("责任部门", "Responsible department"),
    "share_type": Text("共享类型", "Share type"),
    "mode": Text("服务方式", "Mode"),
    "theme": Text("主题", "Theme"),
    "library": Text("基础库与主题库", "Library"),
    "update_cycle": Text("更新周期", "Update cycle"),
    "format": Text("信息格式", "Format"),
    "open": Text("向社会开放", "Open to the public"),
}
_OPEN = {"true": Text("可以开放", "May be open"), "false": Text("不开放", "Not open")}


def search(viewer: Viewer, asked: Asked | str = "", page: int = 1) -> SearchPage:
    """Find entries by words and their synonyms, pinyin or initials, code, or English; no text lists all.

    Titles stand before items; facets count what a change of that facet would leave. Raises `NotFound` for
    a role that may not search the catalogue.
    """
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    started = time.perf_counter()
    asked = Asked(asked) if isinstance(asked, str) else asked
    terms = asked.terms
    number = max(1, min(page, MAX_CANDIDATES // PAGE_SIZE))
    found = found_in.find(wanted(viewer, asked, ((number - 1) * PAGE_SIZE, PAGE_SIZE)))
    departments = department_refs()
    return SearchPage(
        asked=asked,
        query=asked.text.strip()[:MAX_QUERY_CHARS],
        filters=asked.filters,
        synonyms=terms.synonyms,
        hits=_hits(viewer, found.ids, terms, departments),
        total=found.total,
        total_is_exact=not found.capped,
        page=number,
        pages=max(1, -(-found.total // PAGE_SIZE)),
        facets=_facets(found, asked.filters, departments),
        elapsed_ms=round((time.perf_counter() - started) * 1000),
    )


def wanted(
    viewer: Viewer, asked: Asked, window: tuple[int, int] = (0, PAGE_SIZE), cap: int = MAX_CANDIDATES
) -> Wanted:
    """Word a search for SQL; one's own catalogue is that of the viewer's department, whatever is asked."""
    department = viewer.department.code if asked.own else ""
    return Wanted(asked.terms, asdict(asked.filters), asked.sort, department, window, cap)


def suggest(viewer: Viewer, text: str) -> tuple[Hit, ...]:
    """Return at most six entries for what has been typed so far."""
    asked = Asked(text)
    if not text.strip() or not viewer.can(Capability.CATALOGUE_SEARCH):
        return ()
    ids = found_in.find_ids(wanted(viewer, asked, (0, 6), 100))
    return _hits(viewer, ids, asked.terms, department_refs())


def _facets(
    found: found_in.Found, chosen: SearchFilters, departments: Mapping[str, DepartmentRef]
) -> tuple[Facet, ...]:
    return tuple(
        _facet(
            key, _with_chosen(found.facets[key], getattr(chosen, key)), chosen, departments, found.at_least
        )
        for key in FACETS
    )


def _with_chosen(counts: Iterable[tuple[str, int]], chosen: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """A value chosen stays on the page, to be taken back, even where nothing has it."""
    counted = tuple(counts)
    known = {value for value, _ in counted}
    return (*counted, *((value, 0) for value in chosen if value not in known))


def _facet(
    key: str,
    values: tuple[tuple[str, int], ...],
    chosen: SearchFilters,
    departments: Mapping[str, DepartmentRef],
    at_least: frozenset[str],
) -> Facet:
    names = _names(key, departments)
    selected: tuple[str, ...] = getattr(chosen, key)
    shown = tuple(
        FacetValue(v, labels.label(names, v), count, v in selected, key in at_least) for v, count in values
    )
    return Facet(key, FACETS[key], shown)


def _names(key: str, departments: Mapping[str, DepartmentRef]) -> Mapping[str, Text]:
    if key == "department":
        return {code: ref.name for code, ref in departments.items()}
    if key == "share_type":
        return {one.key: Text(one.zh, one.en) for one in regulation().share_types.types}
    words = vocabulary()
    return {
        "mode": words.modes,
        "theme": words.subjects,
        "library": words.libraries,
        "update_cycle": words.cycles,
        "format": words.formats,
        "open": _OPEN,
    }[key]


def _hits(
    viewer: Viewer, ids: tuple[str, ...], terms: QueryTerms, departments: dict[str, DepartmentRef]
) -> tuple[Hit, ...]:
    """Fetch the entries of one page in the order found: seven queries, however many they are."""
    resources = Resource.objects.defer("content").in_bulk(ids)
    entries, own, rules = resources.values(), viewer.department.code, regulation()
    items, types, use = _items(ids), entry_types(entries, rules), use_of(entries)
    held, asked = held_grants(own, ids), open_requests(own, ids)
    return tuple(
        replace(
            _hit(resources[rid], items.get(rid, []), terms, departments[resources[rid].department_id]),
            share_type=share_mark(types[rid], rules),
            platform=district_platform(resources[rid], rules),
            use=use[rid],
            granted_until=held.get(rid),
            open_request=asked.get(rid),
        )
        for rid in ids
        if rid in resources
    )


def _items(ids: tuple[str, ...]) -> dict[str, list[_Item]]:
    """The items of some entries in their order."""
    found: dict[str, list[_Item]] = {}
    rows = Item.objects.filter(resource_id__in=ids).order_by("number", "part")
    for key, number, companion, zh, en in rows.values_list("resource_id", "number", "companion", "zh", "en"):
        found.setdefault(key, []).append(_Item(number, companion, zh, en))
    return found


def _hit(resource: Resource, items: list[_Item], terms: QueryTerms, department: DepartmentRef) -> Hit:
    """What an entry says of itself; how it is shared and used is added to it."""
    matched = [fragments(i.zh, terms) for i in items if occurs(i.zh, i.en, terms)]
    return Hit(
        id=resource.id,
        code=resource.code,
        name=resource.name,
        title=fragments(resource.name_zh, terms),
        summary=fragments(str(Text(resource.summary_zh, resource.summary_en or resource.summary_zh)), terms),
        department=department,
        item_count=len({item.number for item in items if not item.companion}),
        matched_items=tuple(matched)[:MAX_MATCHED_ITEMS],
        items=tuple(Text(item.zh, item.en or item.zh) for item in items)[:MAX_PREVIEW_ITEMS],
        library=labels.label(labels.LIBRARIES, resource.library),
        update_cycle=labels.label(labels.UPDATE_CYCLES, resource.update_cycle),
        modes=labels.mode_labels(resource.modes),
        article=article_ref(resource.article, resource.regulation) if resource.article else None,
        shared=resource.shared,
    )
