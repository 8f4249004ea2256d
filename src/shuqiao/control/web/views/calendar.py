"""The working calendar by which every due date is counted, and changing it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.clocks.calendar import DayInput, Recount, announce_year, open_year, set_day
from shuqiao.control.clocks.calendar_page import calendar_page
from shuqiao.control.operations.audit import may_read_audit
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, say_done, show_form
from shuqiao.control.web.reading import faults_of, read_day
from shuqiao.control.web.shell import signed_in

SETTINGS = (
    ("off", Text("非工作日", "A day off")),
    ("working", Text("工作日", "A working day")),
    ("announced", Text("恢复公布的安排", "As announced")),
)

WEEKDAYS = (
    (Text("一", "M"), Text("星期一", "Monday")),
    (Text("二", "T"), Text("星期二", "Tuesday")),
    (Text("三", "W"), Text("星期三", "Wednesday")),
    (Text("四", "T"), Text("星期四", "Thursday")),
    (Text("五", "F"), Text("星期五", "Friday")),
    (Text("六", "S"), Text("星期六", "Saturday")),
    (Text("日", "S"), Text("星期日", "Sunday")),
)


@require_safe
@signed_in
def this_year(request: HttpRequest, viewer: Viewer) -> HttpResponse:  # noqa: ARG001 - a view takes them
    """Lead to the current year."""
    return redirect("calendar_year", year=clock.today().year)


@require_safe
@signed_in
def year(request: HttpRequest, viewer: Viewer, year: int) -> HttpResponse:
    """Show one year; a day named in the address is put into the form."""
    return _page(request, viewer, year, {}, day=request.GET.get("day", "")[:10])


@require_POST
@signed_in
def day(request: HttpRequest, viewer: Viewer, year: int) -> HttpResponse:
    """Set one day, with its reason."""
    posted = request.POST
    given = DayInput(
        read_day(posted.get("day", "")), posted.get("setting", ""), posted.get("reason", "")[:500]
    )
    return _changed(request, viewer, year, lambda: set_day(viewer, given))


@require_POST
@signed_in
def year_opened(request: HttpRequest, viewer: Viewer, year: int) -> HttpResponse:
    """Add a year as provisional."""
    return _changed(request, viewer, year, lambda: open_year(viewer, year, _reason(request)))


@require_POST
@signed_in
def year_announced(request: HttpRequest, viewer: Viewer, year: int) -> HttpResponse:
    """Mark a year as announced."""
    return _changed(request, viewer, year, lambda: announce_year(viewer, year, _reason(request)))


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "")[:500]


def _changed(request: HttpRequest, viewer: Viewer, year: int, act: Callable[[], Recount]) -> HttpResponse:
    """Do it and say how many due dates moved, or show the page with what is wrong."""
    try:
        done = act()
    except FormRefused as refused:
        return _page(request, viewer, year, faults_of(refused), **_given(request))
    return say_done(request, _told(done.moved), "calendar_year", year=year)


def _told(moved: int) -> Text:
    if not moved:
        return Text("日历已更新，没有未结期限变动。", "The calendar is changed; no open due date has moved.")
    return Text(
        f"日历已更新，{moved} 个未结期限随之变动并已通知双方。",
        f"The calendar is changed; {moved} open due dates moved with it and both sides have been told.",
    )


def _given(request: HttpRequest) -> dict[str, str]:
    posted = request.POST
    return {
        "day": posted.get("day", "")[:10],
        "setting": posted.get("setting", "")[:10],
        "reason": posted.get("reason", "")[:500],
    }


def _page(
    request: HttpRequest,
    viewer: Viewer,
    year: int,
    faults: Faults,
    *,
    day: str = "",
    setting: str = "off",
    reason: str = "",
) -> HttpResponse:
    context = {
        "page": calendar_page(viewer, year),
        "settings": SETTINGS,
        "weekdays": WEEKDAYS,
        "can_read_audit": may_read_audit(viewer),
        "day": day,
        "setting": setting,
        "reason": reason,
    }
    return show_form(request, viewer, "pages/calendar.html", context, faults, section="calendar")
