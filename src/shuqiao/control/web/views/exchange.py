"""Watching the exchange, one node, and asking it for something."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
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
from shuqiao.control.web.forms import Faults, form_of, say_done, say_refused, show_form
from shuqiao.control.web.reading import read_day
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
    rows = int(shown) if shown.isdecimal() and shown.isascii() else None
    try:
        is_new = order_node(viewer, department, resource, order, rows)
    except FormRefused as refused:
        return say_refused(request, refused, "node", department=department)
    if is_new:
        return say_done(request, _DONE[order], "node", department=department)
    messages.info(request, str(Text("已经是这样。", "It is so already.")))
    return redirect("node", department=department)


def _clearances_page(
    request: HttpRequest, viewer: Viewer, faults: Faults, department: str, resource: str
) -> HttpResponse:
    page = clearance_page(viewer, department, resource)
    context = {"page": page, "values": request.POST, "chosen": request.POST.getlist("kinds")}
    return show_form(request, viewer, "pages/clearances.html", context, faults, section="exchange")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_clearances_page)
def clearances(request: HttpRequest, viewer: Viewer, department: str, resource: str) -> HttpResponse:
    """Show the reviews that must stand before an entry's data are provided, and sign them."""
    sign_reviews(
        viewer,
        department,
        resource,
        tuple(request.POST.getlist("kinds")[:20]),
        request.POST.get("mapping", ""),
        read_day(request.POST.get("until", "")),
    )
    words = Text(
        "已签署，等待的批次将自动送达（前置机定时重试，最长15分钟）。",
        "Signed; batches that wait come by themselves: the node tries again within 15 minutes.",
    )
    return say_done(request, words, "clearances", department=department, resource=resource)


def _screening_page(request: HttpRequest, viewer: Viewer, faults: Faults) -> HttpResponse:
    is_new = bool(faults) and not request.POST.get("key")
    context = {"page": screening_page(viewer), "values": request.POST, "is_new": is_new}
    return show_form(request, viewer, "pages/screening.html", context, faults, section="exchange")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_screening_page)
def screening(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the rules of screening, and put a changed one into force."""
    version = set_rule(viewer, _rule(request.POST))
    words = Text(f"第 {version} 版规则已生效。", f"Version {version} of the rules is in force.")
    return say_done(request, words, "screening")


def _rule(post: QueryDict) -> RuleInput:
    after = post.get("after", "")
    return RuleInput(
        key=post.get("key", ""),
        action=post.get("action", ""),
        patterns=post.get("patterns", "")[:_MOST_TEXT],
        only=post.get("only", "")[:_MOST_TEXT],
        besides=post.get("besides", "")[:_MOST_TEXT],
        reason=post.get("reason", ""),
        after=int(after) if after.isascii() and after.isdigit() and len(after) < 10 else -1,
        zh=post.get("zh", ""),
        en=post.get("en", ""),
    )


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
