"""The register of other exchange systems, with the report of how far they have moved."""

import csv
from io import StringIO

from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_http_methods, require_safe

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.othersystems import pages
from shuqiao.control.othersystems.actions import map_entry, register_system, report_state, unmap_entry
from shuqiao.control.othersystems.inputs import MappingInput, ReportInput, SystemInput
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.reading import read_count, read_day
from shuqiao.control.web.shell import sees_proof, signed_in

MAX_CHARS = 1000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _register_page(request: HttpRequest, viewer: Viewer, faults: Faults) -> HttpResponse:
    context = {"page": pages.register(viewer), "values": request.POST}
    return show_form(request, viewer, "pages/other_systems.html", context, faults)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_register_page)
def register(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the register and the report of state, and register a system."""
    number = register_system(viewer, _given(request.POST, viewer.department.code))
    words = Text(f"系统 {number} 已登记。", f"System {number} is registered.")
    return say_done(request, words, "other_system", number=number)


def _system_page(request: HttpRequest, viewer: Viewer, faults: Faults, number: str) -> HttpResponse:
    page = pages.system_page(viewer, number)
    proof = sees_proof(viewer, page.row.department.code)
    context = {"page": page, "values": request.POST, "proof": proof}
    return show_form(request, viewer, "pages/other_system.html", context, faults, section="other_systems")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_system_page)
def system(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show one system with its reports, take the next one, or a mapping to an entry."""
    return say_done(request, _act(viewer, number, request.POST), "other_system", number=number)


def _act(viewer: Viewer, number: str, post: QueryDict) -> Text:
    """Map an entry, take a mapping back or report the state, as the form says."""
    if "unmap" in post:
        mapping = read_count(post.get("unmap", ""))
        if mapping is None:
            raise NotFound
        unmap_entry(viewer, number, mapping)
        return Text("对应关系已撤去。", "The mapping is taken back.")
    if "resource" in post:
        given = MappingInput(post.get("what", "")[:MAX_CHARS], post.get("resource", "")[:60])
        map_entry(viewer, number, given)
        return Text("对应关系已登记。", "The mapping has been recorded.")
    report_state(
        viewer,
        number,
        ReportInput(
            state=post.get("state", ""),
            note=post.get("note", "")[:MAX_CHARS],
            planned_until=read_day(post.get("planned_until", "")),
        ),
    )
    return Text("迁移进展已登记。", "The state has been recorded.")


@require_safe
@signed_in
def report(request: HttpRequest, viewer: Viewer) -> HttpResponse:  # noqa: ARG001 - a view takes it
    """Give the register as CSV, for spreadsheets; no cell can be taken for a formula."""
    held = StringIO()
    writer = csv.writer(held)
    heads = (
        Text("编号", "No."),
        Text("部门", "Department"),
        Text("系统", "System"),
        Text("种类", "Kind"),
        Text("交换内容", "What is exchanged"),
        Text("对方", "With"),
        Text("启用日期", "Running since"),
        Text("状态", "State"),
        Text("计划完成", "Planned until"),
        Text("逾期", "Late"),
    )
    writer.writerow([str(head) for head in heads])
    for row in pages.register(viewer).rows:
        cells = [row.number, str(row.department), row.name, str(row.kind), row.purpose, row.partners]
        cells += [str(row.running_since or ""), str(row.state_label), str(row.planned_until)]
        cells.append(str(Text("是", "yes")) if row.late else "")
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    response = HttpResponse("\ufeff" + held.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="other-systems.csv"'
    return response


def _given(post: QueryDict, own: str) -> SystemInput:
    return SystemInput(
        department=post.get("department", own)[:60],
        kind=post.get("kind", ""),
        name=post.get("name", "")[:MAX_CHARS],
        purpose=post.get("purpose", "")[:MAX_CHARS],
        partners=post.get("partners", "")[:MAX_CHARS],
        running_since=read_day(post.get("running_since", "")),
        plan=post.get("plan", "")[:MAX_CHARS],
        planned_until=read_day(post.get("planned_until", "")),
    )
