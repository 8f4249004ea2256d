"""Feeds with their parts and receipts, and recalls of copies."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.exchange import subscriptions
from shuqiao.control.recalls import pages
from shuqiao.control.recalls.receipts import Stated, state_deletion
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.reading import page_number
from shuqiao.control.web.shell import sees_proof, show, signed_in

SECTION = "feeds"
_STEPS = {"end": True, "restart": False}
_DONE = {
    "end": Text("已结束订阅，平台不再给出数据。", "The feed is ended; nothing more is given."),
    "restart": Text(
        "已重新开始：前置机将先取得一份全量，再接收变化。",
        "Begun anew: the node fetches everything, then the changes.",
    ),
}


@require_safe
@signed_in
def feeds(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List feeds."""
    context = {"page": subscriptions.feed_list(viewer, page_number(request)), "tab": "feeds"}
    return show(request, viewer, "pages/feeds.html", context, section=SECTION)


@require_safe
@signed_in
def feed(request: HttpRequest, viewer: Viewer, key: UUID) -> HttpResponse:
    """Show one feed: its parts and the consumer's receipts."""
    page = subscriptions.feed_page(viewer, key)
    proof = sees_proof(viewer, page.row.consumer.code, page.row.provider.code)
    return show(request, viewer, "pages/feed.html", {"page": page, "proof": proof}, section=SECTION)


@require_POST
@signed_in
def feed_step(request: HttpRequest, viewer: Viewer, key: UUID, step: str) -> HttpResponse:
    """End a feed of one's own department, or have it begin anew."""
    if step not in _STEPS:
        raise NotFound
    if subscriptions.end_feed(viewer, key, rests=_STEPS[step]):
        messages.success(request, str(_DONE[step]))
    else:
        messages.info(request, str(Text("已经是这样。", "It is so already.")))
    return redirect("feed", key=key)


@require_safe
@signed_in
def recalls(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List recalls of copies."""
    context = {"page": pages.recall_list(viewer, page_number(request)), "tab": "recalls"}
    return show(request, viewer, "pages/recalls.html", context, section=SECTION)


def _recall_page(request: HttpRequest, viewer: Viewer, faults: Faults, number: str) -> HttpResponse:
    page = pages.recall_page(viewer, number)
    proof = sees_proof(viewer, page.row.holder.code, page.row.provider.code)
    context = {"page": page, "values": request.POST, "proof": proof}
    return show_form(request, viewer, "pages/recall.html", context, faults, section=SECTION)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_recall_page)
def recall(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show one recall; a named person of the holder states that everything is deleted."""
    given = Stated(request.POST.get("confirmed") == "yes", request.POST.get("note", ""))
    state_deletion(viewer, number, given)
    words = Text("回执已签署并留痕。", "The receipt is kept and recorded.")
    return say_done(request, words, "recall", number=number)
