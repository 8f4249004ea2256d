"""Querying one record on a page, for a case; what is shown is recorded before."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.deliveries.browsing import MARKS, watermark
from shuqiao.control.grants import pages
from shuqiao.control.grants.querying import query_page, query_through_plane
from shuqiao.control.grants.verification import CallRefused
from shuqiao.control.texts import Text
from shuqiao.control.web.shell import show, signed_in

MAX_VALUE_CHARS = 200
_NEEDED = {
    "subject": Text("请填写所查对象", "Say which record"),
    "case": Text("请填写办件编号", "Give the number of the case"),
}


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def query(request: HttpRequest, viewer: Viewer, grant: str) -> HttpResponse:
    """Ask for the granted items of one record; the number is posted, so that no address holds it."""
    try:
        page = query_page(viewer, grant)
    except NotFound:
        # Whoever may see the grant is told there what became of it; for anybody else it isn't there.
        return redirect("grant", number=pages.grant_page(viewer, grant).number)
    context: dict[str, object] = {"page": page, "values": {}}
    if request.method != "POST":
        return show(request, viewer, "pages/query.html", context, section="grants")
    values = {name: request.POST.get(name, "").strip()[:MAX_VALUE_CHARS] for name in _NEEDED}
    faults = {name: words for name, words in _NEEDED.items() if not values[name]}
    context |= {"values": values, "faults": faults}
    if faults:
        return show(request, viewer, "pages/query.html", context, status=422, section="grants")
    try:
        found = query_through_plane(viewer, grant, values["subject"], values["case"])
    except CallRefused as error:
        context |= {"refused": error}
        return show(request, viewer, "pages/query.html", context, status=error.status, section="grants")
    context |= {"found": found, "marks": range(MARKS), "watermark": watermark(viewer, found.at)}
    return show(request, viewer, "pages/query.html", context, section="grants")
