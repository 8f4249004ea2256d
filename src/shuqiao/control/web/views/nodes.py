"""Admitting departments' nodes and revoking them."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.exchange import enrolling
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import say_done, say_refused, show_form
from shuqiao.control.web.outside_reading import places
from shuqiao.control.web.reading import faults_of
from shuqiao.control.web.shell import signed_in


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def tokens(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List tokens and make one; its text is shown in this answer and never again."""
    made, faults = "", {}
    if request.method == "POST":
        try:
            made = enrolling.make_token(viewer, request.POST.get("department", "")[:60], places(request).base)
        except FormRefused as refused:
            faults = faults_of(refused)
    page = enrolling.tokens_page(viewer)
    choices = [("", Text("请选择", "Choose")), *((one.code, one.short) for one in page.departments)]
    context = {"page": page, "made": made, "values": request.POST, "choices": choices}
    return show_form(request, viewer, "pages/node_tokens.html", context, faults, section="exchange")


@require_POST
@signed_in
def token_withdraw(request: HttpRequest, viewer: Viewer, key: UUID) -> HttpResponse:
    """Take a token back."""
    if enrolling.withdraw_token(viewer, key):
        messages.success(request, str(Text("令牌已撤回。", "The token is withdrawn.")))
    return redirect("node_tokens")


@require_POST
@signed_in
def node_revoke(request: HttpRequest, viewer: Viewer, department: str) -> HttpResponse:
    """Take a node out of use at once."""
    try:
        is_new = enrolling.revoke_node(viewer, department, request.POST.get("reason", ""))
    except FormRefused as refused:
        return say_refused(request, refused, "node", department=department)
    words = Text(
        "前置机已撤销：其批次即被拒收，连接即被切断。",
        "The node is revoked: its batches are refused and its connection is cut.",
    )
    said = words if is_new else Text("已经是这样。", "It is so already.")
    return say_done(request, said, "node", department=department)
