"""The pages for anybody: the entries that departments have opened, without an account."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from shuqiao.control.accounts.access import NotFound
from shuqiao.control.exports.pages import open_entry, open_page
from shuqiao.control.texts import Text
from shuqiao.control.web.outside_reading import Reading, outside
from shuqiao.control.web.reading import page_number


def refuse_plainly(status: int, _code: str, words: Text) -> HttpResponse:
    """Refuse as plain text: no page is made for whoever asks too often."""
    return HttpResponse(str(words), status=status, content_type="text/plain; charset=utf-8")


def _form(_request: HttpRequest, _suffix: str) -> str | None:
    return "html"


@require_safe
@outside(_form, refuse_plainly)
def open_catalogue(request: HttpRequest, _reading: Reading) -> HttpResponseBase:
    """Show the open entries, found by words and by subject."""
    page = open_page(request.GET.get("q", ""), request.GET.get("subject", "")[:3], page_number(request))
    return render(request, "pages/open.html", {"page": page, "sample": settings.SAMPLE_DATA})


@require_safe
@outside(_form, refuse_plainly)
def open_entry_page(request: HttpRequest, reading: Reading, resource: str) -> HttpResponseBase:
    """Show one open entry; a hidden one is answered as one that isn't there."""
    try:
        entry = open_entry(resource)
    except NotFound:
        return render(request, "404.html", status=404)
    context = {"entry": entry, "sample": settings.SAMPLE_DATA, "address": reading.places.dataset(entry.id)}
    return render(request, "pages/open_entry.html", context)
