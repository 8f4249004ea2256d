"""Signing in and out."""

from django.conf import settings
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from shuqiao.control.accounts.actions import SignIn, sign_in
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import cited_text
from shuqiao.control.texts import Text
from shuqiao.control.web.client_address import client_address

# What the regulation says against asking people for what offices can share.
NO_REPEATED_PAPERS = "no_repeat"


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in_page(request: HttpRequest) -> HttpResponse:
    """Ask for name and password; afterwards go where the person wanted to go."""
    if request.method == "GET":
        return _form(request, "", None)
    name = request.POST.get("username", "")
    address = client_address(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        settings.CONFIG.trusted_proxies,
    )
    attempt = sign_in(name, request.POST.get("password", ""), address)
    if attempt.account is None:
        return _form(request, name, _refusal(attempt))
    login(request, attempt.account, backend=settings.AUTHENTICATION_BACKENDS[0])
    return HttpResponseRedirect(_next(request))


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return redirect("sign_in")


def _form(request: HttpRequest, name: str, refusal: Text | None) -> HttpResponse:
    context = {
        "username": name[:40],
        "refusal": refusal,
        "next": _next(request),
        "sample": settings.SAMPLE_DATA,
        "departments": Department.objects.filter(active=True).count(),
        "entries": Resource.objects.filter(state="published").count(),
        "clause": cited_text(regulation().citations[NO_REPEATED_PAPERS]),
    }
    return render(request, "pages/sign_in.html", context, status=200 if refusal is None else 422)


def _refusal(attempt: SignIn) -> Text:
    if attempt.busy:
        return Text("此刻登录的人较多，请稍后再试。", "Many people sign in just now: try again in a moment.")
    if attempt.wait_s:
        return Text(
            f"连续多次不对，请等 {attempt.wait_s} 秒再试。忘了密码，请本单位管理员重置。",
            f"Wrong too often in a row: wait {attempt.wait_s} s. Your administrator can reset a password.",
        )
    return Text(
        "账号或密码不对。忘了密码，请本单位管理员重置。",
        "Name or password is wrong. Your administrator can reset a forgotten password.",
    )


def _next(request: HttpRequest) -> str:
    """Where to go after signing in: a path of these pages, never another address."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_path = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if is_path and url_has_allowed_host_and_scheme(wanted, None) else "/"
