"""Writing a request, in five steps; every step keeps the draft."""

from collections.abc import Collection
from dataclasses import replace

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.catalogue.platforms import MAX_COUNTERPARTS
from shuqiao.control.requests.actions import save_draft
from shuqiao.control.requests.inputs import RequestInput
from shuqiao.control.requests.pages import request_form
from shuqiao.control.requests.platforms import submit_on_platforms
from shuqiao.control.requests.queries import RequestForm
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, say_done, show_form
from shuqiao.control.web.reading import faults_of, read_day, read_key
from shuqiao.control.web.row_form import read_rows
from shuqiao.control.web.shell import is_partial, signed_in

STEPS = (
    Text("选信息", "Choose items"),
    Text("写依据", "Duty and reasons"),
    Text("定用途", "Purpose and period"),
    Text("守条件", "Conditions"),
    Text("核对提交", "Check and submit"),
)
CHECK = len(STEPS)
# Where the fields of a fault are corrected.
_STEP_OF = {"mode": 1, "items": 1, "channels": 1, "duty": 2, "unmasked": 2, "conditions": 4}
MAX_ITEMS = 200
MAX_CHANNELS = 4


@require_http_methods(["GET", "POST"])
@signed_in
def request_new(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show a step of the draft, keep what was filled in, or submit the request."""
    form = request_form(viewer, request.GET.get("resource", ""))
    step = _step(request.GET.get("step", "1"))
    if request.method == "GET":
        return _page(request, viewer, form, step, {})
    given = _filled(form, request.POST, step)
    save_draft(viewer, given)
    if is_partial(request):
        return render(request, "components/saved.html", {"at": clock.now()})
    if request.POST.get("go") == "submit":
        return _submit(request, viewer, given, request.POST.getlist("also")[:MAX_COUNTERPARTS])
    return redirect(_address(form.resource, _step(request.POST.get("go", str(step)))))


def _submit(request: HttpRequest, viewer: Viewer, given: RequestInput, also: list[str]) -> HttpResponse:
    try:
        numbers = submit_on_platforms(viewer, given, also)
    except FormRefused as refused:
        form = request_form(viewer, given.resource)
        return _page(request, viewer, form, CHECK, faults_of(refused), also)
    zh, en = "、".join(numbers), ", ".join(numbers)
    words = Text(f"申请 {zh} 已提交。", f"Request {en} has been submitted.")
    return say_done(request, words, "request_case", number=numbers[0])


def _page(
    request: HttpRequest,
    viewer: Viewer,
    form: RequestForm,
    step: int,
    faults: Faults,
    also: Collection[str] = (),
) -> HttpResponse:
    links = [(f"{_address(form.resource, _step_of(name))}#{name}", words) for name, words in faults.items()]
    context = {
        "form": form,
        "steps": STEPS,
        "step": step,
        "before": step - 1,
        "after": step + 1,
        "last": CHECK,
        "fault_links": links,
        "chosen": [item for item in form.items if item.chosen],
        "chosen_channels": [one.key for one in form.channels if one.chosen],
        "today": clock.today(),
        "also": also,
    }
    return show_form(request, viewer, "pages/request_new.html", context, faults, section="my_requests")


def _step(text: str) -> int:
    return int(text) if text in {"1", "2", "3", "4", "5"} else 1


def _step_of(name: str) -> int:
    return 2 if name.startswith(("reason:", "unmask:")) else _STEP_OF.get(name, 3)


def _address(resource: str, step: int) -> str:
    return f"{reverse('request_new')}?resource={resource}&step={step}"


def _kept(form: RequestForm) -> RequestInput:
    """Give what the draft says already."""
    return RequestInput(
        resource=form.resource,
        mode=form.mode,
        duty=form.duty,
        purpose=form.purpose,
        case_wording=form.case_wording,
        items={item.item.field: item.reason for item in form.items if item.chosen},
        applications=form.chosen_applications,
        accepted_conditions=form.accepted_conditions,
        wanted_until=form.wanted_until,
        channels=tuple(one.key for one in form.channels if one.chosen),
        rows=form.kept_rows,
        unmask={item.item.field: item.unmask_reason for item in form.items if item.unmask_reason},
        renews=form.renews,
    )


def _filled(form: RequestForm, post: QueryDict, step: int) -> RequestInput:
    """Put the fields of one step over what the draft says."""
    kept = _kept(form)
    if step == 1:
        mode = post.get("mode", kept.mode)
        # Whoever verifies names the record by its key, so there is nothing to ask for.
        known = {one.item.field for one in form.items if mode != "verify" or not one.item.record_key}
        names = [name for name in post.getlist("items")[:MAX_ITEMS] if name in known]
        items = {name: kept.items.get(name, "") for name in names}
        channels = tuple(post.getlist("channels")[:MAX_CHANNELS])
        return replace(kept, mode=mode, items=items, channels=channels)
    if step == 2:
        reasons = {name: post.get(f"reason:{name}", "") for name in kept.items}
        return replace(
            kept,
            duty=read_key(post.get("duty", "")),
            items=reasons,
            unmask={name: post.get(f"unmask:{name}", "") for name in kept.items},
        )
    if step == 3:
        return replace(
            kept,
            purpose=post.get("purpose", ""),
            case_wording=post.get("case_wording", ""),
            applications=tuple(post.getlist("applications")[:50]),
            wanted_until=read_day(post.get("wanted_until", "")),
            rows=read_rows(form.resource, post),
            renews=kept.renews if post.get("renews") == kept.renews else "",
        )
    if step == 4:
        return replace(kept, accepted_conditions=tuple(post.getlist("conditions")[:50]))
    return kept
