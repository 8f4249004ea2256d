"""Special projects, and the register of cross-department applications."""

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.projects import actions, pages
from shuqiao.control.projects.ending import end_project
from shuqiao.control.projects.inputs import ApplicationInput, JoinInput, LineInput, ProjectInput
from shuqiao.control.projects.register import end_application, register_application
from shuqiao.control.projects.register_page import register_page
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, say_refused, show_form
from shuqiao.control.web.reading import faults_of, page_number, read_day, read_key
from shuqiao.control.web.shell import sees_proof, show, signed_in

MAX_CHOSEN = 200


@require_safe
@signed_in
def projects(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the special projects the viewer may see."""
    found = pages.project_list(viewer, page_number(request))
    return show(request, viewer, "pages/projects.html", {"page": found})


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def project_edit(request: HttpRequest, viewer: Viewer, number: str = "") -> HttpResponse:
    """Write a project that has not started: title, duty, purpose, period, participants."""
    form = pages.project_form(viewer, number)
    if request.method != "POST":
        return _form_page(request, viewer, form, {})
    try:
        kept = actions.save_project(viewer, _project_given(number, request.POST))
    except FormRefused as refused:
        return _form_page(request, viewer, form, faults_of(refused))
    words = Text("专项已保存，尚未启动。", "The project is saved, not started yet.")
    return say_done(request, words, "project", number=kept)


@require_safe
@signed_in
def project(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show a project with its lines, how far providers have confirmed them, and what the viewer can do."""
    return _project_page(request, viewer, {}, number)


def _project_page(request: HttpRequest, viewer: Viewer, faults: Faults, number: str) -> HttpResponse:
    page = pages.project_page(viewer, number)
    posted = request.POST
    there = {page.lead.code, *(one.code for one in page.participants)}
    others = pages.project_form(viewer).departments if page.can_widen else ()
    context = {
        "page": page,
        "values": posted,
        "duty": posted.get("duty") or str(page.duty_key or ""),
        "applications": posted.getlist("applications"),
        "conditions": posted.getlist("conditions"),
        "sees_proof": sees_proof(viewer, page.lead.code),
        "others": [one for one in others if one.code not in there],
    }
    return show_form(request, viewer, "pages/project.html", context, faults, section="projects")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def project_line(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Add what a department needs of an entry."""
    resource = request.GET.get("resource", "")[:20]
    form = pages.line_form(viewer, number, resource)
    faults: Faults = {}
    if request.method == "POST":
        try:
            actions.add_line(viewer, number, _line_given(resource, request.POST))
        except FormRefused as refused:
            faults = faults_of(refused)
        else:
            return say_done(request, Text("已加入专项。", "Added to the project."), "project", number=number)
    posted = request.POST
    context = {
        "form": form,
        "entries": [("", Text("请选择", "Choose")), *pages.entries_to_choose(viewer)],
        "users": [(one.code, one.name) for one in form.users],
        "values": posted,
        "chosen": posted.getlist("fields"),
        "mode": posted.get("mode") or (form.modes[0][0] if form.modes else ""),
    }
    return show_form(request, viewer, "pages/project_line.html", context, faults, section="projects")


@require_POST
@signed_in
def project_line_remove(request: HttpRequest, viewer: Viewer, number: str, key: int) -> HttpResponse:
    """Take a line out of a project that has not started."""
    actions.remove_line(viewer, number, key)
    return say_done(request, Text("已移出专项。", "Taken out of the project."), "project", number=number)


@require_POST
@signed_in
@form_of(_project_page)
def project_start(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Start a project and make the lead's own requests."""
    made = actions.start_project(viewer, number, _join_given(request.POST))
    return say_done(request, _requests_made(len(made)), "project", number=number)


@require_POST
@signed_in
@form_of(_project_page)
def project_join(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Make the requests of the viewer's department for a running project."""
    made = actions.join_project(viewer, number, _join_given(request.POST))
    return say_done(request, _requests_made(len(made)), "project", number=number)


def _requests_made(count: int) -> Text:
    return Text(
        f"已提出 {count} 件申请，由各提供部门分别确认。",
        f"{count} requests have been made; each provider confirms its own.",
    )


@require_POST
@signed_in
@form_of(_project_page)
def project_widen(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Add participants to a running project."""
    actions.add_participants(viewer, number, tuple(request.POST.getlist("participants")[:MAX_CHOSEN]))
    words = Text("参与部门已增加。", "Participants have been added.")
    return say_done(request, words, "project", number=number)


@require_POST
@signed_in
@form_of(_project_page)
def project_end(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """End a project with all that was given in its name."""
    end_project(viewer, number, request.POST.get("reason", ""))
    words = Text("专项已结束，其授权同时失效。", "The project has ended, and its grants with it.")
    return say_done(request, words, "project", number=number)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def applications(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the register of cross-department applications, and take a new one from its lead."""
    page, faults = register_page(viewer), {}
    if request.method == "POST":
        try:
            register_application(viewer, _application_given(request.POST))
        except FormRefused as refused:
            faults = faults_of(refused)
        else:
            words = Text("应用已登记。", "The application is registered.")
            return say_done(request, words, "cross_applications")
    posted = request.POST
    context = {
        "page": page,
        "values": posted,
        "departments": posted.getlist("departments"),
        "systems": posted.getlist("systems"),
    }
    return show_form(request, viewer, "pages/cross_applications.html", context, faults)


@require_POST
@signed_in
def application_end(request: HttpRequest, viewer: Viewer, key: int) -> HttpResponse:
    """Take an application out of use, with a reason."""
    try:
        end_application(viewer, key, request.POST.get("reason", ""))
    except FormRefused as refused:
        return say_refused(request, refused, f"{reverse('cross_applications')}#application-{key}")
    return say_done(request, Text("应用已停用。", "The application is out of use."), "cross_applications")


def _form_page(request: HttpRequest, viewer: Viewer, form: pages.ProjectForm, faults: Faults) -> HttpResponse:
    kept, posted = form.project, request.POST
    values = posted or {
        "title": kept.title if kept else "",
        "purpose": kept.purpose if kept else "",
        "duty": str(kept.duty_key or "") if kept else "",
        "valid_from": kept.valid_from.isoformat() if kept and kept.valid_from else "",
        "valid_until": kept.valid_until.isoformat() if kept and kept.valid_until else "",
    }
    chosen = (
        posted.getlist("participants")
        if posted
        else [one.code for one in (kept.participants if kept else ())]
    )
    context = {
        "form": form,
        "values": values,
        "chosen": chosen,
        "duties": [(str(key), words, ground) for key, words, ground in form.duties],
    }
    return show_form(request, viewer, "pages/project_edit.html", context, faults, section="projects")


def _project_given(number: str, post: QueryDict) -> ProjectInput:
    return ProjectInput(
        number=number,
        title=post.get("title", ""),
        purpose=post.get("purpose", ""),
        duty=read_key(post.get("duty", "")),
        valid_from=read_day(post.get("valid_from", "")),
        valid_until=read_day(post.get("valid_until", "")),
        participants=tuple(post.getlist("participants")[:MAX_CHOSEN]),
    )


def _line_given(resource: str, post: QueryDict) -> LineInput:
    return LineInput(
        user=post.get("user", "")[:40],
        resource=resource,
        mode=post.get("mode", "")[:12],
        fields=tuple(post.getlist("fields")[:MAX_CHOSEN]),
        reason=post.get("reason", ""),
    )


def _join_given(post: QueryDict) -> JoinInput:
    return JoinInput(
        duty=read_key(post.get("duty", "")),
        applications=tuple(post.getlist("applications")[:50]),
        accepted_conditions=tuple(post.getlist("conditions")[:50]),
    )


def _application_given(post: QueryDict) -> ApplicationInput:
    return ApplicationInput(
        name_zh=post.get("name_zh", ""),
        name_en=post.get("name_en", ""),
        scope=post.get("scope", "")[:6],
        purpose=post.get("purpose", ""),
        departments=tuple(post.getlist("departments")[:MAX_CHOSEN]),
        systems=tuple(post.getlist("systems")[:MAX_CHOSEN]),
    )
