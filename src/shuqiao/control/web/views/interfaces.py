"""The interface of an entry: its description, the console, and taking in a description."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods, require_safe

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.interfaces import pages
from shuqiao.control.interfaces.actions import offer_interface
from shuqiao.control.interfaces.document import CODES
from shuqiao.control.operations.refusal_words import REFUSALS
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import say_done
from shuqiao.control.web.reading import faults_of
from shuqiao.control.web.shell import show, signed_in
from shuqiao.control.web.uploads import read_file
from shuqiao.rules.errors import BY_CODE

MAX_CHARS = 600


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def interface(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Show the interface of an entry; answer a trial with samples, or take in a new description."""
    page, faults, trial = pages.interface_page(viewer, resource), {}, None
    given = {
        name.removeprefix("p-"): value[:MAX_CHARS]
        for name, value in request.POST.items()
        if name.startswith("p-") and isinstance(value, str)
    }
    if request.method == "POST" and "operation" in request.POST:
        trial = pages.try_call(viewer, resource, request.POST["operation"][:MAX_CHARS], given)
    elif request.method == "POST":
        file = read_file(request, "document")
        timeout = request.POST.get("timeout_s", "")
        try:
            offer_interface(
                viewer,
                resource,
                file.content if file else b"",
                int(timeout) if timeout.isascii() and timeout.isdigit() and len(timeout) < 4 else 0,
            )
        except FormRefused as refused:
            faults = faults_of(refused)
        else:
            words = Text("接口描述已登记。", "The description is registered.")
            return say_done(request, words, "interface", resource=resource)
    codes = [(BY_CODE[code].status, code, REFUSALS[code]) for code in CODES] if page.operations else []
    context = {
        "codes": codes,
        "page": page,
        "faults": faults,
        "trial": trial,
        "given": given,
        "values": request.POST,
    }
    wrong = bool(faults) or bool(trial and trial.fault)
    return show(
        request, viewer, "pages/interface.html", context, status=422 if wrong else 200, section="catalogue"
    )


@require_safe
@signed_in
def interface_document(_request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Give the OpenAPI document of an entry's interface as a file."""
    answer = JsonResponse(
        pages.interface_document(viewer, resource), json_dumps_params={"ensure_ascii": False, "indent": 2}
    )
    answer["Content-Disposition"] = f'attachment; filename="{resource}.openapi.json"'
    return answer
