"""Systems of departments and the keys they sign with."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.enrolments import actions
from shuqiao.control.enrolments.certificates import MAX_CHARS
from shuqiao.control.enrolments.page import systems_page
from shuqiao.control.texts import Text
from shuqiao.control.web.reading import faults_of
from shuqiao.control.web.shell import show, signed_in


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def systems(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show systems and requests to enrol keys, and take a new request."""
    page, faults = systems_page(viewer), {}
    if request.method == "POST":
        try:
            actions.ask_enrolment(viewer, _given(request))
        except FormRefused as refused:
            faults = dict(faults_of(refused))
        else:
            words = Text("已提交，待平台管理机构审核。", "Sent; the platform agency decides on it.")
            messages.success(request, str(words))
            return redirect("systems")
    context = {"page": page, "faults": faults, "values": request.POST}
    return show(request, viewer, "pages/systems.html", context, status=422 if faults else 200)


@require_POST
@signed_in
def enrolment_decide(request: HttpRequest, viewer: Viewer, key: UUID) -> HttpResponse:
    """Admit or refuse a request."""
    admit = request.POST.get("decision") == "admit"
    try:
        actions.decide_enrolment(viewer, key, admit=admit, reason=request.POST.get("reason", ""))
    except FormRefused as refused:
        messages.error(request, str(refused.faults[0].message))
    else:
        words = Text("系统已接入，密钥立即生效。", "The system is admitted; its key counts at once.")
        messages.success(request, str(words if admit else Text("已退回。", "Refused.")))
    return redirect("systems")


@require_POST
@signed_in
def enrolment_withdraw(request: HttpRequest, viewer: Viewer, key: UUID) -> HttpResponse:
    """Take a waiting request back."""
    actions.withdraw_enrolment(viewer, key)
    messages.success(request, str(Text("登记已撤回。", "The request is taken back.")))
    return redirect("systems")


@require_POST
@signed_in
def system_retire(request: HttpRequest, viewer: Viewer, application: str) -> HttpResponse:
    """Take a system off the platform, with a reason."""
    try:
        actions.retire(viewer, application, request.POST.get("reason", ""))
    except FormRefused as refused:
        messages.error(request, str(refused.faults[0].message))
    else:
        words = Text(
            "系统已停用，其调用即被拒绝。", "The system is retired; its calls are refused from now on."
        )
        messages.success(request, str(words))
    return redirect("systems")


def _given(request: HttpRequest) -> actions.EnrolmentInput:
    posted = request.POST
    return actions.EnrolmentInput(
        word=posted.get("word", "")[:60],
        name_zh=posted.get("name_zh", "")[:200],
        name_en=posted.get("name_en", "")[:200],
        request=posted.get("request", "")[: MAX_CHARS + 1],
    )
