"""What readers keep of the catalogue: searches and entries they are told of."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.finding.actions import (
    follow_entry,
    forget_search,
    leave_entry,
    save_search,
    watch_search,
)
from shuqiao.control.finding.queries import following
from shuqiao.control.texts import Text
from shuqiao.control.web.reading import faults_of
from shuqiao.control.web.shell import show, signed_in
from shuqiao.control.web.views.catalogue import asked_in

MAX_ADDRESS_CHARS = 2_000


@require_safe
@signed_in
def followed(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show saved searches and followed entries."""
    return show(request, viewer, "pages/following.html", {"page": following(viewer)})


@require_POST
@signed_in
def search_save(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Keep the search whose address the form gives, under a name."""
    asked = asked_in(QueryDict(request.POST.get("search", "")[:MAX_ADDRESS_CHARS]))
    try:
        save_search(viewer, request.POST.get("name", "")[:200], asked, watched="watched" in request.POST)
    except FormRefused as refused:
        context = {"page": following(viewer), "faults": dict(faults_of(refused))}
        return show(request, viewer, "pages/following.html", context, status=422)
    messages.success(request, str(Text("检索已保存。", "The search is kept.")))
    return redirect("following")


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
    messages.success(request, str(Text("检索已删除。", "The search is dropped.")))
    return redirect("following")


@require_POST
@signed_in
def entry_follow(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Be told of changes of an entry."""
    try:
        follow_entry(viewer, resource)
    except FormRefused as refused:
        context = {"page": following(viewer), "faults": dict(faults_of(refused))}
        return show(request, viewer, "pages/following.html", context, status=422)
    messages.success(request, str(Text("已订阅，有变更时通知你。", "You will be told of changes.")))
    return redirect("entry", resource=resource)


@require_POST
@signed_in
def entry_leave(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """No longer be told of an entry."""
    leave_entry(viewer, resource)
    messages.success(request, str(Text("已取消订阅。", "You no longer follow it.")))
    return redirect("following")
