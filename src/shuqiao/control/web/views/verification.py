"""Verifying what a person says: a word per item and nothing else."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.grants import pages
from shuqiao.control.grants.queries import GrantItem, VerificationPage
from shuqiao.control.grants.verification import CallRefused, Verification, verify_through_plane
from shuqiao.control.texts import Text
from shuqiao.control.web.shell import is_partial, show, signed_in
from shuqiao.rules.errors import PermissionDenied

MAX_VALUE_CHARS = 200


@dataclass(frozen=True)
class Result:
    """What the result card shows: an answer, or why there is none."""

    answer: Verification | None
    refused: CallRefused | None
    matched: bool
    rows: tuple[tuple[Text, bool | None], ...]
    subject: str
    case: str

    @property
    def entry(self) -> str | None:
        """The audit entry of the call, also of a refused one."""
        if self.answer:
            return self.answer.entry
        return self.refused.entry if self.refused else None


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
        return show(request, viewer, "pages/verify.html", {"page": page, "values": {}})
    values = {name: request.POST.get(name, "").strip()[:MAX_VALUE_CHARS] for name in _names(page)}
    faults = _missing(page, values)
    context = {"values": values, "faults": faults}
    status = 422
    if not faults:
        context["result"], status = _ask(viewer, page, values)
        # The list of today's calls holds this one too.
        page = pages.verification_page(viewer, grant)
    context["page"] = page
    if is_partial(request):
        # htmx swaps the card; a refusal is told in it, so the answer itself is a success.
        return render(request, "pages/verify_answer.html", context)
    return show(request, viewer, "pages/verify.html", context, status=status)


def _ended(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Tell whoever holds the grant that it has ended and why; for anybody else it isn't there."""
    context = {"grant": pages.grant_page(viewer, number)}
    if is_partial(request):
        return render(request, "pages/verify_ended_part.html", context)
    return show(request, viewer, "pages/verify_ended.html", context, status=403)


def _names(page: VerificationPage) -> list[str]:
    return ["subject", "case", *(claim.field for claim in page.claims)]


def _missing(page: VerificationPage, values: dict[str, str]) -> dict[str, Text]:
    faults = {}
    if not values["subject"]:
        faults["subject"] = Text(f"请填写{page.subject.name.zh}。", f"Enter {page.subject.name.en}.")
    if page.case_required and not values["case"]:
        faults["case"] = Text("请填写办件编号，说明为何而查。", "Enter the case number: why it is asked.")
    if not any(values[claim.field] for claim in page.claims):
        first = page.claims[0]
        faults[first.field] = Text("请至少填写一项要核对的内容。", "Enter at least one thing to compare.")
    return faults


def _ask(viewer: Viewer, page: VerificationPage, values: dict[str, str]) -> tuple[Result, int]:
    claims = {claim.field: values[claim.field] for claim in page.claims if values[claim.field]}
    asked = [claim for claim in page.claims if claim.field in claims]
    masked = mask(values["subject"])
    try:
        answer = verify_through_plane(viewer, page.grant.number, values["subject"], claims, values["case"])
    except CallRefused as refused:
        if refused.code == "not_available":
            # Somebody who is not there is 不一致 like a wrong value: the page must not tell them apart.
            each = page.grant.match == "each"
            rows = tuple((claim.name, False if each else None) for claim in asked)
            return Result(None, refused, False, rows, masked, values["case"]), 200
        return Result(None, refused, False, (), masked, values["case"]), refused.status
    return Result(answer, None, *_read(answer, asked), masked, values["case"]), 200


def _read(answer: Verification, asked: list[GrantItem]) -> tuple[bool, tuple[tuple[Text, bool | None], ...]]:
    if isinstance(answer.result, bool):
        # All together: which item differs is not said.
        return answer.result, tuple((claim.name, True if answer.result else None) for claim in asked)
    rows = tuple((claim.name, answer.result.get(claim.field)) for claim in asked)
    return all(word is True for _, word in rows), rows


def mask(number: str) -> str:
    """Show a number by its ends only."""
    return f"{number[:3]}{'*' * max(0, len(number) - 5)}{number[-2:]}" if len(number) > 5 else "*" * len(number)


