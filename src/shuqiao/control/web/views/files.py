"""The files of an entry for their provider, and those of a grant for its two sides."""

import threading
import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.deliveries import files as delivered
from shuqiao.control.deliveries.portal import PlaneRefused
from shuqiao.control.files import actions, pages
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import say_done, show_form
from shuqiao.control.web.reading import faults_of
from shuqiao.control.web.shell import show, signed_in
from shuqiao.control.web.streams import streamed
from shuqiao.control.web.uploads import RegisteredFileUpload, read_registered_file
from shuqiao.rules.errors import Overloaded

MAX_UPLOADS = 2
_uploads = threading.BoundedSemaphore(MAX_UPLOADS)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def files(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Show the files of an entry; take in a new one, a new version, or a withdrawal.

    The form may be larger than others: its handler has to be set before anything reads it, so the token of
    the form is checked inside, when it is known who sends it and that the entry is theirs.
    """
    page = pages.files_page(viewer, resource)
    if request.method != "POST":
        return show(request, viewer, "pages/files.html", {"page": page}, section="catalogue")
    if not _uploads.acquire(blocking=False):
        raise Overloaded
    try:
        request.upload_handlers = [RegisteredFileUpload(request)]
        return _changed(request, viewer, resource)
    finally:
        _uploads.release()


@csrf_protect
def _changed(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    try:
        said = _act(request, viewer, resource)
    except FormRefused as refused:
        context = {"page": pages.files_page(viewer, resource), "posted": request.POST}
        return show_form(
            request, viewer, "pages/files.html", context, faults_of(refused), section="catalogue"
        )
    return say_done(request, said, "files", resource=resource)


def _act(request: HttpRequest, viewer: Viewer, resource: str) -> Text:
    post = request.POST
    file = _number(post.get("file_id", ""))
    match post.get("step", ""):
        case "register":
            given = read_registered_file(request, "file")
            actions.register_file(viewer, resource, post.get("title", ""), given)
            return Text("文件已登记。", "The file is registered.")
        case "replace":
            number = actions.replace_file(viewer, resource, file, read_registered_file(request, "file"))
            return Text(f"已登记第 {number} 版，自此提供新版。", f"Version {number} is given from now on.")
        case _:
            actions.withdraw_file(viewer, resource, file, post.get("reason", ""))
            return Text("文件已撤下，不再提供。", "The file is withdrawn and no longer given.")


def _number(text: str) -> uuid.UUID:
    """Read a file's number; what is none is the number of no file."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(int=0)


@require_safe
@signed_in
def grant_files(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """List the files that a grant opens."""
    context = {"page": delivered.grant_files_page(viewer, number)}
    return show(request, viewer, "pages/grant_files.html", context, section="grants")


@require_POST
@signed_in
def grant_file(request: HttpRequest, viewer: Viewer, number: str, file: uuid.UUID) -> HttpResponse:
    """Pass a file on from the plane, piece by piece. It is posted: to fetch one leaves an entry."""
    case = request.POST.get("case", "").strip()
    try:
        stream = delivered.fetch_file(viewer, number, file, case, request.headers.get("Range"))
    except FormRefused as refused:
        context = {"page": delivered.grant_files_page(viewer, number)}
        return show_form(
            request, viewer, "pages/grant_files.html", context, faults_of(refused), section="grants"
        )
    except PlaneRefused as refused:
        messages.error(request, str(refused.message))
        return redirect("grant_files", number=number)
    return streamed(stream)
