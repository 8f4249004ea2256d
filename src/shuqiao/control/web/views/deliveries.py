"""Copies and online browse under a grant."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.deliveries import browsing, copies
from shuqiao.control.deliveries.access import access_bulk_grant
from shuqiao.control.deliveries.portal import PlaneRefused
from shuqiao.control.web.forms import Faults, show_form
from shuqiao.control.web.reading import faults_of
from shuqiao.control.web.shell import is_partial, show, signed_in
from shuqiao.control.web.streams import streamed


@require_safe
@signed_in
def deliveries(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """List the copies under a grant and offer to prepare one."""
    return _list(request, viewer, number, {})


@require_POST
@signed_in
def delivery_ask(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Ask for a copy."""
    try:
        job = copies.ask_copy(
            viewer, number, request.POST.get("format", ""), request.POST.get("case", "").strip()
        )
    except FormRefused as refused:
        return _list(request, viewer, number, faults_of(refused))
    except PlaneRefused as refused:
        messages.error(request, str(refused.message))
        return redirect("deliveries", number=number)
    return redirect("delivery", number=number, job=job)


@require_safe
@signed_in
def delivery(request: HttpRequest, viewer: Viewer, number: str, job: str) -> HttpResponse:
    """Show how far a copy is; the part is asked for again while it is being prepared."""
    context = {"page": copies.copy_page(viewer, number, job)}
    if is_partial(request):
        return render(request, "pages/delivery_part.html", context)
    return show(request, viewer, "pages/delivery.html", context, section="grants")


@require_safe
@signed_in
def delivery_manifest(_request: HttpRequest, viewer: Viewer, number: str, job: str) -> HttpResponse:
    """Send the signed manifest of a copy."""
    page = copies.copy_page(viewer, number, job)
    if page.row.manifest is None:
        raise NotFound
    response = HttpResponse(page.row.manifest, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="manifest-{page.row.id[:8]}.json"'
    response["Shuqiao-Signature"] = f"{page.row.key_id} {''.join((page.row.signature or '').split())}"
    return response


@require_safe
@signed_in
def delivery_file(request: HttpRequest, viewer: Viewer, number: str, job: str, part: int) -> HttpResponse:
    """Pass a part on from the plane, piece by piece; ranges go through."""
    if request.method == "HEAD":
        # To look is no delivery, and what is not delivered is not recorded as one.
        return HttpResponse(status=204)
    try:
        stream = copies.fetch_part(viewer, number, job, part, request.headers.get("Range"))
    except PlaneRefused as refused:
        messages.error(request, str(refused.message))
        return redirect("delivery", number=number, job=job)
    return streamed(stream)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def browse(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show a page of records; what is filtered by is posted, so that no address holds it."""
    post = request.POST
    values = {name: str(value) for name, value in post.items()}
    page = values.get("page", "1")
    wanted = browsing.Wanted(
        values,
        values.get("sort", ""),
        values.get("descending") == "1",
        int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1,
    )
    if access_bulk_grant(viewer, number).is_over:
        # The page of the grant says by whom, when and why.
        return redirect("grant", number=number)
    try:
        context = {"page": browsing.browse_page(viewer, number, wanted)}
    except PlaneRefused as refused:
        said = {"refused": refused.message, "number": number}
        return show(request, viewer, "pages/browse.html", said, status=403, section="grants")
    return show(request, viewer, "pages/browse.html", context, section="grants")


def _list(request: HttpRequest, viewer: Viewer, number: str, faults: Faults) -> HttpResponse:
    context = {"page": copies.copies_page(viewer, number), "posted": request.POST}
    return show_form(request, viewer, "pages/deliveries.html", context, faults, section="grants")
