"""Systems of departments and the keys they sign with."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.enrolments import actions
from shuqiao.control.enrolments.certificates import MAX_CHARS
from shuqiao.control.enrolments.page import sees_systems, systems_page
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, say_refused, show_form
from shuqiao.control.web.shell import signed_in


def _systems_page(request: HttpRequest, viewer: Viewer, faults: Faults) -> HttpResponse:
    context = {"page": systems_page(viewer), "values": request.POST}
    return show_form(request, viewer, "pages/systems.html", context, faults)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_systems_page)
def systems(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show systems and requests to enrol keys, and take a new request."""
    if not sees_systems(viewer):
        raise NotFound
    actions.ask_enrolment(viewer, _given(request))
    words = Text("已提交，待平台管理机构审核。", "Sent; the platform agency decides on it.")
    return say_done(request, words, "systems")


@require_POST
@signed_in
def enrolment_decide(request: HttpRequest, viewer: Viewer, key: UUID) -> HttpResponse:
    """Admit or refuse a request."""
    admit = request.POST.get("decision") == "admit"
    try:
        actions.decide_enrolment(viewer, key, admit=admit, reason=request.POST.get("reason", ""))
    except FormRefused as refused:
        return say_refused(request, refused, "systems")
    admitted = Text("系统已接入，密钥立即生效。", "The system is admitted; its key counts at once.")
    return say_done(request, admitted if admit else Text("已退回。", "Refused."), "systems")


@require_POST
@signed_in
def enrolment_withdraw(request: HttpRequest, viewer: Viewer, key: UUID) -> HttpResponse:
    """Take a waiting request back."""
    actions.withdraw_enrolment(viewer, key)
    return say_done(request, Text("登记已撤回。", "The request is taken back."), "systems")


@require_POST
@signed_in
def system_retire(request: HttpRequest, viewer: Viewer, application: str) -> HttpResponse:
    """Take a system off the platform, with a reason."""
    try:
        actions.retire(viewer, application, request.POST.get("reason", ""))
    except FormRefused as refused:
        return say_refused(request, refused, "systems")
    words = Text("系统已停用，其调用即被拒绝。", "The system is retired; its calls are refused from now on.")
    return say_done(request, words, "systems")


def _given(request: HttpRequest) -> actions.EnrolmentInput:
    posted = request.POST
    return actions.EnrolmentInput(
        word=posted.get("word", "")[:60],
        name_zh=posted.get("name_zh", "")[:200],
        name_en=posted.get("name_en", "")[:200],
        request=posted.get("request", "")[: MAX_CHARS + 1],
    )
