"""Grants given and received, and ending one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.grants import pages
from shuqiao.control.grants.actions import revoke_grant
from shuqiao.control.texts import Text
from shuqiao.control.web.reading import page_number
from shuqiao.control.web.shell import explain, show, signed_in
from shuqiao.rules.errors import ReasonRequired


@require_safe
@signed_in
def grants(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the grants this department has given or holds."""
    return show(
        request, viewer, "pages/grants.html", {"page": pages.grant_list(viewer, page_number(request))}
    )


@require_safe
@signed_in
def grant(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show one grant with what it allows."""
    return _page(request, viewer, number, {})


@require_POST
@signed_in
def grant_revoke(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """End a grant at once, with a reason."""
    try:
        revoke_grant(viewer, number, request.POST.get("reason", ""))
    except ReasonRequired as error:
        return _page(request, viewer, number, {"reason": explain(error)}, status=422)
    words = Text(
        f"授权 {number} 已停用，自提交时起生效：此后的每次调用都会被拒绝并说明理由。",
        f"Grant {number} has been revoked, effective when this was committed: every later call is refused.",
    )
    messages.success(request, str(words))
    return redirect("grant", number=number)


def _page(
    request: HttpRequest, viewer: Viewer, number: str, faults: dict[str, str], *, status: int = 200
) -> HttpResponse:
    found = pages.grant_page(viewer, number)
    mine = found.consumer.code == viewer.department.code
    return show(
        request, viewer, "pages/grant.html", {"grant": found, "mine": mine, "faults": faults}, status=status
    )
