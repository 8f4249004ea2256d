"""Alarms of unusual use: the list, one alarm, and its judgement."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.alarms import actions, pages
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.reading import page_number
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
    return _alarm_page(request, viewer, {}, number, "")


def _alarm_page(
    request: HttpRequest,
    viewer: Viewer,
    faults: Faults,
    number: str,
    step: str,  # noqa: ARG001 - the view takes it
) -> HttpResponse:
    context = {"page": pages.alarm_page(viewer, number), "values": request.POST}
    return show_form(request, viewer, "pages/alarm.html", context, faults, section="alarms")


@require_POST
@signed_in
@form_of(_alarm_page)
def alarm_step(request: HttpRequest, viewer: Viewer, number: str, step: str) -> HttpResponse:
    """Ask about an alarm, explain it, or judge it."""
    return say_done(request, _take(request, viewer, number, step), "alarm", number=number)


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
