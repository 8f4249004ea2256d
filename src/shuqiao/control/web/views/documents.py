"""Downloading a document of a case."""

import uuid
from urllib.parse import quote

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.documents.access import download_document
from shuqiao.control.web.shell import signed_in


@require_GET
@signed_in
@transaction.atomic
def document(request: HttpRequest, viewer: Viewer, key: uuid.UUID) -> HttpResponse:  # noqa: ARG001 - a view takes it
    """Send a document as a file to keep, never as a page: whatever it holds, it does not run here."""
    found = download_document(viewer, key)
    response = HttpResponse(bytes(found.content), content_type=found.media_type)
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in found.name)
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(found.name, safe='')}"
    response.headers["Content-Disposition"] = named
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
