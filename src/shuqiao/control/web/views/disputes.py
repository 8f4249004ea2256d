"""Disputes: the list, one case with its negotiation, its ruling, published results and the project gate."""

from dataclasses import replace

from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.disputes import queries
from shuqiao.control.disputes.access import access_dispute
from shuqiao.control.disputes.actions import bring_dispute, take_step
from shuqiao.control.disputes.case import DisputeCase, dispute_case
from shuqiao.control.disputes.forms import FIELDS, may_apply
from shuqiao.control.disputes.inputs import DisputeInput, StepInput
from shuqiao.control.disputes.rulings import apply_for_ruling
from shuqiao.control.disputes.statements import state_position
from shuqiao.control.disputes.steps import free_kinds, rules_of
from shuqiao.control.organisations.queries import department_refs
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.reading import faults_of, page_number, read_day
from shuqiao.control.web.shell import sees_proof, show, signed_in
from shuqiao.control.web.uploads import read_file
from shuqiao.rules.regulation import PROVIDER

_CASE_PAGES = {"catalogue": "claim", "request": "request_case", "outside": "outside_case"}
_SHARED = {"yes": True, "no": False}
MAX_TEXT = 20000


@require_safe
@signed_in
def disputes(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the disputes the viewer may see, by stage."""
    found = queries.dispute_list(viewer, request.GET.get("state", "")[:40], page_number(request))
    return show(request, viewer, "pages/disputes.html", {"page": found})


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def dispute_new(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Bring a dispute that is tied to no case."""
    if not viewer.can(Capability.DISPUTE_OPEN):
        raise NotFound
    if request.method != "POST":
        return _new(request, viewer, {})
    try:
        number = bring_dispute(viewer, _brought(request, viewer))
    except FormRefused as refused:
        return _new(request, viewer, faults_of(refused))
    words = Text(f"争议 {number} 已提交主管部门协调。", f"Dispute {number} has been brought.")
    return say_done(request, words, "dispute", number=number)


def _new(request: HttpRequest, viewer: Viewer, faults: Faults) -> HttpResponse:
    rules = regulation()
    values = request.POST or request.GET
    kinds = free_kinds(rules)
    others = [one for one in department_refs().values() if one.code != viewer.department.code]
    context = {
        "values": values,
        "kinds": [(kind.key, Text(kind.zh, kind.en), article_ref(kind.article, rules.id)) for kind in kinds],
        "departments": [("", Text("请选择", "Choose")), *((one.code, one.name) for one in others)],
    }
    return show_form(request, viewer, "pages/dispute_new.html", context, faults, section="disputes")


def _brought(request: HttpRequest, viewer: Viewer) -> DisputeInput:
    """Read the form; an entry of the catalogue must be one the viewer sees."""
    posted = request.POST
    given = DisputeInput(
        kind=posted.get("kind", "")[:40],
        case_number="",
        applicant=viewer.department.code,
        respondent=posted.get("respondent", "")[:40],
        resource=posted.get("resource", "").strip()[:30],
        subject=posted.get("subject", "")[:MAX_TEXT],
        reason=posted.get("reason", "")[:MAX_TEXT],
        document=read_file(request, "document"),
    )
    return _with_entry(viewer, given)


def _with_entry(viewer: Viewer, given: DisputeInput) -> DisputeInput:
    """Check the entry, and let whoever is responsible for a datum be the other side (DIS-08)."""
    kind = next((kind for kind in free_kinds(regulation()) if kind.key == given.kind), None)
    settles = kind is not None and kind.decided_by == PROVIDER
    if not given.resource:
        if settles:
            words = Text("请填写数据所在的目录条目", "Give the catalogue entry the datum is in")
            raise FormRefused((Fault("resource", "field_required", words),))
        return given
    try:
        entry = access_resource(viewer, given.resource)
    except NotFound:
        words = Text("目录中没有这个条目", "There is no such entry in the catalogue")
        raise FormRefused((Fault("resource", "entry_unknown", words),)) from None
    return replace(given, respondent=entry.department_id) if settles else given


@require_safe
@signed_in
def dispute(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show one dispute with what the viewer may do in it."""
    return _case(request, viewer, {}, number, "")


def _case(request: HttpRequest, viewer: Viewer, faults: Faults, number: str, action: str) -> HttpResponse:
    """Show a dispute; `action` is the step that was tried, whose fields begin with its name."""
    case = dispute_case(viewer, number)
    found = access_dispute(viewer, number)
    context = {
        "case": case,
        "values": {
            name: request.POST.get(f"{action}-{name}", "") for name in (*FIELDS, "shared", "provided")
        },
        "tried": action,
        "sees_reviews": queries.sees_reviews(viewer),
        "sees_proof": sees_proof(viewer, case.row.applicant.code, case.row.respondent.code),
        "case_href": _case_href(viewer, case),
        "may_apply": may_apply(viewer, found),
        "may_apply_both": rules_of(found).disputes.ruling_applied_by == "both",
    }
    at_fields = {f"{action}-{name}": words for name, words in faults.items()}
    return show_form(request, viewer, "pages/dispute.html", context, at_fields, section="disputes")


@require_POST
@signed_in
@form_of(_case)
def dispute_step(request: HttpRequest, viewer: Viewer, number: str, action: str) -> HttpResponse:
    """Take a step; what is wrong is said at its field, and nothing is lost."""
    take_step(viewer, number, action, _step_input(request, action))
    words = Text("已记录并通知各方，文书已存入案卷。", "Recorded, filed, and all sides have been told.")
    return say_done(request, words, "dispute", number=number)


def _stated_case(request: HttpRequest, viewer: Viewer, faults: Faults, number: str) -> HttpResponse:
    return _case(request, viewer, faults, number, "statement")


@require_POST
@signed_in
@form_of(_stated_case)
def dispute_statement(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Put a party's statement into the case."""
    said = request.POST.get("statement-reason", "")[:MAX_TEXT]
    state_position(viewer, number, said, read_file(request, "statement-document"))
    words = Text(
        "陈述已存入案卷，对方和主管部门已收到通知。", "Your statement is filed; the others have been told."
    )
    return say_done(request, words, "dispute", number=number)


def _step_input(request: HttpRequest, action: str) -> StepInput:
    """Read the fields of one step's form; their names begin with its action."""

    def posted(name: str) -> str:
        return request.POST.get(f"{action}-{name}", "")[:MAX_TEXT]

    return StepInput(
        minutes=posted("minutes"),
        result=posted("result"),
        opinion=posted("opinion"),
        reason=posted("reason"),
        shared=_SHARED.get(posted("shared")),
        decided_on=read_day(posted("decided_on")),
        provided=posted("provided") == "1",
        document=read_file(request, f"{action}-document"),
    )


def _case_href(viewer: Viewer, case: DisputeCase) -> str:
    """The address of the case itself, for whoever may see it: its sides, the co-ordinator, supervision."""
    sides = {case.row.applicant.code, case.row.respondent.code}
    watches = viewer.can(Capability.DISPUTE_COORDINATE) or viewer.can(Capability.AUDIT_VIEW_ALL)
    if viewer.department.code not in sides and not watches:
        return ""
    try:
        return reverse(_CASE_PAGES[case.case_kind], args=[case.case_number])
    except (KeyError, NoReverseMatch):
        return ""


def _ruling_page(request: HttpRequest, viewer: Viewer, faults: Faults, number: str) -> HttpResponse:
    case = dispute_case(viewer, number)
    found = access_dispute(viewer, number)
    application = next((row for row in case.applications if row.action == "apply_ruling"), None)
    context = {
        "case": case,
        "values": request.POST,
        "pdf": application.documents[-1] if application else None,
        "may_apply": may_apply(viewer, found),
        "both": rules_of(found).disputes.ruling_applied_by == "both",
        "who": article_ref(rules_of(found).disputes.ruling_applied_by_article, found.regulation),
    }
    return show_form(request, viewer, "pages/ruling.html", context, faults, section="disputes")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_ruling_page)
def ruling(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Apply for a ruling in writing, and see what has been applied for and ruled."""
    reason = request.POST.get("reason", "")[:MAX_TEXT]
    if apply_for_ruling(viewer, number, reason, read_file(request, "document")):
        words = Text(
            "已书面提请裁定，申请书已生成并存入案卷。", "The ruling has been applied for in writing."
        )
    else:
        words = Text(
            "本单位的申请已记录，待另一方提请后一并送出。", "Recorded; it goes out with the other side's."
        )
    return say_done(request, words, "ruling", number=number)


@require_safe
@signed_in
def results(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the published results of negotiations to everybody who is signed in."""
    found = queries.published_results(page_number(request))
    context = {"page": found, "article": queries.publishing_article()}
    return show(request, viewer, "pages/dispute_results.html", context)


@require_safe
@signed_in
def project_gate(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Look up whether a department's applications for IT projects are accepted in a year."""
    asked = request.GET.get("year", "")
    year = int(asked) if asked.isascii() and asked.isdigit() and len(asked) == 4 else None
    gate = queries.project_gate(viewer, request.GET.get("department", "")[:40], year)
    return show(request, viewer, "pages/project_gate.html", {"gate": gate})
