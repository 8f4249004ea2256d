"""The log as one may see it, the proof of an entry, and the evidence to take away."""

from dataclasses import asdict
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.operations.audit import audit_page, audit_proof
from shuqiao.control.operations.queries import AuditFilters
from shuqiao.control.texts import Text
from shuqiao.control.web.proof_picture import draw
from shuqiao.control.web.reading import read_day
from shuqiao.control.web.shell import is_partial, show, signed_in


@require_safe
@signed_in
def audit(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List entries, newest first, narrowed by the form."""
    page = audit_page(viewer, _filters(request), request.GET.get("before", ""))
    query = request.GET.copy()
    query["before"] = page.next_before
    context = {"page": page, "more": f"?{query.urlencode()}" if page.next_before else ""}
    if is_partial(request):
        return render(request, "pages/audit_rows.html", context)
    resources = [(r.id, Text(r.name_zh, r.name_en)) for r in Resource.objects.order_by("code")]
    return show(request, viewer, "pages/audit.html", {**context, "resources": resources})


@require_safe
@signed_in
def audit_entry(request: HttpRequest, viewer: Viewer, entry: UUID) -> HttpResponse:
    """Show one entry with its proof, computed now."""
    proof = audit_proof(viewer, str(entry))
    return show(request, viewer, "pages/audit_entry.html", {"proof": proof, "picture": draw(proof)})


@require_safe
@signed_in
def evidence(request: HttpRequest, viewer: Viewer, entry: UUID) -> HttpResponse:  # noqa: ARG001
    """Give the evidence as one file that anybody can check without the platform."""
    proof = audit_proof(viewer, str(entry))
    content = {
        "format": "shuqiao-evidence-1",
        "entry": proof.row.id,
        "position": proof.row.position,
        "body": proof.body,
        "salt": proof.salt,
        "digest": proof.digest,
        "leaf_hash": proof.leaf_hash,
        "inclusion": [asdict(sibling) for sibling in proof.path],
        "checkpoint": {
            "size": proof.size,
            "root": proof.root,
            "signed_at": proof.signed_at,
            "key_id": proof.key_id,
        },
    }
    answer = JsonResponse(content, json_dumps_params={"ensure_ascii": False, "indent": 1})
    answer["Content-Disposition"] = f'attachment; filename="shuqiao-evidence-{proof.row.id}.json"'
    return answer


def _filters(request: HttpRequest) -> AuditFilters:
    asked = request.GET
    return AuditFilters(
        since=read_day(asked.get("since", "")),
        until=read_day(asked.get("until", "")),
        department=asked.get("department", "")[:40],
        resource=asked.get("resource", "")[:20],
        event=asked.get("event", "")[:40],
        entry=asked.get("entry", "")[:40],
        case=asked.get("case", "")[:60],
    )
