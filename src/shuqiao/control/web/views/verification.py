"""Verifying what a person says: a word per item and nothing else."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.grants import pages
from shuqiao.control.grants.queries import GrantItem, VerificationPage
from shuqiao.control.grants.verification import CallRefused, verify_through_plane
from shuqiao.control.operations.audit import audit_proof, may_read_audit
from shuqiao.control.operations.queries import AuditProof
from shuqiao.control.texts import Text
from shuqiao.control.web.shell import is_partial, show, signed_in
from shuqiao.control.web.verification_result import (
    Asked,
    Result,
    answered,
    faults_in,
    mask,
    missing,
    refused,
)
from shuqiao.rules.errors import PermissionDenied

MAX_VALUE_CHARS = 200
_EMPTY_CHOICE = ("", "—")


@require_safe
@signed_in
def start(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Go to the only grant one can verify under, or let the clerk choose."""
    if not viewer.can(Capability.GRANT_USE):
        raise PermissionDenied(action=str(Text("核验", "Verify")))
    usable = pages.usable_grants(viewer)
    if len(usable) == 1:
        return redirect("verify", grant=usable[0].number)
    return show(request, viewer, "pages/verify_start.html", {"grants": usable})


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def verify(request: HttpRequest, viewer: Viewer, grant: str) -> HttpResponse:
    """Ask for what a person says and show whether the record agrees; values are compared, never kept."""
    try:
        page = pages.verification_page(viewer, grant)
    except NotFound:
        return _ended(request, viewer, grant)
    if request.method != "POST":
        context = {"page": page, "inputs": _inputs(page), "values": {}}
        return show(request, viewer, "pages/verify.html", context, section="verify_start")
    values = {name: request.POST.get(name, "").strip()[:MAX_VALUE_CHARS] for name in _names(page)}
    context = {"page": page, "inputs": _inputs(page), "values": values, "faults": missing(page, values)}
    status = 422
    if not context["faults"]:
        result = _ask(viewer, page, values)
        status = result.status
        context |= {
            # The list of today's calls now holds this one too.
            "page": _as_it_is_now(viewer, page),
            "result": result,
            "faults": faults_in(result, page),
            "recorded": _recorded(viewer, result.entry),
        }
    if is_partial(request):
        # htmx swaps the card; a refusal is told in it, so the answer itself is a success.
        return render(request, "pages/verify_part.html", {**context, "viewer": viewer})
    return show(request, viewer, "pages/verify.html", context, status=status, section="verify_start")


def _ended(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Tell whoever holds the grant that it has ended and why; for anybody else it isn't there."""
    context = {"grant": pages.grant_page(viewer, number)}
    if is_partial(request):
        return render(request, "pages/verify_ended_part.html", context)
    return show(request, viewer, "pages/verify_ended.html", context, status=403, section="verify_start")


def _as_it_is_now(viewer: Viewer, page: VerificationPage) -> VerificationPage:
    """Read the page again; a grant that ended meanwhile leaves it as it was, beside the refusal."""
    try:
        return pages.verification_page(viewer, page.grant.number)
    except NotFound:
        return page


def _names(page: VerificationPage) -> list[str]:
    return ["subject", "case", *(claim.field for claim in page.claims)]


def _inputs(page: VerificationPage) -> list[tuple[GrantItem, str, tuple[tuple[str, str], ...]]]:
    """Choose how each item is asked for: coded values from a list, the rest as text."""
    return [
        (claim, "select", (_EMPTY_CHOICE, *claim.codes)) if claim.codes else (claim, "text", ())
        for claim in page.claims
    ]


def _ask(viewer: Viewer, page: VerificationPage, values: dict[str, str]) -> Result:
    claims = {claim.field: values[claim.field] for claim in page.claims if values[claim.field]}
    asked = tuple(claim for claim in page.claims if claim.field in claims)
    call = Asked(asked, page.grant.match == "all", mask(values["subject"]), values["case"])
    try:
        answer = verify_through_plane(viewer, page.grant.number, values["subject"], claims, values["case"])
    except CallRefused as error:
        return refused(error, call)
    return answered(answer, call)


def _recorded(viewer: Viewer, entry: str | None) -> AuditProof | None:
    """Read back what the log holds of the call, where the viewer's role may read it."""
    if entry is None or not may_read_audit(viewer):
        return None
    try:
        return audit_proof(viewer, entry)
    except NotFound:
        return None
