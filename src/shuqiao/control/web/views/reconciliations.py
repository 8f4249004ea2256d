"""Holding what is shared against its source: the ledger, one result, and what may be done."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.exchange.reconciliations import (
    ReconciliationPage,
    ask_reconciliation,
    reconciliation_page,
    take_step,
)
from shuqiao.control.texts import Text
from shuqiao.control.web.range_picture import draw
from shuqiao.control.web.shell import is_partial, sees_proof, show, signed_in

_DONE = {
    "withdraw": Text("已取消对账。", "The reconciliation is called off."),
    "mend": Text(
        "已请前置机重新发送这些段的数据；入库后可再次对账。",
        "The node is asked to send these ranges again; compare once more when they are merged.",
    ),
}


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def reconciliations(request: HttpRequest, viewer: Viewer, department: str, resource: str) -> HttpResponse:
    """Show the newest reconciliation of an entry and those before; ask for one."""
    if request.method == "POST":
        if ask_reconciliation(viewer, department, resource):
            messages.success(request, str(Text("已发起对账。", "A reconciliation is asked for.")))
        else:
            messages.info(request, str(Text("对账正在进行。", "One is under way already.")))
        return redirect("reconciliations", department=department, resource=resource)
    return _shown(request, viewer, reconciliation_page(viewer, department, resource))


@require_safe
@signed_in
def reconciliation(
    request: HttpRequest, viewer: Viewer, department: str, resource: str, key: UUID
) -> HttpResponse:
    """Show one reconciliation; htmx asks for it again while it is under way."""
    return _shown(request, viewer, reconciliation_page(viewer, department, resource, key))


@require_POST
@signed_in
def reconciliation_step(
    request: HttpRequest, viewer: Viewer, department: str, resource: str, key: UUID, step: str
) -> HttpResponse:
    """Call one off, or have its differing ranges sent again."""
    if take_step(viewer, department, resource, key, step):
        messages.success(request, str(_DONE[step]))
    else:
        messages.info(request, str(Text("已经是这样。", "It is so already.")))
    return redirect("reconciliations", department=department, resource=resource)


def _shown(request: HttpRequest, viewer: Viewer, page: ReconciliationPage) -> HttpResponse:
    context = {
        "page": page,
        "picture": draw(page.shown.ranges, page.shown.differing)
        if page.shown and page.shown.ranges
        else None,
        "proof": sees_proof(viewer, page.department),
    }
    template = "pages/reconciliation_part.html" if is_partial(request) else "pages/reconciliation.html"
    return show(request, viewer, template, context, section="exchange")
