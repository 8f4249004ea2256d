"""The first page: what is due comes first."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.actions import mark_notices_read
from shuqiao.control.operations.tasks import task_list
from shuqiao.control.web.shell import show, signed_in


@require_safe
@signed_in
def workbench(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show tasks by legal date, own requests and notices."""
    return show(request, viewer, "pages/workbench.html", {"page": task_list(viewer)})


@require_POST
@signed_in
def read_notices(request: HttpRequest, viewer: Viewer) -> HttpResponse:  # noqa: ARG001 - a view takes it
    """Mark the notices as read."""
    mark_notices_read(viewer)
    return redirect("workbench")
