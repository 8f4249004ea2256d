"""Reading the structure of a table into a draft entry, and what of it was guessed."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from shuqiao.control.accounts.access import FormRefused, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.compiling.drafts import COMPILE
from shuqiao.control.compiling.tables.actions import FIELD, take_in
from shuqiao.control.compiling.tables.pages import latest_readings, read_table
from shuqiao.control.web.forms import Faults, show_form
from shuqiao.control.web.reading import faults_of
from shuqiao.control.web.shell import show, signed_in
from shuqiao.control.web.uploads import read_file


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def tables(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Say how a table is described, take its description in, and list the latest."""
    require(viewer, Capability.CATALOGUE_EDIT, COMPILE)
    faults: Faults = {}
    if request.method == "POST":
        given = read_file(request, FIELD)
        try:
            taken = take_in(viewer, given.content if given else None)
            return redirect("compiling_table", number=taken.number)
        except FormRefused as refused:
            faults = faults_of(refused)
    context = {"readings": latest_readings(viewer)}
    return show_form(request, viewer, "pages/compiling_tables.html", context, faults, section="compilations")


@require_safe
@signed_in
def table(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show what a table was taken for, each value with what it rests on."""
    context = {"page": read_table(viewer, number)}
    return show(request, viewer, "pages/compiling_table.html", context, section="compilations")
