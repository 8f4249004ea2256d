"""Compiling the catalogue: the list of cases, the wizard, the review by item, versions of an entry."""

from dataclasses import replace
from datetime import date

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.compiling import actions, drafts
from shuqiao.control.compiling.actions import MarkInput, Outcome
from shuqiao.control.compiling.case_page import compilation_page, review_progress
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.fields import CHECK_STEP, FIELDS, ITEMS_STEP, label_of
from shuqiao.control.compiling.form_page import code_preview
from shuqiao.control.compiling.forms import PAGE_ITEMS, Filled, fill
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.compiling.pages import SAVE, WITHDRAW, ListFilter, compilation_list
from shuqiao.control.compiling.past_page import past_page
from shuqiao.control.compiling.pasting import read_rows
from shuqiao.control.compiling.versions_page import change_page, versions_page
from shuqiao.control.compiling.wizard_page import Asked, draft_of, wizard_page
from shuqiao.control.regulations.wording import worded
from shuqiao.control.standards.queries import element_index
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, say_done, show_form
from shuqiao.control.web.reading import faults_of, page_number, read_day
from shuqiao.control.web.shell import is_partial, sees_proof, show, signed_in
from shuqiao.rules.entries import Entry
from shuqiao.rules.entry_faults import demanded_fields, plain_fault
from shuqiao.rules.errors import ShuqiaoError

MAX_CHOSEN = 200
MAX_PASTED = 200_000
NO_DAY = Text("须为今天或以前的日期，如 2026-11-25", "A day up to today, such as 2026-11-25")
FIRST_DAY = date(2000, 1, 1)


@require_safe
@signed_in
def compilations(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List cases by state: those that wait for the viewer first."""
    return _list_page(request, viewer)


@require_POST
@signed_in
def compilation_steps(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Take one step of all chosen cases; those that can't go say why."""
    numbers = request.POST.getlist("numbers")[:MAX_CHOSEN]
    action, words = request.POST.get("action", "")[:40], {"reason": request.POST.get("reason", "")}
    if action == SAVE:
        raise NotFound
    if not numbers:
        faults = {"numbers": Text("还没有选中任何条目", "No entry is chosen")}
        return _list_page(request, viewer, faults=faults, status=422)
    try:
        outcomes = actions.take_steps(viewer, numbers, action, words)
    except FormRefused as refused:
        return _list_page(request, viewer, faults=faults_of(refused), chosen=numbers, status=422)
    done = sum(one.done for one in outcomes)
    if done:
        messages.success(request, str(Text(f"已办理 {done} 条。", f"{done} done.")))
    undone = [one for one in outcomes if not one.done]
    if not undone:
        return redirect(_with_query(request, "compilations"))
    return _list_page(request, viewer, undone=undone, chosen=[one.number for one in undone], status=409)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def compilation_new(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Begin a new entry; the other ways of compiling stand beside it."""
    require(viewer, Capability.CATALOGUE_EDIT, drafts.COMPILE)
    name = request.POST.get("name_zh", "").strip()
    faults: dict[str, Text] = {}
    if request.method == "POST":
        fault = plain_fault("name_zh", name, FIELDS["name_zh"].limit)
        if not name:
            faults["name_zh"] = Text("先写一个名称，以后还可以改", "Give it a name; it can be changed later")
        elif fault is not None:
            faults["name_zh"] = Text(fault.zh, fault.en)
        else:
            draft = drafts.save_draft(viewer, drafts.DraftInput(content=_begun(viewer, name)))
            return redirect("compilation_edit", number=draft.number)
    context = {"name_zh": name, "ways": _other_ways()}
    return show_form(request, viewer, "pages/compiling_new.html", context, faults, section="compilations")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def compilation_edit(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show a step of the wizard, and keep what was filled in: by itself, by a button, or on the way on."""
    asked = _asked(request)
    if request.method != "POST":
        return _wizard(request, viewer, number, asked)
    case = draft_of(viewer, number)
    filled = fill(entry_from(case.content), request.POST, asked.step, case.kind)
    do = request.POST.get("do", "")
    pasted: tuple[Text, ...] = ()
    if do == "paste":
        filled, pasted = _pasted(filled, request.POST)
    try:
        draft = drafts.save_draft(viewer, _draft_input(case, filled.entry, request.POST))
    except (ShuqiaoError, FormRefused) as error:
        return _unsaved(request, viewer, number, asked, error)
    if is_partial(request) and not do and "go" not in request.POST and "take" not in request.POST:
        return _saved(request, case, filled, draft.revision, asked)
    if filled.faults:
        typed = {key: str(value) for key, value in request.POST.items()}
        again = replace(asked, faults=filled.faults, typed=typed, paste_faults=pasted)
        return _wizard(request, viewer, number, again, status=422)
    return _onward(request, viewer, number, asked, filled.entry)


@require_safe
@signed_in
def compilation(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show a case: what is proposed beside what is in force, its marks, its steps."""
    return _case_page(request, viewer, number)


@require_POST
@signed_in
def compilation_step(request: HttpRequest, viewer: Viewer, number: str, action: str) -> HttpResponse:
    """Take a step of a case; what is missing is said at its field."""
    words = {"reason": request.POST.get("reason", "")}
    if action == SAVE:
        raise NotFound
    try:
        actions.take_step(viewer, number, action, words)
    except FormRefused as refused:
        faults = {f"{action}-{name}": said for name, said in faults_of(refused).items()}
        return _case_page(request, viewer, number, faults=faults, tried=action)
    messages.success(request, str(Text(f"{number} 已办理。", f"{number}: done.")))
    if action == WITHDRAW:
        return redirect("compilations")
    return redirect("compilation", number=number)


@require_POST
@signed_in
def compilation_marks(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Keep the marks of a review."""
    marks, waiting = _marks(request.POST)
    faults: dict[str, Text] = {}
    try:
        actions.mark_places(viewer, number, marks)
        if request.POST.get("rest") == "yes":
            actions.accept_rest(viewer, number)
    except FormRefused as refused:
        faults = faults_of(refused)
    if is_partial(request):
        context = {
            "progress": review_progress(viewer, number),
            "faults": faults,
            "waiting": waiting,
            "at": clock.now(),
        }
        return render(request, "pages/compiling_marked.html", context)
    if faults or waiting:
        missing = {f"remark-{path}": Text("退回须写明理由", "A return needs its reason") for path in waiting}
        said = {f"remark-{path}": words for path, words in faults.items()}
        return _case_page(request, viewer, number, faults={**said, **missing})
    words = Text("审核意见已保存。", "The marks are kept.")
    return say_done(request, words, _with_query(request, "compilation", number))


@require_POST
@signed_in
def compilation_rebase(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Let a draft start from the version now in force."""
    drafts.rebase_draft(viewer, number)
    words = Text("已改以现行版本为底稿。", "It starts from the version in force.")
    return say_done(request, words, "compilation", number=number)


@require_safe
@signed_in
def entry_versions(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Show the versions of an entry, two of them compared, and what was in force on a day."""
    given = request.GET.get("on", "")
    page = versions_page(
        viewer,
        resource,
        left=_number(request.GET.get("left", "")),
        right=_number(request.GET.get("right", "")),
        on=_past_day(given),
    )
    context = {"page": page, "faults": {"on": NO_DAY} if given and page.on is None else {}, "on": given}
    return show(request, viewer, "pages/compiling_versions.html", context, section="catalogue")


@require_safe
@signed_in
def past_catalogue(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show what was in force on a past day, in the resource or the sharing catalogue."""
    given = request.GET.get("on", "")
    day = _past_day(given)
    page = past_page(
        viewer,
        day or clock.today(),
        which=request.GET.get("which", "")[:10],
        department=_plain(request.GET.get("department", ""), 40),
        after=_plain(request.GET.get("after", ""), 17),
    )
    faults = {"on": NO_DAY} if given and day is None else {}
    context = {"page": page, "faults": faults, "on": given or page.day.isoformat()}
    return show(request, viewer, "pages/compiling_past.html", context, section="catalogue")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def entry_change(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Begin a change, a correction or the withdrawal of an entry in force."""
    page = change_page(viewer, resource)
    if request.method != "POST":
        return show(request, viewer, "pages/compiling_change.html", {"page": page}, section="catalogue")
    kind = request.POST.get("kind", "")
    if kind not in {one.key for one in page.kinds}:
        faults = {"kind": Text("请选择要做什么", "Choose what to do")}
        template = "pages/compiling_change.html"
        return show_form(request, viewer, template, {"page": page}, faults, section="catalogue")
    draft = drafts.begin(viewer, kind, resource)
    return redirect("compilation" if kind == "withdrawal" else "compilation_edit", number=draft.number)


def _other_ways() -> list[tuple[str, str, Text, Text]]:
    """The ways of compiling beside the wizard: address, icon, name and what it is for."""
    many = Text("一次编制或修改许多条目", "Compile or change many entries at once")
    columns = Text("由数据库表的结构推测信息项", "Items guessed from the structure of a database table")
    system = Text("由本单位系统签名报送", "Sent and signed by a system of the department")
    return [
        (reverse("workbooks"), "file-spreadsheet", Text("离线工作簿", "Offline workbook"), many),
        (reverse("compiling_tables"), "table", Text("读取表结构", "Read a table"), columns),
        (reverse("api_openapi"), "plug", Text("编制接口", "Interface"), system),
    ]


def _begun(viewer: Viewer, name: str) -> Entry:
    """A new entry: where the regulation asks who collects and verifies, it begins with the own department."""
    own = viewer.department.code
    asked = demanded_fields(rules_for(own))
    return Entry(
        name_zh=name,
        department=own,
        collecting=own if "collecting" in asked else "",
        verifying=own if "verifying" in asked else "",
    )


def _list_page(
    request: HttpRequest,
    viewer: Viewer,
    *,
    faults: dict[str, Text] | None = None,
    undone: list[Outcome] | None = None,
    chosen: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    asked = ListFilter(
        view=_plain(request.GET.get("view", ""), 40),
        words=_plain(request.GET.get("q", ""), 60).strip(),
        kind=_plain(request.GET.get("kind", ""), 20),
        department=_plain(request.GET.get("department", ""), 40),
        page=page_number(request),
    )
    context = {
        "page": compilation_list(viewer, asked),
        "faults": faults or {},
        "undone": undone or [],
        "chosen": chosen or [],
        "reason": request.POST.get("reason", "")[:1000],
    }
    return show(request, viewer, "pages/compilations.html", context, status=status, section="compilations")


def _case_page(
    request: HttpRequest, viewer: Viewer, number: str, *, faults: Faults | None = None, tried: str = ""
) -> HttpResponse:
    only_changed = request.GET.get("only") == "changed"
    case = compilation_page(viewer, number, page_number(request), only_changed=only_changed)
    context = {
        "case": case,
        "tried": tried,
        "reason": request.POST.get("reason", "")[:1000],
        "typed": {key: str(value) for key, value in request.POST.items()} if faults else {},
        "only_changed": only_changed,
        "sees_proof": sees_proof(viewer, case.department.code),
    }
    template = "pages/compiling_case.html"
    return show_form(request, viewer, template, context, faults or {}, section="compilations")


def _asked(request: HttpRequest) -> Asked:
    step = request.GET.get("step", "1")
    return Asked(
        step=int(step) if step in {"1", "2", "3", "4", "5"} else 1,
        page=page_number(request),
        focus=_number(request.GET.get("row", ""), -1),
        checked=request.GET.get("check") == "1",
    )


def _wizard(
    request: HttpRequest, viewer: Viewer, number: str, asked: Asked, *, status: int = 200
) -> HttpResponse:
    page = wizard_page(viewer, number, asked)
    context = {"page": page, "faults": {"pasted": page.paste_faults} if page.paste_faults else {}}
    return show(request, viewer, "pages/compiling_edit.html", context, status=status, section="compilations")


def _draft_input(case: Compilation, entry: Entry, post: QueryDict) -> drafts.DraftInput:
    return drafts.DraftInput(
        number=case.number,
        kind=case.kind,
        resource=case.resource,
        content=entry,
        revision=_number(post.get("revision", "")),
        origin=case.origin,
    )


def _pasted(filled: Filled, post: QueryDict) -> tuple[Filled, tuple[Text, ...]]:
    """Put pasted rows after the items; where one can't be read none is taken."""
    rows = post.get("pasted", "")
    if len(rows) > MAX_PASTED:
        words = Text("内容过长，请分几次粘贴", "Too long: paste it in parts")
        return replace(filled, faults={**filled.faults, "pasted": words}), (words,)
    read = read_rows(rows, filled.entry.items, element_index())
    if read.faults:
        return replace(filled, faults={**filled.faults, "pasted": read.faults[0]}), read.faults
    entry = replace(filled.entry, items=(*filled.entry.items, *read.items))
    return replace(filled, entry=entry), ()


def _saved(
    request: HttpRequest, case: Compilation, filled: Filled, revision: int, asked: Asked
) -> HttpResponse:
    """Answer a save that happened by itself: when, and what could not be read."""
    context = {
        "at": clock.now(),
        "faults": {f"{label_of(path)}": words for path, words in filled.faults.items()},
        "revision": revision,
        "shows_code": asked.step == 1,
        "code": code_preview(case.resource, filled.entry.subject),
    }
    return render(request, "pages/compiling_saved.html", context)


def _unsaved(
    request: HttpRequest, viewer: Viewer, number: str, asked: Asked, error: ShuqiaoError | FormRefused
) -> HttpResponse:
    """Say why nothing was saved; what was written stays on the page."""
    faults = {"wizard": worded(error)} if isinstance(error, ShuqiaoError) else faults_of(error)
    if is_partial(request) and "do" not in request.POST:
        words = "；".join(str(said) for said in faults.values())
        return render(request, "pages/compiling_saved.html", {"failed": words})
    typed = {key: str(value) for key, value in request.POST.items()}
    again = replace(asked, faults=faults, typed=typed, nothing_saved=True)
    status = error.status if isinstance(error, ShuqiaoError) else 422
    return _wizard(request, viewer, number, again, status=status)


def _onward(request: HttpRequest, viewer: Viewer, number: str, asked: Asked, entry: Entry) -> HttpResponse:
    """Go where the button says: another step or page of items, or submit."""
    take = request.POST.get("take", "")[:40]
    if take and take != SAVE:
        return _submitted(request, viewer, number, take)
    do, go = request.POST.get("do", ""), request.POST.get("go", "")
    if do:
        return redirect(_place_after(number, do, entry, asked.page))
    step, _, page = go.partition(".")
    here = str(asked.step)
    kept = f"&page={asked.page}" if step == here and asked.step == ITEMS_STEP else ""
    page = f"&page={_number(page, 1)}" if page else kept
    return redirect(f"{_edit(number)}?step={step if step in {'1', '2', '3', '4', '5'} else here}{page}")


def _submitted(request: HttpRequest, viewer: Viewer, number: str, action: str) -> HttpResponse:
    try:
        actions.take_step(viewer, number, action, {})
    except FormRefused:
        # Every fault stands on the page of the last step.
        return _wizard(request, viewer, number, Asked(step=CHECK_STEP), status=422)
    words = Text(f"{number} 已提交。", f"{number} has been submitted.")
    return say_done(request, words, "compilation", number=number)


def _place_after(number: str, do: str, entry: Entry, page: int) -> str:
    """Where the table of items is shown after one of its buttons: at the row it was about."""
    action, _, at = do.partition(":")
    row = _number(at)
    if action in ("add", "paste"):
        row = len(entry.items) - 1
    elif action == "up":
        row -= 1
    elif action == "down":
        row += 1
    row = min(max(row, 0), max(len(entry.items) - 1, 0))
    page = row // PAGE_ITEMS + 1 if entry.items else page
    return f"{_edit(number)}?step={ITEMS_STEP}&page={page}&row={row}"


def _marks(post: QueryDict) -> tuple[list[MarkInput], list[str]]:
    """Read the marks of a form; a return without its reason yet waits, the others are kept."""
    marks, waiting = [], []
    for key in list(post)[:500]:
        if key.startswith("mark-") and post.get(key) in ("yes", "no"):
            path = key.removeprefix("mark-")[:80]
            remark = post.get(f"remark-{path}", "")
            if post.get(key) == "no" and not remark.strip():
                waiting.append(path)
            else:
                marks.append(MarkInput(path, post.get(key) == "yes", remark if post.get(key) == "no" else ""))
    return marks, waiting


def _edit(number: str) -> str:
    return reverse("compilation_edit", args=[number])


def _with_query(request: HttpRequest, name: str, *args: str) -> str:
    query = request.GET.urlencode()
    return f"{reverse(name, args=args)}?{query}" if query else reverse(name, args=args)


def _past_day(text: str) -> date | None:
    """Read a day on which there may have been a catalogue; anything else is none."""
    day = read_day(text)
    return day if day is not None and FIRST_DAY <= day <= clock.today() else None


def _plain(text: str, limit: int) -> str:
    """What may be searched for: bounded, without control characters, which the database refuses."""
    return "".join(c for c in text[:limit] if c.isprintable())


def _number(text: str, other: int = 0) -> int:
    """Read a small number; anything else is the other."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else other
