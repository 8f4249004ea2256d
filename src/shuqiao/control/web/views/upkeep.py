"""Keeping the catalogue true: changes with their terms, full maintenance, open work, the report."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.operations.audit import may_read_audit
from shuqiao.control.outside.demand import demand_list
from shuqiao.control.standards import download
from shuqiao.control.texts import Text
from shuqiao.control.upkeep import pages, report
from shuqiao.control.upkeep.changes import MAX_TOUCHED, ChangeInput, close_change, register_change
from shuqiao.control.upkeep.checks import KINDS
from shuqiao.control.upkeep.maintenance import check_catalogue, sign_maintenance
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.reading import faults_of, page_number, read_day, read_key
from shuqiao.control.web.shell import show, signed_in

_LISTS: dict[str, tuple[Text, Text, Callable[[Viewer, int, str], report.OpenEntries]]] = {
    "open-work": (
        Text("可共享、尚未提供服务", "Shareable, nothing offered yet"),
        Text(
            "可共享的条目应主动提供数据或接口。", "What is shareable is offered without waiting to be asked."
        ),
        report.open_work,
    ),
    "digitisation": (
        Text("数字化状态", "State of digitisation"),
        Text("尚未以结构化方式入库的来源。", "Sources that are not in a database in structured form."),
        report.digitisation,
    ),
    "return-flow": (
        Text("上级系统数据回流", "Return flow from superior systems"),
        Text("数据存于上级系统的条目及其回流状态。", "Entries whose data lie in a superior body's system."),
        report.return_flow,
    ),
}


@require_safe
@signed_in
def changes(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the changes that the catalogue must follow."""
    page = pages.change_list(viewer, page_number(request))
    return show(request, viewer, "pages/upkeep.html", {"page": page, "tab": "changes"}, section="upkeep")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def change_new(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Register a change with its day, its document and the entries it touches."""
    posted = request.POST
    asked = posted or request.GET
    chosen = asked.getlist("entries")[:MAX_TOUCHED]
    form = pages.change_form(viewer, asked.get("department", "")[:40], asked.get("q", ""), chosen)
    if request.method != "POST":
        return _form_page(request, viewer, form, {})
    given = ChangeInput(
        kind=posted.get("kind", "")[:10],
        department=form.department,
        happened_on=read_day(posted.get("happened_on", "")),
        document=posted.get("document", ""),
        description=posted.get("description", ""),
        entries=tuple(posted.getlist("entries")[: MAX_TOUCHED + 1]),
    )
    try:
        number = register_change(viewer, given)
    except FormRefused as refused:
        return _form_page(request, viewer, form, faults_of(refused))
    words = Text(f"{number} 已登记。", f"{number} is registered.")
    return say_done(request, words, "upkeep_change", number=number)


@require_safe
@signed_in
def change(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show one change with its term and what has become of each entry."""
    return _change_page(request, viewer, {}, number)


def _change_page(request: HttpRequest, viewer: Viewer, faults: Faults, number: str) -> HttpResponse:
    context = {
        "page": pages.change_page(viewer, number),
        "reason": request.POST.get("reason", ""),
        "sees_audit": may_read_audit(viewer),
    }
    return show_form(request, viewer, "pages/upkeep_change.html", context, faults, section="upkeep")


@require_POST
@signed_in
@form_of(_change_page)
def change_close(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Close a change whose other entries need no update, saying why."""
    close_change(viewer, number, request.POST.get("reason", ""))
    words = Text("已办结，理由已存档。", "It is closed; the reason is kept.")
    return say_done(request, words, "upkeep_change", number=number)


def _maintenance_page(request: HttpRequest, viewer: Viewer, faults: Faults) -> HttpResponse:
    department = request.GET.get("department", "")[:40]
    page = pages.maintenance_page(viewer, department)
    if faults or request.GET.get("check") == "1":
        page = pages.maintenance_page(viewer, department, check_catalogue(page.department.code))
    context = {
        "page": page,
        "kinds": KINDS,
        "tab": "maintenance",
        "statement": request.POST.get("statement", ""),
        "everyone": report.sees_everyone(viewer),
    }
    return show_form(request, viewer, "pages/upkeep_maintenance.html", context, faults, section="upkeep")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_maintenance_page)
def maintenance(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Check a department's whole catalogue, and sign the maintenance of a period."""
    key = read_key(request.POST.get("period", ""))
    if key is None:
        raise NotFound
    sign_maintenance(viewer, key, request.POST.get("statement", ""))
    words = Text("本期全面维护已签署。", "The maintenance is signed.")
    return say_done(request, words, "upkeep_record", key=key)


@require_safe
@signed_in
def record(request: HttpRequest, viewer: Viewer, key: int) -> HttpResponse:
    """Show the record of a signed maintenance."""
    row = pages.maintenance_record(viewer, key)
    context = {"row": row, "kinds": KINDS, "sees_audit": may_read_audit(viewer)}
    return show(request, viewer, "pages/upkeep_record.html", context, section="upkeep")


@require_safe
@signed_in
def entries(request: HttpRequest, viewer: Viewer, kind: str) -> HttpResponse:
    """List the entries with something left to do: open work, digitisation, return flow."""
    if kind not in _LISTS:
        raise NotFound
    title, lead, read = _LISTS[kind]
    page = read(viewer, page_number(request), request.GET.get("department", "")[:40])
    context = {
        "page": page,
        "title": title,
        "lead": lead,
        "tab": kind,
        "everyone": report.sees_everyone(viewer),
    }
    return show(request, viewer, "pages/upkeep_entries.html", context, section="upkeep")


@require_safe
@signed_in
def demands(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the demands kept in the catalogue system, with when each was last brought up to date."""
    page = demand_list(viewer, page_number(request))
    context = {"page": page, "tab": "demands", "everyone": report.sees_everyone(viewer)}
    return show(request, viewer, "pages/upkeep_demands.html", context, section="upkeep")


@require_safe
@signed_in
def supervision(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Report on each department's catalogue, on the page or as a table to take away."""
    rows = report.supervision(viewer)
    form = request.GET.get("form", "")
    if form in ("csv", "xlsx"):
        return _file(form, pages.report_table(rows))
    context = {"rows": rows, "tab": "report", "everyone": report.sees_everyone(viewer)}
    return show(request, viewer, "pages/upkeep_report.html", context, section="upkeep")


def _file(form: str, table: download.Table) -> HttpResponse:
    if form == "csv":
        answer = HttpResponse(download.as_csv(table), content_type="text/csv; charset=utf-8")
    else:
        answer = HttpResponse(download.as_xlsx(table, "report"), content_type=download.XLSX)
    answer.headers["Content-Disposition"] = f'attachment; filename="catalogue-upkeep.{form}"'
    return answer


def _form_page(request: HttpRequest, viewer: Viewer, form: pages.ChangeForm, faults: Faults) -> HttpResponse:
    context = {
        "form": form,
        "values": request.POST,
        "chosen": (request.POST or request.GET).getlist("entries"),
        "kinds": [("", Text("请选择", "Choose")), *((one.kind, one.label) for one in form.terms)],
    }
    return show_form(request, viewer, "pages/upkeep_change_new.html", context, faults, section="upkeep")
