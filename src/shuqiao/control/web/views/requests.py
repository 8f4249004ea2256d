"""Requests received and made, and the case of one request with its answer."""

from dataclasses import replace

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.regulations.wording import worded
from shuqiao.control.requests import pages
from shuqiao.control.requests.actions import dispute_request, take_step, withdraw_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import AnswerInput, StepInput
from shuqiao.control.requests.queries import ActionOffer, RequestCase, RequestList, RowEditor
from shuqiao.control.requests.replies import reply_statistics
from shuqiao.control.requests.row_editor import BLANK_LINES, RowLine
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, say_done, show_form
from shuqiao.control.web.reading import faults_of, page_number, read_day
from shuqiao.control.web.row_form import read_rows, typed_lines
from shuqiao.control.web.shell import show, signed_in
from shuqiao.rules.channels import channels_for
from shuqiao.rules.errors import FieldRequired, ReasonRequired
from shuqiao.rules.files import MAX_FILES

MAX_CHANNELS = 4
MAX_OPERATIONS = 64


@require_safe
@signed_in
def inbox(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the requests other departments make of this one, nearest legal date first."""
    found = pages.inbox(viewer, request.GET.get("state", ""), page_number(request))
    return _list(request, viewer, found, received=True)


@require_safe
@signed_in
def my_requests(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List what this department has asked for."""
    found = pages.my_requests(viewer, request.GET.get("state", ""), page_number(request))
    return _list(request, viewer, found, received=False)


def _list(request: HttpRequest, viewer: Viewer, found: RequestList, *, received: bool) -> HttpResponse:
    return show(request, viewer, "pages/requests.html", {"page": found, "received": received})


@require_safe
@signed_in
def request_case(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show a request with its timeline, and the answer form to whoever may answer."""
    case = pages.request_case(viewer, number)
    return _case(request, viewer, case, _proposed(case), {})


@require_POST
@signed_in
def request_answer(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Answer a request; what is wrong is said at its field, and nothing is lost."""
    case = pages.request_case(viewer, number)
    if not case.can_answer:
        # The action refuses it, and says by which rule.
        answer_request(viewer, number, AnswerInput(decisions={}))
    try:
        grant = answer_request(viewer, number, _answer(case, request.POST))
    except FormRefused as refused:
        faults = _at_items(faults_of(refused), case, request.POST)
        return _case(request, viewer, case, request.POST, faults)
    return say_done(request, _answered(case, grant), "request_case", number=number)


def _answered(case: RequestCase, grant: str | None) -> Text:
    if case.proposes:
        return Text(
            "答复意见已提交，待分管领导审核后发出。",
            "The answer is proposed; it goes out once it is confirmed.",
        )
    if grant:
        return Text(f"已答复，授权 {grant}。对方已收到通知。", f"Answered with grant {grant}.")
    return Text(
        "已答复：不予共享。对方已收到通知和理由。", "Answered: not shared. The reasons have been sent."
    )


@require_POST
@signed_in
def request_step(request: HttpRequest, viewer: Viewer, number: str, action: str) -> HttpResponse:
    """Take a step that the request's regulation offers and that needs no form of its own."""
    case = pages.request_case(viewer, number)
    offer = next((one for one in case.offers if one.action == action), None)
    given = StepInput(
        reason=request.POST.get(f"{action}:reason", "").strip(),
        result=request.POST.get(f"{action}:result", "").strip(),
        received_on=read_day(request.POST.get(f"{action}:received_on", "")),
        consent=request.POST.get(f"{action}:consent") == "1",
    )
    try:
        take_step(viewer, number, action, given)
    except FormRefused as refused:
        faults = {f"{action}:{name}": words for name, words in faults_of(refused).items()}
        return _case(request, viewer, case, _proposed(case), faults)
    except (ReasonRequired, FieldRequired) as error:
        name = "reason" if isinstance(error, ReasonRequired) else _first_field(offer)
        faults = {f"{action}:{name}": worded(error)}
        return _case(request, viewer, case, _proposed(case), faults)
    done = offer.label if offer else Text(action, action)
    return say_done(request, Text(f"已办理：{done.zh}。", f"Done: {done.en}."), "request_case", number=number)


def _first_field(offer: ActionOffer | None) -> str:
    return offer.fields[0].key if offer and offer.fields else "reason"


@require_safe
@signed_in
def request_form_print(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """The request form as paper: to be signed, sealed and sent where a regulation wants it in writing."""
    case = pages.request_case(viewer, number)
    context = {"case": case, "today": clock.today()}
    section = "inbox" if case.provider.code == viewer.department.code else "my_requests"
    return show(request, viewer, "pages/request_print.html", context, section=section)


@require_safe
@signed_in
def replies(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Open requests and times of reply of each provider, for the evaluation (REQ-16)."""
    year = request.GET.get("year", "")
    asked = int(year) if year.isascii() and year.isdigit() and len(year) == 4 else clock.today().year
    return show(request, viewer, "pages/replies.html", {"page": reply_statistics(viewer, asked)})


@require_POST
@signed_in
def request_withdraw(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Take a request back."""
    withdraw_request(viewer, number)
    words = Text("申请已撤回。", "The request has been withdrawn.")
    return say_done(request, words, "request_case", number=number)


@require_POST
@signed_in
def request_dispute(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Ask for negotiation after a refusal."""
    try:
        dispute_request(viewer, number, request.POST.get("reason", ""))
    except ReasonRequired as error:
        messages.error(request, str(worded(error)))
        return redirect(f"{reverse('request_case', args=[number])}#reason")
    words = Text("已提请协商。", "Negotiation has been asked for.")
    return say_done(request, words, "request_case", number=number)


def _case(
    request: HttpRequest,
    viewer: Viewer,
    case: RequestCase,
    values: QueryDict,
    faults: Faults,
) -> HttpResponse:
    open_items = [item for item in case.items if item.granted is not True]
    chosen = set(values.getlist("granted"))
    context = {
        "case": case,
        "values": values,
        "rows": [
            (item, item.field in chosen, values.get(f"why:{item.field}", ""), faults.get(f"why:{item.field}"))
            for item in open_items
        ],
        "chosen_count": len(chosen),
        "applications": set(values.getlist("applications")),
        "channels": set(values.getlist("channels")),
        "unmasked": set(values.getlist("unmasked")),
        "operations": set(values.getlist("operations")),
        "files": set(values.getlist("files")),
        "editor": _editor(case, values),
        "posted": request.POST,
    }
    section = "inbox" if case.provider.code == viewer.department.code else "my_requests"
    return show_form(request, viewer, "pages/request_case.html", context, faults, section=section)


def _editor(case: RequestCase, values: QueryDict) -> RowEditor:
    """The lines as they were typed, with room for more; at first those the case suggests."""
    lines = typed_lines(values)
    if not lines:
        return case.editor
    return replace(case.editor, lines=(*lines, *[RowLine()] * BLANK_LINES))


def _at_items(faults: dict[str, Text], case: RequestCase, post: QueryDict) -> dict[str, Text]:
    """Tell a missing reason at each refused item that has none."""
    if "refusal_reason" not in faults:
        return faults
    missing = faults.pop("refusal_reason")
    chosen = set(post.getlist("granted")) if post.get("decision") != "refuse" else set()
    for item in case.items:
        name = f"why:{item.field}"
        if item.granted is not True and item.field not in chosen and not post.get(name, "").strip():
            faults[name] = missing
    return faults


def _proposed(case: RequestCase) -> QueryDict:
    """Fill the form with what was asked for: the reviewer takes away."""
    values = QueryDict(mutable=True)
    values.setlist("granted", [item.field for item in case.items])
    values["decision"] = "grant"
    values["mode"] = case.mode
    kept = case.kept
    values["match"] = kept.match if kept else "all"
    values.setlist("channels", [one.key for one in case.channels if one.chosen])
    if kept:
        # A renewal gives what was given before; the reviewer may take away.
        values.setlist("unmasked", [one.field for one in case.items if one.field in kept.unmasked])
        for name in ("case_required", "pseudonyms", "signed_calls"):
            values[name] = "1" if getattr(kept, name) else ""
    values.setlist("operations", list(case.opened))
    values.setlist("files", list(kept.files) if kept else [])
    values["purpose"] = case.purpose
    values["valid_from"] = case.begins_on.isoformat()
    latest = min(case.wanted_until or case.max_valid_until, case.max_valid_until)
    values["valid_until"] = latest.isoformat()
    values.setlist("applications", [application.id for application in case.applications])
    return values


def _require_days(post: QueryDict, names: tuple[str, ...]) -> None:
    unreadable = [name for name in names if read_day(post.get(name, "")) is None]
    if unreadable:
        words = Text("请填写日期，如 2026-11-25", "Give a day such as 2026-11-25")
        raise FormRefused(tuple(Fault(name, "date_unreadable", words) for name in unreadable))


def _channels(case: RequestCase, post: QueryDict) -> tuple[str, ...] | None:
    """The ticked channels, None where none were shown; in another mode those that it can't use fall away."""
    if "channels.shown" not in post:
        return None
    ticked = tuple(post.getlist("channels")[:MAX_CHANNELS])
    mode = post.get("mode", case.mode)
    if mode == case.mode:
        return ticked
    return channels_for(mode, ticked) or None


def _answer(case: RequestCase, post: QueryDict) -> AnswerInput:
    """Read the answer form; a period that can't be read is a fault, not the action's own choice of today."""
    if post.get("decision") != "refuse":
        _require_days(post, ("valid_from", "valid_until"))
    chosen = set(post.getlist("granted")) if post.get("decision") != "refuse" else set()
    return AnswerInput(
        decisions={item.field: item.field in chosen for item in case.items},
        refusal_reason=post.get("refusal_reason", ""),
        refusal_reasons={item.field: post.get(f"why:{item.field}", "") for item in case.items},
        mode=post.get("mode", case.mode),
        match="each" if post.get("match") == "each" else "all",
        purpose=post.get("purpose", ""),
        valid_from=read_day(post.get("valid_from", "")),
        valid_until=read_day(post.get("valid_until", "")),
        applications=tuple(post.getlist("applications")[:50]),
        case_required=post.get("case_required") == "1",
        note=post.get("note", ""),
        channels=_channels(case, post),
        rows=read_rows(case.resource, post),
        unmasked=frozenset(post.getlist("unmasked")[:200]),
        pseudonyms=post.get("pseudonyms") == "1",
        signed_calls=post.get("signed_calls") == "1",
        operations=tuple(post.getlist("operations")[:MAX_OPERATIONS]) if "operations.shown" in post else None,
        files=tuple(post.getlist("files")[: MAX_FILES + 1]) if "files.shown" in post else None,
    )
