"""The catalogue's interface: departments' systems write draft entries and follow them (CAT-18)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from shuqiao.control.compiling.interface import reading
from shuqiao.control.compiling.interface.entries import put_entry, put_table
from shuqiao.control.compiling.interface.messages import KEY, MAX_PAGE, read_put
from shuqiao.control.compiling.interface.openapi import DOCUMENT
from shuqiao.control.compiling.interface.signed import Caller
from shuqiao.control.web.api.answers import answer, by_method, problem, signed
from shuqiao.rules.errors import EntryNotFound, RequestMalformed

_CREATED = 201


@signed
def _put_entry(request: HttpRequest, caller: Caller, body: bytes, *, key: str) -> HttpResponse:  # noqa: ARG001
    done = put_entry(caller, key, read_put(body))
    return answer(done, _CREATED if done.result == "created" and not done.dry_run else 200)


@signed
def _put_table(request: HttpRequest, caller: Caller, body: bytes, *, key: str) -> HttpResponse:  # noqa: ARG001
    done = put_table(caller, key, body)
    return answer(done, _CREATED if done.result == "created" else 200)


@signed
def _get_entry(request: HttpRequest, caller: Caller, body: bytes, *, key: str) -> HttpResponse:  # noqa: ARG001
    return answer(reading.read_entry(caller, key))


@signed
def _get_draft(request: HttpRequest, caller: Caller, body: bytes, *, key: str) -> HttpResponse:  # noqa: ARG001
    return answer(reading.read_draft(caller, key))


@signed
def _list_entries(request: HttpRequest, caller: Caller, body: bytes) -> HttpResponse:  # noqa: ARG001
    return answer(reading.list_entries(caller, *_page(request)))


@signed
def _vocabulary(request: HttpRequest, caller: Caller, body: bytes) -> HttpResponse:  # noqa: ARG001
    return answer(reading.read_vocabulary(caller))


@signed
def _standards(request: HttpRequest, caller: Caller, body: bytes, *, kind: str) -> HttpResponse:  # noqa: ARG001
    return answer(reading.read_standards(kind, *_page(request)))


entry = by_method(GET=_get_entry, PUT=_put_entry)
draft = by_method(GET=_get_draft)
table = by_method(PUT=_put_table)
entries = by_method(GET=_list_entries)
vocabulary = by_method(GET=_vocabulary)
standards = by_method(GET=_standards)


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Describe the interface; it holds nothing of any department."""
    return HttpResponse(DOCUMENT, content_type="application/json")


def unknown(request: HttpRequest, rest: str) -> HttpResponse:  # noqa: ARG001
    """Say that there is no such address."""
    return problem(EntryNotFound())


def _page(request: HttpRequest) -> tuple[str, int]:
    """Read which page is asked for; a query is not signed, and only says where a list begins."""
    after, limit = request.GET.get("after", ""), request.GET.get("limit", str(MAX_PAGE))
    if after and KEY.fullmatch(after) is None and not after.isidentifier():
        raise RequestMalformed(part="after")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= MAX_PAGE):
        raise RequestMalformed(part="limit")
    return after[:80], int(limit)
