"""Searching the catalogue, and one entry of it."""

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.entry import entry_page
from shuqiao.control.catalogue.period import prolong_entry
from shuqiao.control.catalogue.search import Sort
from shuqiao.control.catalogue.search_page import FACETS, Asked, SearchFilters, SearchPage, search, suggest
from shuqiao.control.catalogue.supply_page import supply_of
from shuqiao.control.compiling.versions_page import change_offer
from shuqiao.control.finding.queries import follows
from shuqiao.control.finding.related import related
from shuqiao.control.texts import Text
from shuqiao.control.updating.pages import entry_note
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.reading import page_number, read_day
from shuqiao.control.web.shell import is_partial, show, signed_in

MAX_VALUES = 20
"""Values of one facet that count."""


SORTS = (
    (Sort.RELEVANCE, Text("相关", "Relevance")),
    (Sort.NEWEST, Text("更新", "Newest")),
    (Sort.NAME, Text("名称", "Name")),
    (Sort.MOST_USED, Text("调用", "Most used")),
)


@require_safe
@signed_in
def catalogue(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show what was found, with facets to narrow it."""
    asked = asked_in(request.GET)
    found = search(viewer, asked, page_number(request))
    context = {
        "page": found,
        "chosen": _chosen(request, found),
        "sorts": [(words, _address(request, sort=sort.value), sort == asked.sort) for sort, words in SORTS],
        "scopes": [
            (Text("共享目录", "Sharing catalogue"), _address(request, own=None), not asked.own),
            (Text("本部门资源目录", "Own resource catalogue"), _address(request, own="1"), asked.own),
        ],
        "plain_address": _address(request, plain="1"),
        "wide_address": _address(request, plain=None),
        "kept": _address(request).removeprefix("?"),
        "viewer": viewer,
        "may_request": viewer.can(Capability.REQUEST_SUBMIT),
    }
    if is_partial(request):
        return render(request, "pages/search_results.html", context)
    return show(request, viewer, "pages/search.html", context)


def asked_in(given: QueryDict) -> Asked:
    """Read a search from the address of a page; what is not known counts for nothing."""
    sort = given.get("sort", "")
    return Asked(
        text=given.get("q", ""),
        filters=SearchFilters(**{name: tuple(given.getlist(name)[:MAX_VALUES]) for name in FACETS}),
        sort=Sort(sort) if sort in set(Sort) else Sort.RELEVANCE,
        own="own" in given,
        plain="plain" in given,
    )


def _address(request: HttpRequest, **changes: str | None) -> str:
    """The address of the same search with something changed, from its first page."""
    query = request.GET.copy()
    query.pop("page", None)
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    return f"?{query.urlencode()}"


@require_safe
@signed_in
def suggestions(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Suggest entries for what has been typed so far."""
    return render(request, "pages/suggestions.html", {"hits": suggest(viewer, request.GET.get("q", ""))})


@require_safe
@signed_in
def entry(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Show one entry: its items, responsible department, modes and the article behind it."""
    return _entry_page(request, viewer, {}, resource)


def _entry_page(request: HttpRequest, viewer: Viewer, faults: Faults, resource: str) -> HttpResponse:
    page = entry_page(viewer, resource)
    hindrance, sees_updates = entry_note(viewer, resource)
    context = {
        "page": page,
        "hindrance": hindrance,
        "sees_updates": sees_updates,
        "supply": supply_of(viewer, resource),
        "change": change_offer(viewer, resource),
        "related": related(viewer, resource),
        "follows": follows(viewer, resource),
        "shared_until": request.POST.get("shared_until", "")[:10],
    }
    return show_form(request, viewer, "pages/entry.html", context, faults, section="catalogue")


@require_POST
@signed_in
@form_of(_entry_page)
def entry_prolong(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Prolong the sharing period of an entry of one's own department."""
    prolong_entry(viewer, resource, read_day(request.POST.get("shared_until", "")[:10]))
    return say_done(request, Text("共享期限已延长。", "The entry is prolonged."), "entry", resource=resource)


def _chosen(request: HttpRequest, found: SearchPage) -> list[tuple[str, str]]:
    """List the filters in force, each with the address that lifts it."""
    lifted = []
    for facet in found.facets:
        for value in facet.values:
            if value.selected:
                query = request.GET.copy()
                query.pop("page", None)
                query.setlist(facet.key, [v for v in query.getlist(facet.key) if v != value.value])
                lifted.append((str(value.label), f"?{query.urlencode()}"))
    return lifted
