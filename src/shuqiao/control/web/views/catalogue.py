"""Searching the catalogue, and one entry of it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.entry import entry_page
from shuqiao.control.catalogue.queries import SearchFilters, SearchPage, search, suggest
from shuqiao.control.web.reading import page_number
from shuqiao.control.web.shell import is_partial, show, signed_in

FACETS = ("department", "mode", "library", "update_cycle")


@require_safe
@signed_in
def catalogue(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show what was found, with facets to narrow it."""
    chosen = {name: tuple(request.GET.getlist(name)[:20]) for name in FACETS}
    found = search(viewer, request.GET.get("q", ""), SearchFilters(**chosen), page_number(request))
    context = {
        "page": found,
        "chosen": _chosen(request, found),
        "viewer": viewer,
        "may_request": viewer.can(Capability.REQUEST_SUBMIT),
    }
    if is_partial(request):
        return render(request, "pages/search_results.html", context)
    return show(request, viewer, "pages/search.html", context)


@require_safe
@signed_in
def suggestions(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Suggest entries for what has been typed so far."""
    return render(request, "pages/suggestions.html", {"hits": suggest(viewer, request.GET.get("q", ""))})


@require_safe
@signed_in
def entry(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Show one entry: its items, responsible department, modes and the article behind it."""
    return show(request, viewer, "pages/entry.html", {"page": entry_page(viewer, resource)})


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
