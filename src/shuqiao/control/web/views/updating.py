"""Updates of shared data: changes and their days, one entry, notices, cycles, exceptions, force majeure."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.standards import download
from shuqiao.control.texts import Text
from shuqiao.control.updating import pages
from shuqiao.control.updating.changes import ChangeGiven, register_change, state_update
from shuqiao.control.updating.exceptions import ask_slower, decide_slower, end_slower
from shuqiao.control.updating.hindrances import HindranceGiven, end_hindrance, record_hindrance
from shuqiao.control.updating.quality import DAYS, MEANINGS, WORDS, quality_rows
from shuqiao.control.updating.report import report_table, updates_report
from shuqiao.control.updating.told import confirm_update
from shuqiao.control.web.forms import Faults, say_done, show_form
from shuqiao.control.web.reading import faults_of, page_number, read_day
from shuqiao.control.web.shell import show, signed_in

SECTION = "data_changes"


@require_safe
@signed_in
def changes(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the changes that data must follow."""
    context = {"page": pages.change_list(viewer, page_number(request)), "tab": "changes"}
    return show(request, viewer, "pages/updates.html", context, section=SECTION)


@require_safe
@signed_in
def change(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Lead to a change on the page of its entry."""
    del request
    row = pages.change_page(viewer, number)
    return redirect(f"{reverse('entry_updates', args=[row.resource])}#{row.number}")


@require_safe
@signed_in
def told(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the updates that recipients were told of, and how they confirmed."""
    context = {"page": pages.told_list(viewer, page_number(request)), "tab": "told"}
    return show(request, viewer, "pages/updates_told.html", context, section=SECTION)


@require_POST
@signed_in
def told_confirm(request: HttpRequest, viewer: Viewer, key: int) -> HttpResponse:
    """Confirm that one's copy was compared and brought up to date."""
    confirm_update(viewer, key)
    return say_done(request, Text("已确认比对和更新。", "Confirmed."), "updates_told")


@require_safe
@signed_in
def schedule(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List how deliveries stand to their cycles."""
    context = {"rows": pages.schedule_list(viewer), "tab": "schedule"}
    return show(request, viewer, "pages/updates_schedule.html", context, section=SECTION)


@require_safe
@signed_in
def exceptions(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List applications for slower updating, and records of force majeure."""
    context = {
        "page": pages.slow_list(viewer, page_number(request)),
        "hindrances": pages.hindrance_list(viewer, 1),
        "tab": "exceptions",
    }
    return show(request, viewer, "pages/updates_exceptions.html", context, section=SECTION)


@require_safe
@signed_in
def report(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Report on each department's updates, on the page or as a table to take away."""
    rows = updates_report(viewer)
    form = request.GET.get("form", "")
    if form in ("csv", "xlsx"):
        table = report_table(rows)
        is_csv = form == "csv"
        body = download.as_csv(table) if is_csv else download.as_xlsx(table, "updates")
        answer = HttpResponse(body, content_type="text/csv; charset=utf-8" if is_csv else download.XLSX)
        answer.headers["Content-Disposition"] = f'attachment; filename="data-updates.{form}"'
        return answer
    context = {"rows": rows, "tab": "report"}
    return show(request, viewer, "pages/updates_report.html", context, section=SECTION)


@require_safe
@signed_in
def quality(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the quality of each data set that is delivered."""
    context = {
        "rows": quality_rows(viewer),
        "words": WORDS,
        "meanings": MEANINGS,
        "days": DAYS,
        "tab": "quality",
    }
    return show(request, viewer, "pages/updates_quality.html", context, section=SECTION)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def entry(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Show the updates of one entry; register a change, ask for slower updating, record force majeure."""
    if request.method != "POST":
        return _entry_page(request, viewer, resource, {})
    form = request.POST.get("form", "")
    if form not in _FORMS:
        raise NotFound
    send, done = _FORMS[form]
    return _answer(request, viewer, resource, lambda: send(request, viewer, resource), done)


@require_POST
@signed_in
def change_state(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """State that a change is brought where no batch shows it."""
    row = pages.change_page(viewer, number)
    words = request.POST.get("statement", "")
    done = Text("已说明更新，获取方已通知。", "Stated; recipients are told.")
    return _answer(request, viewer, row.resource, lambda: state_update(viewer, number, words), done)


@require_POST
@signed_in
def slower_step(request: HttpRequest, viewer: Viewer, resource: str, key: int, step: str) -> HttpResponse:
    """Approve, refuse or end slower updating."""
    note = request.POST.get("note", "")
    steps: dict[str, tuple[Callable[[], object], Text]] = {
        "approve": (
            lambda: decide_slower(viewer, key, approved=True, note=note),
            Text("已批准。", "Approved."),
        ),
        "refuse": (
            lambda: decide_slower(viewer, key, approved=False, note=note),
            Text("已记录未批准。", "Not approved."),
        ),
        "end": (lambda: end_slower(viewer, key), Text("已结束。", "Ended.")),
    }
    if step not in steps:
        raise NotFound
    return _answer(request, viewer, resource, *steps[step])


@require_POST
@signed_in
def hindrance_end(request: HttpRequest, viewer: Viewer, resource: str, key: int) -> HttpResponse:
    """Say that the entry is provided again."""
    done = Text("已恢复提供，使用单位已通知。", "It is provided again; its users are told.")
    return _answer(request, viewer, resource, lambda: end_hindrance(viewer, key), done)


def _register(request: HttpRequest, viewer: Viewer, resource: str) -> object:
    day = read_day(request.POST.get("happened_on", ""))
    return register_change(viewer, ChangeGiven(resource, day, request.POST.get("description", "")))


def _ask(request: HttpRequest, viewer: Viewer, resource: str) -> object:
    return ask_slower(viewer, resource, request.POST.get("reason", ""))


def _record(request: HttpRequest, viewer: Viewer, resource: str) -> object:
    posted = request.POST
    given = HindranceGiven(
        resource,
        read_day(posted.get("began_on", "")),
        posted.get("cause", ""),
        posted.get("remedy", ""),
        read_day(posted.get("expected_on", "")),
    )
    return record_hindrance(viewer, given)


_FORMS: dict[str, tuple[Callable[[HttpRequest, Viewer, str], object], Text]] = {
    "change": (_register, Text("变化已登记，期限随之起算。", "Registered; its term runs.")),
    "slower": (_ask, Text("已申请，等待主管部门审核。", "Asked for; the competent department decides.")),
    "hindrance": (
        _record,
        Text("已登记，平台管理机构和使用单位已通知。", "Recorded; all concerned are told."),
    ),
}


def _answer(
    request: HttpRequest, viewer: Viewer, resource: str, act: Callable[[], object], done: Text
) -> HttpResponse:
    try:
        act()
    except FormRefused as refused:
        return _entry_page(request, viewer, resource, faults_of(refused))
    return say_done(request, done, "entry_updates", resource=resource)


def _entry_page(request: HttpRequest, viewer: Viewer, resource: str, faults: Faults) -> HttpResponse:
    context = {"page": pages.entry_updates(viewer, resource), "values": request.POST}
    return show_form(request, viewer, "pages/updates_entry.html", context, faults, section=SECTION)
