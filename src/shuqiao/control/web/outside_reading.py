"""What every address for other systems shares: who reads, how much, in which form, and of which edition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.cache import patch_vary_headers

from shuqiao.control.accounts.access import viewer_of
from shuqiao.control.accounts.models import Account
from shuqiao.control.compiling.interface.signed import SignedRequest, authenticate
from shuqiao.control.exports.edition import edition, entity_tag
from shuqiao.control.exports.limits import wait_s
from shuqiao.control.exports.readers import Places, Reader, reader_of
from shuqiao.control.texts import Text
from shuqiao.control.web.client_address import client_address
from shuqiao.rules.errors import ShuqiaoError
from shuqiao.security.http_signatures import single_headers

P = ParamSpec("P")
TOO_MANY = Text("请求过于频繁，请稍后再试。", "Too many requests: try again in a moment.")


@dataclass(frozen=True)
class Reading:
    """Who reads, where things are, and the edition that is given out now."""

    reader: Reader
    places: Places
    edition: str


View = Callable[Concatenate[HttpRequest, Reading, P], HttpResponseBase]
Refuse = Callable[[int, str, Text], HttpResponse]


def refuse(status: int, code: str, words: Text) -> HttpResponse:
    """Refuse as problem details (RFC 9457)."""
    content = {"type": "about:blank", "status": status, "code": code, "title": str(words)}
    response = JsonResponse(content, status=status, json_dumps_params={"ensure_ascii": False})
    response.headers["Content-Type"] = "application/problem+json"
    return response


def outside(
    form: Callable[[HttpRequest, str], str | None], refuse: Refuse = refuse
) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]]:
    """Let anybody read within bounds; `form` says in which form the answer is, or None where it can't be.

    An answer carries the edition's tag, and one that a reader still holds is not given again. A signature
    that is wrong is refused; it never reads as the public.
    """

    def wrap(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def page(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                reader = _reader(request)
            except ShuqiaoError as error:
                return refuse(error.status, error.code, Text(error.explain("zh"), error.explain("en")))
            wait = wait_s(address_of(request)) if reader is Reader.PUBLIC else 0
            if wait:
                response: HttpResponseBase = refuse(429, "too_many_requests", TOO_MANY)
                response.headers["Retry-After"] = str(wait)
                return response
            kind = form(request, str(kwargs.get("suffix") or ""))
            if kind is None:
                words = Text("没有这种格式", "There is no such form")
                return _headed(refuse(406, "not_acceptable", words), reader)
            reading = Reading(reader, places(request), edition())
            tag = entity_tag(reading.edition, reader, kind)
            if request.method in ("GET", "HEAD") and tag in _held(request):
                response = HttpResponse(status=304)
            else:
                response = view(request, reading, *args, **kwargs)
            if response.status_code in (200, 304):
                response.headers["ETag"] = tag
            return _headed(response, reader)

        # `wraps` gives a type of its own that names the first parameter; Django passes it by place.
        return cast(Callable[Concatenate[HttpRequest, P], HttpResponseBase], page)

    return wrap


def places(request: HttpRequest) -> Places:
    """Where things are: under the public address, or without one under that which was asked."""
    return Places(settings.CONFIG.public_url or request.build_absolute_uri("/").rstrip("/"))


def negotiate(request: HttpRequest, types: Sequence[str]) -> str | None:
    """The media type a reader prefers among some; the first where it takes anything."""
    if not request.headers.get("Accept"):
        return types[0]
    chosen: str | None = request.get_preferred_type(list(types))
    return chosen


def _reader(request: HttpRequest) -> Reader:
    if "Signature-Input" in request.headers or "Signature" in request.headers:
        headers = single_headers((name.lower(), value) for name, value in request.headers.items())
        authenticate(SignedRequest(request.method or "", request.path, headers, request.body))
        return Reader.DEPARTMENT
    account: Any = request.user
    known = isinstance(account, Account) and account.is_active
    return reader_of(viewer_of(account) if known else None)


def address_of(request: HttpRequest) -> str:
    """The address that is counted for who asks."""
    return client_address(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        settings.CONFIG.trusted_proxies,
    )


def _held(request: HttpRequest) -> list[str]:
    return [tag.strip() for tag in request.headers.get("If-None-Match", "")[:2000].split(",")]


def _headed(response: HttpResponseBase, reader: Reader) -> HttpResponseBase:
    """Let answers be kept and asked about again; one for a department is nobody else's."""
    kept = "no-cache" if reader is Reader.PUBLIC else "private, no-cache"
    response.headers.setdefault("Cache-Control", kept)
    response.headers["X-Content-Type-Options"] = "nosniff"
    patch_vary_headers(response, ["Accept", "Accept-Language", "Cookie", "Signature-Input"])
    return response
