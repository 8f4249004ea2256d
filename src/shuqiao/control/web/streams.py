"""Giving out a file that somebody brought: as one to keep, never as a page."""

from typing import cast
from urllib.parse import quote

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from shuqiao.control.deliveries.copies import PartStream


def keep_apart(response: HttpResponseBase, name: str) -> None:
    """Let a browser store a file under its name: whatever it holds, it does not run here."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    response.headers["Content-Disposition"] = named
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"


def streamed(stream: PartStream) -> HttpResponse:
    """Send on what comes from the plane piece by piece."""
    response = StreamingHttpResponse(stream.pieces, status=stream.status)
    for name, value in stream.headers.items():
        response[name] = value
    keep_apart(response, stream.name)
    # To Django's types the two kinds of response are cousins; middleware and the server take both.
    return cast(HttpResponse, response)
