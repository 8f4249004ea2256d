"""Sources of data: the register, second claims and how they are settled, conflicts of an entry."""

from dataclasses import replace

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.compiling.access import access_compilation
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.onesource import answers, source_page
from shuqiao.control.onesource.claims import Conflict, conflicts
from shuqiao.control.onesource.models import ClaimKind
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.reading import faults_of, page_number, read_day
from shuqiao.control.web.shell import sees_proof, show, signed_in
from shuqiao.control.web.uploads import read_file
from shuqiao.rules.entries import Entry
from shuqiao.rules.onesource import Outcome
from shuqiao.rules.regulation import Phase


@require_safe
@signed_in
def sources(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Look up who is responsible for a datum, with whom, and on which ground."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    asked, shown = request.GET.get("q", ""), request.GET.get("show", "")
    shown = shown if shown in ("contested", "own") else ""
    found = source_page.source_list(viewer, asked, shown, page_number(request))
    return show(request, viewer, "pages/onesource_sources.html", {"page": found})


@require_safe
@signed_in
def claims(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List second claims of and against the viewer's department."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    found = source_page.claim_list(viewer, page_number(request))
    return show(request, viewer, "pages/onesource_claims.html", {"page": found}, section="sources")


@require_safe
@signed_in
def claim(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show a second claim: why both are the same datum, how it was answered, what was decided."""
    return _claim_page(request, viewer, {}, number)


def _claim_page(request: HttpRequest, viewer: Viewer, faults: Faults, number: str) -> HttpResponse:
    shown = source_page.claim_view(viewer, number)
    context = {
        "claim": shown,
        "values": request.POST,
        "leads": [
            (shown.department.code, shown.department.name),
            (shown.holder.code, shown.holder.name),
        ],
        "sees_proof": sees_proof(viewer, shown.department.code, shown.holder.code),
    }
    return show_form(request, viewer, "pages/onesource_claim.html", context, faults, section="sources")


@require_POST
@signed_in
@form_of(_claim_page)
def claim_reply(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Agree to collect a datum jointly, or decline."""
    agree = request.POST.get("go") == "agree"
    answers.answer_joint(viewer, number, agree, request.POST.get("reply", ""))
    return _done(request, number)


@require_POST
@signed_in
def claim_withdraw(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Take an answer back."""
    answers.withdraw_claim(viewer, number)
    return _done(request, number)


@require_POST
@signed_in
@form_of(_claim_page)
def claim_decide(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Record the decision on the source of a datum."""
    given = answers.LeadInput(
        lead=request.POST.get("lead", "")[:40],
        document_no=request.POST.get("document_no", ""),
        decided_on=read_day(request.POST.get("decided_on", "")),
        together=request.POST.get("together") == "yes",
        opinion=request.POST.get("opinion", ""),
        document=read_file(request, "document"),
    )
    answers.record_lead_source(viewer, number, given)
    return _done(request, number)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def entry_conflicts(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show which items of an entry being compiled somebody else already collects, and settle each."""
    case = access_compilation(viewer, number)
    if request.method != "POST":
        return _conflicts_page(request, viewer, case)
    if not _may_answer(viewer, case):
        raise NotFound
    item, resource, field = (request.POST.get(name, "")[:63] for name in ("item", "resource", "field"))
    given = answers.ClaimInput(
        item, resource, field, request.POST.get("kind", "")[:20], request.POST.get("reason", "")
    )
    try:
        made = answers.answer_conflict(viewer, case.resource, _entry(case), given)
    except FormRefused as refused:
        tried = f"{item}:{resource}:{field}"
        return _conflicts_page(request, viewer, case, tried, faults_of(refused))
    words = Text(f"已记录 {made}，对方已收到通知。", f"{made} is recorded.")
    return say_done(request, words, "entry_conflicts", number=number)


def _entry(case: Compilation) -> Entry:
    """The entry as it stands; one that names no department yet is its case's."""
    entry = entry_from(case.content)
    return replace(entry, department=entry.department or case.department_id)


def _may_answer(viewer: Viewer, case: Compilation) -> bool:
    """Whoever may still change the entry answers for it."""
    own = viewer.department.code in (case.department_id, case.compiler.department_id)
    return own and viewer.can(Capability.CATALOGUE_EDIT) and case.phase == Phase.DRAFT


def _conflicts_page(
    request: HttpRequest, viewer: Viewer, case: Compilation, tried: str = "", faults: Faults | None = None
) -> HttpResponse:
    found = conflicts(_entry(case), case.resource)
    may_answer = _may_answer(viewer, case)
    rows = []
    for one in found:
        key = f"{one.item.field}:{one.resource}:{one.field}"
        rows.append(
            {
                "conflict": one,
                "key": key,
                "article": article_ref(one.article),
                "said": Text(one.zh, one.en),
                "because": [Text(why.zh, why.en) for why in one.likeness.because],
                "kinds": _kinds(one) if may_answer and one.answered is None else (),
                "state": _state(one),
                "kind": request.POST.get("kind", "") if tried == key else "",
                "reason": request.POST.get("reason", "") if tried == key else "",
                "faults": faults if tried == key and faults else {},
            }
        )
    context = {
        "case": case,
        "rows": rows,
        "blocking": sum(one.blocks for one in found),
        "may_answer": may_answer,
    }
    template = "pages/onesource_conflicts.html"
    return show_form(request, viewer, template, context, faults or {}, section="sources")


def _kinds(one: Conflict) -> tuple[tuple[str, Text, bool], ...]:
    """The ways to settle a conflict; those the regulation leaves no room for say so."""
    open_to = one.outcome is not Outcome.REFUSED
    return (
        (ClaimKind.OTHER.value, Text("不是同一数据（写明区别）", "Another datum (say how it differs)"), True),
        (ClaimKind.JOINT.value, Text("与对方共同采集", "Collect it jointly with the holder"), open_to),
        (ClaimKind.COORDINATION.value, Text("提请主管部门协调确定来源", "Ask for co-ordination"), open_to),
    )


def _state(one: Conflict) -> Text | None:
    if one.answered is None:
        return None
    states = {key.value: words for key, words in source_page.STATES.items()}
    return states[one.answered.state]


def _done(request: HttpRequest, number: str) -> HttpResponse:
    words = Text("已记录，对方已收到通知。", "Recorded; the other side has been told.")
    return say_done(request, words, "claim", number=number)
