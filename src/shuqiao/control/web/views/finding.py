"""What readers keep of the catalogue: searches and entries they are told of."""

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.finding.actions import (
    follow_entry,
    forget_search,
    leave_entry,
    save_search,
    watch_search,
)
from shuqiao.control.finding.queries import following
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.shell import signed_in
from shuqiao.control.web.views.catalogue import asked_in

MAX_ADDRESS_CHARS = 2_000


@require_safe
@signed_in
def followed(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show saved searches and followed entries."""
    return _following_page(request, viewer, {})


def _following_page(
    request: HttpRequest, viewer: Viewer, faults: Faults, *_args: Any, **_names: Any
) -> HttpResponse:
    return show_form(request, viewer, "pages/following.html", {"page": following(viewer)}, faults)


@require_POST
@signed_in
@form_of(_following_page)
def search_save(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Keep the search whose address the form gives, under a name."""
    asked = asked_in(QueryDict(request.POST.get("search", "")[:MAX_ADDRESS_CHARS]))
    save_search(viewer, request.POST.get("name", "")[:200], asked, watched="watched" in request.POST)
    return say_done(request, Text("检索已保存。", "The search is kept."), "following")


@require_POST
@signed_in
def search_watch(request: HttpRequest, viewer: Viewer, key: int) -> HttpResponse:
    """Begin or end to be told of changes among the results of a search."""
    watch_search(viewer, key, watched=request.POST.get("watched") == "1")
    return redirect("following")


@require_POST
@signed_in
def search_forget(request: HttpRequest, viewer: Viewer, key: int) -> HttpResponse:
    """Drop a search."""
    forget_search(viewer, key)
    return say_done(request, Text("检索已删除。", "The search is dropped."), "following")


@require_POST
@signed_in
@form_of(_following_page)
def entry_follow(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Be told of changes of an entry."""
    follow_entry(viewer, resource)
    words = Text("已订阅，有变更时通知你。", "You will be told of changes.")
    return say_done(request, words, "entry", resource=resource)


@require_POST
@signed_in
def entry_leave(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """No longer be told of an entry."""
    leave_entry(viewer, resource)
    return say_done(request, Text("已取消订阅。", "You no longer follow it."), "following")
