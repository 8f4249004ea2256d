"""Business systems of departments: the register, the steps to the certificate, and looking one up."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.exports.limits import wait_s
from shuqiao.control.interconnection import actions, certificates, pages
from shuqiao.control.interconnection.access import access_certificate
from shuqiao.control.interconnection.inputs import AcceptanceInput, ReportInput, SystemInput
from shuqiao.control.texts import Text
from shuqiao.control.web.outside_reading import TOO_MANY, address_of
from shuqiao.control.web.reading import faults_of, page_number, read_day
from shuqiao.control.web.shell import sees_proof, show, signed_in
from shuqiao.control.web.views.open_pages import refuse_plainly

MAX_CHARS = 1000


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def register(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the register and the report of state, and register a system."""
    page, faults = pages.register(viewer, page_number(request)), {}
    if request.method == "POST":
        try:
            number = actions.register_system(viewer, _system(request.POST, page.own))
        except FormRefused as refused:
            faults = dict(faults_of(refused))
        else:
            messages.success(request, str(Text(f"系统 {number} 已登记。", f"System {number} is registered.")))
            return redirect("business_system", number=number)
    context = {"page": page, "faults": faults, "values": request.POST}
    return show(request, viewer, "pages/business_systems.html", context, status=422 if faults else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def system(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show one system, and take the step that its form names."""
    page, faults = pages.system_page(viewer, number), {}
    if request.method == "POST":
        try:
            said = _act(viewer, page, request.POST)
        except FormRefused as refused:
            faults = dict(faults_of(refused))
        else:
            messages.success(request, str(said))
            return redirect("business_system", number=number)
    proof = sees_proof(viewer, page.row.department.code)
    context = {"page": page, "faults": faults, "values": request.POST, "proof": proof}
    status = 422 if faults else 200
    template = "pages/business_system.html"
    return show(request, viewer, template, context, status=status, section="business_systems")


def _act(viewer: Viewer, page: pages.SystemPage, post: QueryDict) -> Text:
    """Take one step; a step that there isn't is answered as a system that isn't there."""
    number, note = page.row.number, post.get("note", "")[:MAX_CHARS]
    match post.get("step", ""):
        case "change":
            actions.change_system(viewer, number, _system(post, page.row.department.code))
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
    found = access_certificate(viewer, number)
    try:
        certificates.revoke_certificate(viewer, number, request.POST.get("reason", "")[:MAX_CHARS])
    except FormRefused as refused:
        messages.error(request, str(refused.faults[0].message))
    else:
        messages.success(request, str(Text("证明已撤销。", "The certificate is revoked.")))
    return redirect("business_system", number=found.system_id)


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
