"""Paths and forms hold no NUL, which no browser sends and the database does not take.

Without this every view would have to look for it, or fail where it hands a text on.
"""

from collections.abc import Callable

from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponseBase

NUL = "\x00"
_FORM = "application/x-www-form-urlencoded"


def plain_input(
    respond: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer a path with a NUL as one that isn't there, and refuse a form with one (400)."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        if NUL in request.path_info:
            raise Http404
        if request.content_type == _FORM and any(
            NUL in value for values in request.POST.lists() for value in values[1]
        ):
            raise SuspiciousOperation("a form holds a NUL")
        return respond(request)

    return answer
