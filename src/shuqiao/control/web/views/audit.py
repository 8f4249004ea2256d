"""The log as one may see it, the proof of an entry, and the evidence to take away."""

from itertools import groupby
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods, require_safe

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.operations.audit import audit_page, audit_proof
from shuqiao.control.operations.consistency import consistency_proof
from shuqiao.control.operations.delivered import DELIVERIES, delivery_row, is_party, show_delivery
from shuqiao.control.operations.queries import AuditFilters
from shuqiao.control.operations.subjects import SubjectSearch, search_subject, subject_fields
from shuqiao.control.web.evidence import evidence_of
from shuqiao.control.web.proof_picture import draw
from shuqiao.control.web.reading import read_day
from shuqiao.control.web.shell import show, signed_in

MAX_POSITION_CHARS = 80


@require_safe
@signed_in
def audit(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List entries, newest first and day by day, narrowed by the form."""
    filters, before = _filters(request), request.GET.get("before", "")[:MAX_POSITION_CHARS]
    page = audit_page(viewer, filters, before)
    days = [(day, list(rows)) for day, rows in groupby(page.rows, lambda row: clock.legal_day(row.at))]
    context = {
        "page": page,
        "days": days,
        "earlier": _address(request, page.next_before) if page.next_before else "",
        "newest": _address(request, "") if before else "",
        "filtered": filters != AuditFilters(),
        "sees_all": viewer.can(Capability.AUDIT_VIEW_ALL),
        "resources": [(r.id, r.name) for r in Resource.objects.order_by("code")],
    }
    return show(request, viewer, "pages/audit.html", context)


@require_safe
@signed_in
def audit_entry(request: HttpRequest, viewer: Viewer, entry: UUID) -> HttpResponse:
    """Show one entry with its proof, computed now."""
    proof = audit_proof(viewer, str(entry))
    may_look = (
        proof.row.event in DELIVERIES and proof.row.outcome == "answered" and is_party(viewer, proof.row.id)
    )
    context = {"proof": proof, "picture": draw(proof), "may_look": may_look}
    return show(request, viewer, "pages/audit_entry.html", context, section="audit")


@require_safe
@signed_in
def evidence(_request: HttpRequest, viewer: Viewer, entry: UUID) -> HttpResponse:
    """Give the evidence as one file that anybody can check without the platform."""
    proof = audit_proof(viewer, str(entry))
    answer = JsonResponse(evidence_of(proof, viewer), json_dumps_params={"ensure_ascii": False, "indent": 1})
    answer["Content-Disposition"] = f'attachment; filename="shuqiao-evidence-{proof.row.id}.json"'
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def delivered(request: HttpRequest, viewer: Viewer, entry: UUID) -> HttpResponse:
    """Show what was delivered with a call, to its two departments, for a reason."""
    context: dict[str, object] = {"row": delivery_row(viewer, str(entry))}
    if request.method == "POST":
        try:
            context["delivery"] = show_delivery(viewer, str(entry), request.POST.get("reason", "")[:1000])
        except FormRefused as refused:
            context["fault"] = refused.faults[0].message
    answer = show(request, viewer, "pages/delivered.html", context, section="audit")
    answer["Cache-Control"] = "no-store"
    return answer


@require_safe
@signed_in
def consistency(request: HttpRequest, viewer: Viewer, older: int) -> HttpResponse:
    """Give the proof that the log of so many entries begins today's, or that of `newer` entries."""
    newer = request.GET.get("newer", "")
    if newer and not (newer.isascii() and newer.isdigit() and len(newer) < 19):
        raise NotFound
    document = consistency_proof(viewer, min(older, 2**62), int(newer) if newer else None)
    answer = JsonResponse(document, json_dumps_params={"indent": 1})
    answer["Content-Disposition"] = f'attachment; filename="shuqiao-consistency-{older}.json"'
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def subject(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Find the uses of the information about one person or body; its name is never in an address."""
    context: dict[str, object] = {"fields": subject_fields(viewer), "search": SubjectSearch(), "faults": {}}
    if request.method == "POST":
        asked = request.POST
        search = SubjectSearch(
            _words(asked.get("field", ""), 90),
            _words(asked.get("name", ""), 128),
            _words(asked.get("reason", ""), 300),
            read_day(asked.get("since", "")),
            read_day(asked.get("until", "")),
        )
        context["search"] = search
        try:
            uses = search_subject(viewer, search)
        except FormRefused as refused:
            context["faults"] = {fault.field: fault.message for fault in refused.faults}
        else:
            context["uses"] = uses
            context["days"] = [
                (day, list(rows)) for day, rows in groupby(uses.rows, lambda row: clock.legal_day(row.at))
            ]
    answer = show(request, viewer, "pages/audit_subject.html", context, section="audit")
    answer["Cache-Control"] = "no-store"
    return answer


def _address(request: HttpRequest, before: str) -> str:
    query = request.GET.copy()
    query.pop("before", None)
    if before:
        query["before"] = before
    return f"?{query.urlencode()}"


def _filters(request: HttpRequest) -> AuditFilters:
    asked = request.GET
    return AuditFilters(
        since=read_day(asked.get("since", "")),
        until=read_day(asked.get("until", "")),
        department=_words(asked.get("department", ""), 40),
        resource=_words(asked.get("resource", ""), 20),
        event=_words(asked.get("event", ""), 40),
        entry=_words(asked.get("entry", ""), 40),
        case=_words(asked.get("case", ""), 60),
        actor=_words(asked.get("actor", ""), 200),
    )


def _words(text: str, most: int) -> str:
    """Bound what a browser sends; the database takes no NUL."""
    return text.replace("\x00", "").strip()[:most]
