"""Business systems of departments: the register, the steps to the certificate, and looking one up."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.exports.limits import wait_s
from shuqiao.control.interconnection import actions, certificates, pages
from shuqiao.control.interconnection.access import access_certificate
from shuqiao.control.interconnection.inputs import AcceptanceInput, ReportInput, SystemInput
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, say_refused, show_form
from shuqiao.control.web.outside_reading import TOO_MANY, address_of
from shuqiao.control.web.reading import page_number, read_day
from shuqiao.control.web.shell import sees_proof, signed_in
from shuqiao.control.web.views.open_pages import refuse_plainly

MAX_CHARS = 1000


def _register_page(request: HttpRequest, viewer: Viewer, faults: Faults) -> HttpResponse:
    context = {"page": pages.register(viewer, page_number(request)), "values": request.POST}
    return show_form(request, viewer, "pages/business_systems.html", context, faults)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_register_page)
def register(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the register and the report of state, and register a system."""
    number = actions.register_system(viewer, _system(request.POST, viewer.department.code))
    words = Text(f"系统 {number} 已登记。", f"System {number} is registered.")
    return say_done(request, words, "business_system", number=number)


def _system_page(request: HttpRequest, viewer: Viewer, faults: Faults, number: str) -> HttpResponse:
    page = pages.system_page(viewer, number)
    proof = sees_proof(viewer, page.row.department.code)
    context = {"page": page, "values": request.POST, "proof": proof}
    template = "pages/business_system.html"
    return show_form(request, viewer, template, context, faults, section="business_systems")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_system_page)
def system(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show one system, and take the step that its form names."""
    return say_done(request, _act(viewer, number, request.POST), "business_system", number=number)


def _act(viewer: Viewer, number: str, post: QueryDict) -> Text:
    """Take one step; a step that there isn't is answered as a system that isn't there."""
    note = post.get("note", "")[:MAX_CHARS]
    match post.get("step", ""):
        case "change":
            department = pages.system_page(viewer, number).row.department.code
            actions.change_system(viewer, number, _system(post, department))
            return Text("登记内容已变更。", "The registration is changed.")
        case "report":
            day = read_day(post.get("planned_until", ""))
            actions.report_state(viewer, number, ReportInput(post.get("state", ""), day, note))
            return Text("状态已登记。", "The state has been recorded.")
        case "test":
            actions.record_test(viewer, number)
            return Text("测试结果已登记。", "The test is recorded.")
        case "certify":
            made = certificates.issue_certificate(viewer, number)
            return Text(f"证明 {made} 已出具。", f"Certificate {made} is issued.")
        case "accept":
            passes = post.get("passes", "") == "yes"
            given = AcceptanceInput(passes, note, read_day(post.get("due_on", "")))
            actions.record_acceptance(viewer, number, given)
            return Text("验收结论已登记。", "The acceptance is recorded.")
        case _:
            raise NotFound


@require_POST
@signed_in
def certificate_revoke(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Revoke a certificate, with a reason."""
    system = access_certificate(viewer, number).system_id
    try:
        certificates.revoke_certificate(viewer, number, request.POST.get("reason", "")[:MAX_CHARS])
    except FormRefused as refused:
        return say_refused(request, refused, "business_system", number=system)
    words = Text("证明已撤销。", "The certificate is revoked.")
    return say_done(request, words, "business_system", number=system)


@require_safe
@signed_in
def certificate_pdf(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Give the sealed document."""
    del request
    found = access_certificate(viewer, number)
    response = HttpResponse(bytes(found.pdf), content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{found.number}.pdf"'
    return response


@require_safe
def look_up(request: HttpRequest, code: str) -> HttpResponse:
    """Say to anybody who holds a certificate whether it is in force; a wrong code is not there.

    Nobody on the way keeps the answer: a certificate ends without the catalogue having another edition.
    """
    if wait := wait_s(address_of(request)):
        refused = refuse_plainly(429, "too_many_requests", TOO_MANY)
        refused.headers["Retry-After"] = str(wait)
        return refused
    try:
        found = pages.look_up(code)
    except NotFound:
        return render(request, "404.html", status=404)
    context = {"found": found, "sample": settings.SAMPLE_DATA}
    response = render(request, "pages/open_certificate.html", context)
    response.headers["Cache-Control"] = "no-store"
    return response


def _system(post: QueryDict, department: str) -> SystemInput:
    return SystemInput(
        department=department,
        name=post.get("name", "")[:MAX_CHARS],
        purpose=post.get("purpose", "")[:MAX_CHARS],
        application=post.get("application", "")[:60],
        brings=post.get("brings", "")[:60],
    )
