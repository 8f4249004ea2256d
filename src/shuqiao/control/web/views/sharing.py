"""Saying how an entry, or one of its items, is shared, and recording the leading group's ruling."""

from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_http_methods, require_POST

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.catalogue.classifying import (
    ChoiceInput,
    RulingInput,
    choose_share_type,
    follow_entry,
    rule_open,
)
from shuqiao.control.catalogue.sharing_page import SharingPage, sharing_page
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, say_done, show_form
from shuqiao.control.web.reading import faults_of, read_day
from shuqiao.control.web.shell import sees_proof, signed_in
from shuqiao.rules.sharing import Choice

MAX_CHOSEN = 200


@require_http_methods(["GET", "POST"])
@signed_in
def share_type(request: HttpRequest, viewer: Viewer, resource: str, item: str = "") -> HttpResponse:
    """Show how an entry or item is shared, and take another choice from its department."""
    page = sharing_page(viewer, resource, item)
    if request.method == "GET":
        return _page(request, viewer, page, page.choice)
    choice = _choice(request.POST)
    try:
        choose_share_type(viewer, ChoiceInput(resource, item, _version(request.POST), choice))
    except FormRefused as refused:
        return _page(request, viewer, page, choice, faults_of(refused))
    words = Text("共享类型已更新，目录已升版。", "The share type is in force.")
    return say_done(request, words, "share_type", resource=resource)


@require_POST
@signed_in
def share_as_entry(request: HttpRequest, viewer: Viewer, resource: str, item: str) -> HttpResponse:
    """Let an item be shared as its entry is."""
    follow_entry(viewer, resource, item, _version(request.POST))
    words = Text("该信息项改随条目共享。", "The item is shared as its entry again.")
    return say_done(request, words, "share_type", resource=resource)


@require_POST
@signed_in
def share_ruling(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Record that the leading group has ruled an entry open to all."""
    given = RulingInput(
        resource,
        _version(request.POST),
        request.POST.get("document", ""),
        read_day(request.POST.get("decided_on", "")),
    )
    try:
        rule_open(viewer, given)
    except FormRefused as refused:
        page = sharing_page(viewer, resource)
        return _page(request, viewer, page, page.choice, faults_of(refused), request.POST)
    words = Text("核定已记录并生效。", "The ruling is recorded and in force.")
    return say_done(request, words, "share_type", resource=resource)


def _page(
    request: HttpRequest,
    viewer: Viewer,
    page: SharingPage,
    choice: Choice,
    faults: Faults | None = None,
    values: QueryDict | None = None,
) -> HttpResponse:
    context = {
        "page": page,
        "choice": choice,
        "values": values or {},
        "sees_proof": sees_proof(viewer, page.provider),
        "ranks": [("", Text("请选择", "Choose")), *page.ranks],
    }
    return show_form(request, viewer, "pages/share_type.html", context, faults or {}, section="catalogue")


def _choice(post: QueryDict) -> Choice:
    return Choice(
        share_type=post.get("share_type", "")[:63],
        ground=post.get("ground", ""),
        ground_rank=post.get("ground_rank", "")[:63],
        conditions=post.get("conditions", ""),
        departments=frozenset(post.getlist("departments")[:MAX_CHOSEN]),
        relations=frozenset(post.getlist("relations")[:MAX_CHOSEN]),
    )


def _version(post: QueryDict) -> int:
    """Read the version a form was made from; anything else is no version there is."""
    text = post.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
