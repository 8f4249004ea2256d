"""Grants given and received, and ending one."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.grants import pages
from shuqiao.control.grants.actions import resume_grant, revoke_grant, suspend_grant
from shuqiao.control.grants.handing_over import HandoverInput, record_handover
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.wording import worded
from shuqiao.control.requests.drafts import start_renewal
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.reading import page_number, read_count, read_moment
from shuqiao.control.web.shell import show, signed_in
from shuqiao.rules.errors import ReasonRequired

UNREADABLE = -1
"""A count that is no number, so that the action refuses it at its field."""


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
    return _grant_page(request, viewer, {}, number)


def _grant_page(request: HttpRequest, viewer: Viewer, faults: Faults, number: str) -> HttpResponse:
    found = pages.grant_page(viewer, number)
    mine = found.consumer.code == viewer.department.code
    # Only some regulations know a provider's consent to passing on what was obtained.
    asks = mine and viewer.can(Capability.REQUEST_SUBMIT) and "publication" in regulation().procedures
    context = {
        "grant": found,
        "mine": mine,
        "may_publish": asks,
        "delivery": pages.delivery(viewer, number),
        "posted": request.POST,
        "now": clock.now().astimezone(clock.LEGAL_ZONE).strftime("%Y-%m-%dT%H:%M"),
    }
    return show_form(request, viewer, "pages/grant.html", context, faults)


@require_POST
@signed_in
def grant_revoke(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """End a grant at once, with a reason."""
    try:
        revoke_grant(viewer, number, request.POST.get("reason", ""))
    except ReasonRequired as error:
        return _grant_page(request, viewer, {"reason": worded(error)}, number)
    words = Text(
        f"授权 {number} 已停用，自提交时起生效：此后的每次调用都会被拒绝并说明理由。",
        f"Grant {number} has been revoked, effective when this was committed: every later call is refused.",
    )
    return say_done(request, words, "grant", number=number)


@require_POST
@signed_in
def grant_suspend(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Stop a grant for the time being, with a reason."""
    try:
        suspend_grant(viewer, number, request.POST.get("pause_reason", ""))
    except ReasonRequired as error:
        return _grant_page(request, viewer, {"pause_reason": worded(error)}, number)
    words = Text(
        f"授权 {number} 已暂停：恢复之前每次调用都会被拒绝并说明理由。",
        f"Grant {number} is suspended: until it is resumed every call is refused with the reason.",
    )
    return say_done(request, words, "grant", number=number)


@require_POST
@signed_in
def grant_resume(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Let a suspended grant be used again."""
    resume_grant(viewer, number)
    words = Text(f"授权 {number} 已恢复，可继续使用。", f"Grant {number} can be used again.")
    return say_done(request, words, "grant", number=number)


@require_POST
@signed_in
def grant_renew(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:  # noqa: ARG001 - a view takes it
    """Begin a request for the continuation of a grant, filled in with what it gives."""
    resource = start_renewal(viewer, number)
    return redirect(f"{reverse('request_new')}?resource={resource}&step=3")


@require_POST
@signed_in
@form_of(_grant_page)
def grant_hand_over(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Record that information was handed over offline under a grant."""
    post = request.POST
    records = post.get("records", "").strip()
    given = HandoverInput(
        handed_over_at=read_moment(post.get("handed_over_at", "")),
        handed_over_by=post.get("handed_over_by", ""),
        receiver=post.get("receiver", ""),
        medium=post.get("medium", ""),
        medium_mark=post.get("medium_mark", ""),
        content=post.get("content", ""),
        records=UNREADABLE if records and read_count(records) is None else read_count(records),
        digest=post.get("digest", "").strip(),
    )
    record_handover(viewer, number, given)
    words = Text("离线交付已登记。", "The handover has been recorded.")
    return say_done(request, words, "grant", number=number)
