"""Alarms of unusual use: the list, one alarm, and its judgement."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.alarms import actions, pages
from shuqiao.control.texts import Text
from shuqiao.control.web.reading import faults_of, page_number
from shuqiao.control.web.shell import show, signed_in


@require_safe
@signed_in
def alarms(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the alarms that wait, or all."""
    page = pages.alarm_list(viewer, request.GET.get("show", ""), page_number(request))
    return show(request, viewer, "pages/alarms.html", {"page": page}, section="alarms")


@require_safe
@signed_in
def alarm(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show one alarm."""
    context = {"page": pages.alarm_page(viewer, number), "values": {}, "faults": {}}
    return show(request, viewer, "pages/alarm.html", context, section="alarms")


@require_POST
@signed_in
def alarm_step(request: HttpRequest, viewer: Viewer, number: str, step: str) -> HttpResponse:
    """Ask about an alarm, explain it, or judge it."""
    try:
        done = _take(request, viewer, number, step)
    except FormRefused as refused:
        context = {
            "page": pages.alarm_page(viewer, number),
            "values": request.POST,
            "faults": dict(faults_of(refused)),
        }
        return show(request, viewer, "pages/alarm.html", context, section="alarms", status=422)
    messages.success(request, str(done))
    return redirect("alarm", number=number)


def _take(request: HttpRequest, viewer: Viewer, number: str, step: str) -> Text:
    if step == "ask":
        actions.ask_explanation(viewer, number)
        return Text("已请对方说明。", "The department is asked to explain.")
    if step == "explain":
        actions.explain_use(viewer, number, request.POST.get("explanation", ""))
        return Text("说明已提交。", "The explanation is sent.")
    if step != "judge":
        raise NotFound
    given = actions.Judgement(
        misuse=request.POST.get("judgement") == "misuse",
        reason=request.POST.get("reason", ""),
        suspend=request.POST.get("suspend") == "on",
    )
    actions.judge_alarm(viewer, number, given)
    return Text("研判结论已记录。", "The judgement is recorded.")
