"""Watching the exchange, one node, and asking it for something."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.exchange.actions import order_node
from shuqiao.control.exchange.clearances import clearance_page, sign_reviews, withdraw_review
from shuqiao.control.exchange.monitor import monitor_page, node_page
from shuqiao.control.exchange.screening import RuleInput, screening_page, set_rule
from shuqiao.control.texts import Text
from shuqiao.control.updating.pages import cycles_of
from shuqiao.control.web.flow_picture import draw
from shuqiao.control.web.reading import faults_of, read_day
from shuqiao.control.web.shell import is_partial, sees_proof, show, signed_in

_MOST_TEXT = 20_000
_DONE = {
    "pause": Text(
        "已请前置机暂停读取此项；已读取的照常送达。",
        "The node is asked to rest; what it has read still comes.",
    ),
    "resume": Text("已请前置机恢复读取此项。", "The node is asked to go on."),
    "let-through": Text(
        "已放行，前置机将移出这些行。", "Let through: the node tells that these rows are gone."
    ),
    "reload": Text("已请前置机重新全量装载此项。", "The node is asked to load it in full."),
}


@require_safe
@signed_in
def exchange(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show nodes, jobs and the way information takes; htmx asks for the figures again."""
    page = monitor_page(viewer)
    context = {
        "page": page,
        "picture": draw(page.coming, page.going),
        "cycles": cycles_of([job.resource for job in page.jobs]),
    }
    template = "pages/exchange_part.html" if is_partial(request) else "pages/exchange.html"
    return show(request, viewer, template, context, section="exchange")


@require_safe
@signed_in
def node(request: HttpRequest, viewer: Viewer, department: str) -> HttpResponse:
    """Show one node."""
    page = node_page(viewer, department)
    context = {"page": page, "proof": sees_proof(viewer, department)}
    return show(request, viewer, "pages/node.html", context, section="exchange")


@require_POST
@signed_in
def node_order(
    request: HttpRequest, viewer: Viewer, department: str, resource: str, order: str
) -> HttpResponse:
    """Ask a node to rest, to go on or to load in full."""
    shown = request.POST.get("rows", "")[:20]
    try:
        done = order_node(
            viewer, department, resource, order, int(shown) if shown.isdecimal() and shown.isascii() else None
        )
    except FormRefused as refused:
        messages.error(request, str(refused.faults[0].message))
        return redirect("node", department=department)
    if done:
        messages.success(request, str(_DONE[order]))
    else:
        messages.info(request, str(Text("已经是这样。", "It is so already.")))
    return redirect("node", department=department)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def clearances(request: HttpRequest, viewer: Viewer, department: str, resource: str) -> HttpResponse:
    """Show the reviews that must stand before an entry's data are provided, and sign them."""
    page, faults = clearance_page(viewer, department, resource), {}
    if request.method == "POST":
        try:
            sign_reviews(
                viewer,
                department,
                resource,
                tuple(request.POST.getlist("kinds")[:20]),
                request.POST.get("mapping", ""),
                read_day(request.POST.get("until", "")),
            )
        except FormRefused as refused:
            faults = dict(faults_of(refused))
        else:
            words = Text(
                "已签署，等待的批次将自动送达（前置机定时重试，最长15分钟）。",
                "Signed; batches that wait come by themselves: the node tries again within 15 minutes.",
            )
            messages.success(request, str(words))
            return redirect("clearances", department=department, resource=resource)
    context = {
        "page": page,
        "faults": faults,
        "values": request.POST,
        "chosen": request.POST.getlist("kinds"),
    }
    status = 422 if faults else 200
    return show(request, viewer, "pages/clearances.html", context, section="exchange", status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def screening(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the rules of screening, and put a changed one into force."""
    faults, given = {}, request.POST
    if request.method == "POST":
        after = given.get("after", "")
        try:
            version = set_rule(
                viewer,
                RuleInput(
                    key=given.get("key", ""),
                    action=given.get("action", ""),
                    patterns=given.get("patterns", "")[:_MOST_TEXT],
                    only=given.get("only", "")[:_MOST_TEXT],
                    besides=given.get("besides", "")[:_MOST_TEXT],
                    reason=given.get("reason", ""),
                    after=int(after) if after.isascii() and after.isdigit() and len(after) < 10 else -1,
                    zh=given.get("zh", ""),
                    en=given.get("en", ""),
                ),
            )
        except FormRefused as refused:
            faults = dict(faults_of(refused))
        else:
            words = Text(f"第 {version} 版规则已生效。", f"Version {version} of the rules is in force.")
            messages.success(request, str(words))
            return redirect("screening")
    context = {
        "page": screening_page(viewer),
        "faults": faults,
        "values": given,
        "is_new": bool(faults) and not given.get("key"),
    }
    status = 422 if faults else 200
    return show(request, viewer, "pages/screening.html", context, section="exchange", status=status)


@require_POST
@signed_in
def clearance_withdraw(
    request: HttpRequest, viewer: Viewer, department: str, resource: str, key: UUID
) -> HttpResponse:
    """Take a review back."""
    if withdraw_review(viewer, department, resource, key):
        words = Text("已撤回，新的批次留在前置机。", "Taken back; new batches wait at the node.")
        messages.success(request, str(words))
    return redirect("clearances", department=department, resource=resource)
