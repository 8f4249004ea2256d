"""On what the platform's data lie."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.operations.volumes import volumes_page
from shuqiao.control.web.shell import show, signed_in


@require_safe
@signed_in
def volumes(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show what each process states of its volumes."""
    return show(request, viewer, "pages/volumes.html", {"page": volumes_page(viewer)})
