"""How the interface answers: JSON, and refusals as problem details (RFC 9457) in the caller's language."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Concatenate, ParamSpec

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.views.decorators.csrf import csrf_exempt

from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.compiling.interface.entries import EntryRefused, record_refusal
from shuqiao.control.compiling.interface.messages import MAX_BODY_BYTES, EntryProblem, Fault
from shuqiao.control.compiling.interface.signed import Caller, SignedRequest, authenticate
from shuqiao.control.regulations.queries import citations
from shuqiao.rules.errors import (
    BodyTooLarge,
    EntryFaulty,
    EntryNotFound,
    MethodNotAllowed,
    RequestMalformed,
    ShuqiaoError,
    Unavailable,
)

P = ParamSpec("P")
Operation = Callable[Concatenate[HttpRequest, Caller, bytes, P], HttpResponse]
View = Callable[..., HttpResponse]

PROBLEM_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:shuqiao:problem:"
RETRY_AFTER_S = 1
# From here on it is the platform that failed: there may be no log to write to.
_FAILED = 500
_HEADERS = ("CONTENT_TYPE", "CONTENT_LENGTH")
_JSON = frozenset({"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"})
_log = logging.getLogger("shuqiao.control.interface")

_TITLES = {
    400: ("请求不符合接口要求", "The request does not have the form of the interface"),
    401: ("未通过身份鉴别", "Not authenticated"),
    403: ("没有权限", "Not allowed"),
    404: ("没有找到", "Not found"),
    405: ("不支持此方法", "No such method"),
    409: ("与当前状态冲突", "In conflict with the present state"),
    413: ("请求过大", "The request is too large"),
    422: ("内容不符合要求", "The content is wrong"),
    500: ("处理失败", "Failed"),
    503: ("服务暂不可用", "Not available for the moment"),
}


def answer(content: msgspec.Struct, status: int = 200) -> HttpResponse:
    """Give what was asked for; nothing on the way keeps it."""
    response = HttpResponse(msgspec.json.encode(content), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def problem(error: ShuqiaoError, faults: tuple[Fault, ...] = ()) -> HttpResponse:
    """Say why something was refused, with what the regulation in force says of its matter."""
    english = (get_language() or "").startswith("en")
    cited = citations()
    content = EntryProblem(
        type=TYPE_PREFIX + error.code,
        title=_TITLES.get(error.status, (HTTPStatus(error.status).phrase,) * 2)[english],
        status=error.status,
        code=error.code,
        detail=error.explain("en" if english else "zh", cited),
        rule=error.cited(cited) or "",
        faults=faults,
    )
    response = answer(content, error.status)
    response.headers["Content-Type"] = PROBLEM_TYPE
    response.headers["Content-Language"] = "en" if english else "zh"
    if error.status == Unavailable.status:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = error.fields["allowed"]
    return response


def signed(view: Operation[P]) -> View:
    """Let an operation be asked with a signed request only, and word every refusal."""

    @wraps(view)
    def operation(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        caller = None
        try:
            body = _body_of(request)
            caller = authenticate(_signed_request(request, body))
            return view(request, caller, body, *args, **kwargs)
        except (ShuqiaoError, EntryRefused, FormRefused, Http404, DatabaseError) as error:
            refusal, faults = _refusal(error)
        if caller is not None and request.method == "PUT" and refusal.status < _FAILED:
            record_refusal(caller, str(kwargs.get("key", "")), refusal.code)
        return problem(refusal, faults)

    # A signature stands where a page has its token; a browser never sends one by itself.
    return csrf_exempt(operation)


def by_method(**views: View) -> View:
    """Choose the operation by the method; another method is refused with those there are."""
    allowed = ", ".join(views)

    def chosen(request: HttpRequest, **kwargs: str) -> HttpResponse:
        view = views.get(request.method or "")
        return problem(MethodNotAllowed(allowed=allowed)) if view is None else view(request, **kwargs)

    return csrf_exempt(chosen)


def _refusal(error: Exception) -> tuple[ShuqiaoError, tuple[Fault, ...]]:
    match error:
        case EntryRefused():
            return error.error, error.faults
        case FormRefused():
            faults = tuple(Fault(f.field, f.code, f.message.zh, f.message.en) for f in error.faults)
            return EntryFaulty(count=len(faults)), faults
        case ShuqiaoError():
            return error, ()
        case Http404():
            return EntryNotFound(), ()
        case OperationalError():
            return Unavailable(), ()
    # The class alone: the text of a database error may quote what was sent.
    _log.error("interface_failed %s", type(error).__name__)
    return ShuqiaoError(), ()


def _body_of(request: HttpRequest) -> bytes:
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if not (announced.isascii() and announced.isdigit() and len(announced) <= 12):
        raise RequestMalformed(part="content-length")
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise RequestMalformed(part="transfer-encoding")
    if int(announced) > MAX_BODY_BYTES:
        raise BodyTooLarge(limit_bytes=MAX_BODY_BYTES)
    if request.method == "PUT" and request.META.get("CONTENT_TYPE", "").lower() not in _JSON:
        raise RequestMalformed(part="content-type")
    if request.method == "PUT" and request.META.get("QUERY_STRING"):
        # A query is not signed: nothing that writes may depend on one.
        raise RequestMalformed(part="query")
    try:
        return request.body
    except RequestDataTooBig:
        raise BodyTooLarge(limit_bytes=MAX_BODY_BYTES) from None


def _signed_request(request: HttpRequest, body: bytes) -> SignedRequest:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in request.META.items()
        if isinstance(value, str) and (name.startswith("HTTP_") or name in _HEADERS)
    }
    return SignedRequest(request.method or "", request.path, headers, body)
