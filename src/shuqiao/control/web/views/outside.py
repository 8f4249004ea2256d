"""Requests for information outside the catalogue, and requests to pass on or publish what was obtained."""

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.outside import actions, pages
from shuqiao.control.outside.inputs import OutsideInput, PublicationInput
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, say_done, show_form
from shuqiao.control.web.reading import faults_of, page_number, read_key
from shuqiao.control.web.shell import sees_proof, show, signed_in

MAX_ITEMS = 200
_CASES = {"outside": "outside_case", "publication": "publication_case"}
_VIEWS = {"outside": pages.outside_case, "publication": pages.publication_case}
_LISTS = {"outside": "outside", "publication": "publications"}


@require_safe
@signed_in
def outside(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List requests outside the catalogue, by side."""
    received = _received(request, viewer)
    found = pages.outside_list(viewer, received=received, page=page_number(request))
    return show(request, viewer, "pages/outside_cases.html", _list_context(viewer, found, "outside"))


@require_safe
@signed_in
def publications(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List requests to publish, by side."""
    received = _received(request, viewer)
    found = pages.publication_list(viewer, received=received, page=page_number(request))
    return show(request, viewer, "pages/outside_cases.html", _list_context(viewer, found, "publication"))


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def outside_new(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Write a request outside the catalogue: keep the draft, or send it to the presumed holder."""
    form = pages.outside_form(viewer, read_key(request.GET.get("draft", "")))
    if request.method != "POST":
        return _outside_page(request, viewer, form)
    given = _outside_given(form, request.POST)
    try:
        if request.POST.get("go") == "submit":
            return _sent(request, "outside", actions.submit_outside(viewer, given))
        key = actions.save_outside(viewer, given)
    except FormRefused as refused:
        return _outside_page(request, viewer, form, faults_of(refused))
    words = Text("草稿已保存。", "The draft is saved.")
    return say_done(request, words, f"{reverse('outside_new')}?draft={key}")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def publication_new(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Write a request to publish what a grant gives: keep the draft, or send it to the provider."""
    grant = request.GET.get("grant", "")[:20]
    form = pages.publication_form(viewer, grant, read_key(request.GET.get("draft", "")))
    if request.method != "POST":
        return _publication_page(request, viewer, form)
    given = _publication_given(form, request.POST)
    try:
        if request.POST.get("go") == "submit":
            return _sent(request, "publication", actions.submit_publication(viewer, given))
        key = actions.save_publication(viewer, given)
    except FormRefused as refused:
        return _publication_page(request, viewer, form, faults_of(refused))
    words = Text("草稿已保存。", "The draft is saved.")
    return say_done(request, words, f"{reverse('publication_new')}?grant={form.grant}&draft={key}")


@require_POST
@signed_in
def draft_discard(request: HttpRequest, viewer: Viewer, kind: str, key: int) -> HttpResponse:
    """Throw a draft away."""
    if kind not in _LISTS:
        raise NotFound
    actions.discard_draft(viewer, kind, key)
    return say_done(request, Text("草稿已删除。", "The draft is gone."), _LISTS[kind])


@require_safe
@signed_in
def outside_case(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show a request outside the catalogue with its negotiation."""
    return _case_page(request, viewer, pages.outside_case(viewer, number))


@require_safe
@signed_in
def publication_case(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show a request to publish with the provider's decision and what was published."""
    return _case_page(request, viewer, pages.publication_case(viewer, number))


@require_POST
@signed_in
def case_step(request: HttpRequest, viewer: Viewer, kind: str, number: str, action: str) -> HttpResponse:
    """Take a step of a case; what is missing is said at its field, and nothing is lost."""
    if kind not in _CASES:
        raise NotFound
    given = {key: request.POST.get(key, "") for key in pages.WORDS}
    try:
        actions.take_step(viewer, kind, number, action, given)
    except FormRefused as refused:
        case = _VIEWS[kind](viewer, number)
        faults = {f"{action}-{name}": said for name, said in faults_of(refused).items()}
        return _case_page(request, viewer, case, action, faults)
    words = Text("已办理，对方已收到通知。", "Done; the other side has been told.")
    return say_done(request, words, _CASES[kind], number=number)


@require_POST
@signed_in
def outside_talk(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Keep a record of the direct negotiation."""
    try:
        actions.record_talk(viewer, number, request.POST.get("minutes", ""))
    except FormRefused as refused:
        case = pages.outside_case(viewer, number)
        return _case_page(request, viewer, case, actions.MINUTES, faults_of(refused))
    words = Text("协商记录已保存，双方可见。", "The record is kept; both sides see it.")
    return say_done(request, words, "outside_case", number=number)


@require_POST
@signed_in
def outside_amend(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Bring a demand up to date while its holder has not answered."""
    try:
        actions.amend_demand(viewer, number, request.POST.get("wanted", ""), request.POST.get("purpose", ""))
    except FormRefused as refused:
        case = pages.outside_case(viewer, number)
        return _case_page(request, viewer, case, actions.AMENDED, faults_of(refused))
    words = Text("需求已更新，对方已收到通知。", "The demand is up to date.")
    return say_done(request, words, "outside_case", number=number)


def _received(request: HttpRequest, viewer: Viewer) -> bool:
    """Read which side is asked for; who only answers begins with what was asked of them."""
    side = request.GET.get("side", "")
    if side in ("made", "received"):
        return side == "received"
    return viewer.can(Capability.REQUEST_ANSWER) and not viewer.can(Capability.REQUEST_SUBMIT)


def _list_context(viewer: Viewer, found: pages.CaseList, kind: str) -> dict[str, object]:
    return {
        "page": found,
        "kind": kind,
        "case": _CASES[kind],
        "may_ask": viewer.can(Capability.REQUEST_SUBMIT),
        "may_answer": viewer.can(Capability.REQUEST_ANSWER) or viewer.can(Capability.AUDIT_VIEW),
    }


def _outside_page(
    request: HttpRequest, viewer: Viewer, form: pages.DraftForm, faults: Faults | None = None
) -> HttpResponse:
    draft = form.draft
    values = request.POST or {
        "holder": draft.provider_id if draft else "",
        "wanted": draft.wanted if draft else "",
        "duty": str(draft.duty_id or "") if draft else "",
        "purpose": draft.purpose if draft else "",
    }
    context = {
        "form": form,
        "values": values,
        "holders": [("", Text("请选择", "Choose")), *((one.code, one.name) for one in form.holders)],
        "duties": [(str(one.pk), Text(one.text_zh, one.text_en), one.ground) for one in form.duties],
    }
    return show_form(request, viewer, "pages/outside_new.html", context, faults or {}, section="outside")


def _publication_page(
    request: HttpRequest, viewer: Viewer, form: pages.PublicationForm, faults: Faults | None = None
) -> HttpResponse:
    draft = form.draft
    posted = request.POST
    kept = {name: getattr(draft, name, "") for name in ("content", "audience", "channel", "purpose")}
    context = {
        "form": form,
        "values": posted or kept,
        "chosen": posted.getlist("fields") if posted else (draft.fields if draft else []),
    }
    template = "pages/publication_new.html"
    return show_form(request, viewer, template, context, faults or {}, section="publications")


def _case_page(
    request: HttpRequest,
    viewer: Viewer,
    case: pages.CaseView,
    tried: str = "",
    faults: Faults | None = None,
) -> HttpResponse:
    context = {
        "case": case,
        "tried": tried,
        "values": request.POST if tried else {},
        "cases": _LISTS[case.kind],
        "sees_proof": sees_proof(viewer, case.requester.code, case.provider.code),
    }
    section = _LISTS[case.kind]
    return show_form(request, viewer, "pages/outside_case.html", context, faults or {}, section=section)


def _sent(request: HttpRequest, kind: str, number: str) -> HttpResponse:
    words = Text(f"{number} 已送达对方。", f"{number} has been sent.")
    return say_done(request, words, _CASES[kind], number=number)


def _outside_given(form: pages.DraftForm, post: QueryDict) -> OutsideInput:
    return OutsideInput(
        holder=post.get("holder", "")[:40],
        wanted=post.get("wanted", ""),
        duty=read_key(post.get("duty", "")),
        purpose=post.get("purpose", ""),
        draft=form.draft.pk if form.draft else None,
    )


def _publication_given(form: pages.PublicationForm, post: QueryDict) -> PublicationInput:
    return PublicationInput(
        grant=form.grant,
        fields=tuple(post.getlist("fields")[:MAX_ITEMS]),
        content=post.get("content", ""),
        audience=post.get("audience", ""),
        channel=post.get("channel", ""),
        purpose=post.get("purpose", ""),
        draft=form.draft.pk if form.draft else None,
    )
