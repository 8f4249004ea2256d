"""Downloading a document of a case."""

import uuid

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.documents.access import download_document
from shuqiao.control.web.shell import signed_in
from shuqiao.control.web.streams import keep_apart


@require_GET
@signed_in
@transaction.atomic
def document(_request: HttpRequest, viewer: Viewer, key: uuid.UUID) -> HttpResponse:
    """Send a document as a file to keep, never as a page: whatever it holds, it does not run here."""
    found = download_document(viewer, key)
    response = HttpResponse(bytes(found.content), content_type=found.media_type)
    keep_apart(response, found.name)
    return response
