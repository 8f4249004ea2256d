"""Is this already available? Checking forms, and planned collections, against what can be had by sharing."""

import csv
import re
from io import StringIO

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.onesource import check_page, plan_page
from shuqiao.control.onesource.access import may_plan
from shuqiao.control.onesource.checks import AUDIENCES, FormInput, check_form
from shuqiao.control.onesource.planning import (
    MAX_ITEMS,
    PlanInput,
    PlannedInput,
    look_up,
    register_plan,
    withdraw_plan,
)
from shuqiao.control.onesource.uploads import Labels, labels_of_file, labels_of_text
from shuqiao.control.requests.actions import save_draft
from shuqiao.control.requests.inputs import RequestInput
from shuqiao.control.requests.pages import request_form
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, say_done, show_form
from shuqiao.control.web.reading import faults_of, page_number, read_key
from shuqiao.control.web.shell import sees_proof, show, signed_in
from shuqiao.control.web.uploads import read_file

_UNSAFE_CELL = re.compile(r"^[=+\-@\t\r]")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def form_checks(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Check a form by its file or the names of its fields, and list the checks made."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    if request.method != "POST":
        return _checks_page(request, viewer)
    try:
        number = check_form(viewer, _form_given(request))
    except FormRefused as refused:
        return _checks_page(request, viewer, faults_of(refused))
    return redirect("form_check", number=number)


@require_safe
@signed_in
def form_check(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show what was found of each field, and what can be asked for at once."""
    found = check_page.check_view(viewer, number, page_number(request))
    context = {
        "check": found,
        "counts": [(key, words, found.counts[key]) for key, words in check_page.VERDICTS.items()],
        "sees_proof": sees_proof(viewer, found.department.code),
    }
    return show(request, viewer, "pages/form_check.html", context, section="form_checks")


@require_safe
@signed_in
def form_check_table(
    request: HttpRequest,  # noqa: ARG001 - every page takes it
    viewer: Viewer,
    number: str,
) -> HttpResponse:
    """Give the result as CSV, for spreadsheets; no cell can be taken for a formula."""
    check, rows = check_page.check_rows(viewer, number)
    held = StringIO()
    writer = csv.writer(held)
    heads = (
        Text("序号", "No."),
        Text("字段", "Field"),
        Text("结果", "Result"),
        Text("责任部门", "Holder"),
        Text("目录条目", "Entry"),
        Text("信息项", "Item"),
        Text("方式", "Modes"),
        Text("开通", "How granted"),
        Text("把握（%）", "Confidence (%)"),
        Text("理由", "Why"),
    )
    writer.writerow([str(head) for head in heads])
    for row in rows:
        for one in row.found or (None,):
            cells = [str(row.position), row.label, str(row.verdict_label)]
            if one is not None:
                modes = "、".join(str(words) for _, words in one.modes)
                cells += [str(one.holder), str(one.resource_name), str(one.name), modes]
                cells += [str(one.way or ""), str(one.confidence), str(one.why)]
            writer.writerow([_cell(cell) for cell in cells])
    response = HttpResponse("\ufeff" + held.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{check.number}.csv"'
    return response


@require_POST
@signed_in
def form_check_request(request: HttpRequest, viewer: Viewer, number: str, resource: str) -> HttpResponse:
    """Begin a request for the chosen items of an entry; what its draft already names stays in it."""
    allowed = check_page.wanted_fields(viewer, number, resource)
    chosen = [name for name in request.POST.getlist("items")[:200] if name in allowed]
    form = request_form(viewer, resource)
    known = {item.item.field: item for item in form.items}
    kept = {name: item.reason for name, item in known.items() if item.chosen}
    items = {**kept, **{name: kept.get(name, "") for name in chosen if name in known}}
    save_draft(
        viewer,
        RequestInput(
            resource=resource,
            mode=form.mode,
            duty=form.duty,
            purpose=form.purpose,
            case_wording=form.case_wording,
            items=items,
            applications=form.chosen_applications,
            accepted_conditions=form.accepted_conditions,
            wanted_until=form.wanted_until,
            renews=form.renews,
        ),
    )
    return redirect(f"{reverse('request_new')}?resource={resource}&step=1")


@require_safe
@signed_in
def collections(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List planned collections; those with an item without a duty can be asked for alone."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    flagged = request.GET.get("show") == "flagged"
    found = plan_page.plan_list(viewer, flagged=flagged, page=page_number(request))
    return show(request, viewer, "pages/onesource_plans.html", {"page": found})


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def collection_new(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Write a planned collection: name the items, see what can be had by sharing, register the rest."""
    if not may_plan(viewer):
        raise NotFound
    if request.method != "POST":
        return _plan_page(request, viewer)
    try:
        given = _plan_given(request.POST)
        if request.POST.get("go") != "register":
            return _plan_page(request, viewer, given)
        number = register_plan(viewer, given)
    except FormRefused as refused:
        return _plan_page(request, viewer, _plan_tried(request.POST), faults_of(refused))
    words = Text(f"{number} 已登记。", f"{number} is registered.")
    return say_done(request, words, "collection", number=number)


@require_safe
@signed_in
def collection(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show a planned collection."""
    found = plan_page.plan_view(viewer, number)
    context = {"plan": found, "sees_proof": sees_proof(viewer, found.department.code)}
    return show(request, viewer, "pages/onesource_plan.html", context, section="collections")


@require_POST
@signed_in
def collection_withdraw(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Take a planned collection back."""
    withdraw_plan(viewer, number)
    words = Text("已撤回，记录保留。", "Taken back; it stays on record.")
    return say_done(request, words, "collection", number=number)


def _form_given(request: HttpRequest) -> FormInput:
    post = request.POST
    file = read_file(request, "file")
    labels = labels_of_file(file) if file is not None else labels_of_text(post.get("text", ""))
    return FormInput(
        title=post.get("title", ""),
        audience=post.get("audience", "")[:20],
        branch=post.get("branch", "")[:3],
        labels=labels,
    )


def _checks_page(request: HttpRequest, viewer: Viewer, faults: Faults | None = None) -> HttpResponse:
    asking = request.GET.get("show") == "asking"
    context = {
        "page": check_page.check_list(viewer, asking=asking, page=page_number(request)),
        "values": request.POST or {"audience": "public"},
        "audiences": list(AUDIENCES.items()),
        "branches": _branches(),
    }
    return show_form(request, viewer, "pages/form_checks.html", context, faults or {})


def _branches() -> list[tuple[str, Text]]:
    return [("", Text("按字段判断", "Judge by the fields")), *vocabulary().subjects.items()]


def _cell(text: str) -> str:
    return f"'{text}" if _UNSAFE_CELL.match(text) else text


def _plan_page(
    request: HttpRequest, viewer: Viewer, given: PlanInput | None = None, faults: Faults | None = None
) -> HttpResponse:
    rows = plan_page.looked_up(look_up(viewer, given.items, given.branch)) if given else ()
    context = {
        "form": plan_page.plan_form(viewer),
        "rows": rows,
        "values": request.POST,
        "branches": _branches(),
        "held": sum(row.held is not None for row in rows),
    }
    template = "pages/onesource_plan_new.html"
    return show_form(request, viewer, template, context, faults or {}, section="collections")


def _plan_given(post: QueryDict) -> PlanInput:
    """Read the items: the rows already looked up, and names newly written."""
    rows = _plan_rows(post)
    written = post.get("names", "")
    more: Labels | None = labels_of_text(written, "names") if written.strip() else None
    duty = read_key(post.get("duty", ""))
    added = tuple(PlannedInput(name, duty) for name in more.names) if more else ()
    if len(rows) + len(added) > MAX_ITEMS:
        added = added[: MAX_ITEMS + 1 - len(rows)]
    return PlanInput(post.get("title", ""), post.get("purpose", ""), post.get("branch", "")[:3], rows + added)


def _plan_tried(post: QueryDict) -> PlanInput | None:
    try:
        return _plan_given(post)
    except FormRefused:
        rows = _plan_rows(post)
        return PlanInput(post.get("title", ""), post.get("purpose", ""), "", rows) if rows else None


def _plan_rows(post: QueryDict) -> tuple[PlannedInput, ...]:
    left_out = set(post.getlist("leave")[:MAX_ITEMS])
    found = []
    for at, name in enumerate(post.getlist("name")[: MAX_ITEMS + 1]):
        if str(at) in left_out:
            continue
        found.append(
            PlannedInput(
                name=name[:200],
                duty=read_key(post.get(f"duty-{at}", "")),
                ground_rank=post.get(f"rank-{at}", "")[:30],
                ground=post.get(f"ground-{at}", ""),
                other=post.get(f"other-{at}", ""),
            )
        )
    return tuple(found)
