"""The offline workbook: downloads, the upload with its progress and result, taking it over into drafts."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.compiling.workbook import actions
from shuqiao.control.compiling.workbook.export import export_file, template_file
from shuqiao.control.compiling.workbook.marked import marked_file
from shuqiao.control.compiling.workbook.pages import import_page, upload_page
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.documents.models import MediaType
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, say_done, show_form
from shuqiao.control.web.reading import faults_of, page_number
from shuqiao.control.web.shell import is_partial, show, signed_in
from shuqiao.control.web.uploads import read_file

_NONE = FileInput("", b"")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def workbooks(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Offer the workbooks to download, take one in, and list the latest."""
    require(viewer, Capability.CATALOGUE_EDIT, actions.IMPORT)
    faults: Faults = {}
    if request.method == "POST":
        try:
            key = actions.upload(viewer, read_file(request, "workbook") or _NONE)
            return redirect("workbook", key=key)
        except FormRefused as refused:
            faults = faults_of(refused)
    context = {"page": upload_page(viewer)}
    return show_form(request, viewer, "pages/catalogue_imports.html", context, faults, section="compilations")


@require_safe
@signed_in
def workbook(request: HttpRequest, viewer: Viewer, key: int) -> HttpResponse:
    """Show how far a workbook has got, and its result; the part is asked for again while it works."""
    context = {"page": import_page(viewer, key, page_number(request))}
    if is_partial(request):
        return render(request, "pages/catalogue_import_part.html", context)
    return show(request, viewer, "pages/catalogue_import.html", context, section="compilations")


@require_POST
@signed_in
def workbook_take(request: HttpRequest, viewer: Viewer, key: int) -> HttpResponse:  # noqa: ARG001 - a view takes it
    """Bring a faultless workbook into the drafts."""
    actions.take_over(viewer, key)
    return redirect("workbook", key=key)


@require_POST
@signed_in
def workbook_discard(request: HttpRequest, viewer: Viewer, key: int) -> HttpResponse:
    """Throw a workbook away."""
    actions.discard(viewer, key)
    return say_done(request, Text("已放弃，未作任何更改。", "Discarded; nothing was changed."), "workbooks")


@require_GET
@signed_in
def workbook_template(request: HttpRequest, viewer: Viewer) -> HttpResponse:  # noqa: ARG001 - a view takes it
    """Send the empty template."""
    require(viewer, Capability.CATALOGUE_EDIT, actions.IMPORT)
    return _sent(template_file(viewer), "catalogue-template.xlsx")


@require_GET
@signed_in
def workbook_export(request: HttpRequest, viewer: Viewer) -> HttpResponse:  # noqa: ARG001 - a view takes it
    """Send the department's present entries."""
    require(viewer, Capability.CATALOGUE_EDIT, actions.IMPORT)
    return _sent(export_file(viewer), f"catalogue-{viewer.department.code}.xlsx")


@require_GET
@signed_in
def workbook_marked(request: HttpRequest, viewer: Viewer, key: int) -> HttpResponse:  # noqa: ARG001 - a view takes it
    """Send a workbook back with every fault marked at its cell."""
    return _sent(marked_file(viewer, key), f"catalogue-marked-{key}.xlsx")


def _sent(content: bytes, name: str) -> HttpResponse:
    """A file to keep, never a page."""
    response = HttpResponse(content, content_type=MediaType.XLSX.value)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
