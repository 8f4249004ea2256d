"""The sharing catalogue for other systems: as tables, and as DCAT in Turtle and JSON-LD."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.urls import reverse
from django.views.decorators.http import require_safe

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.exports import rdf, tables
from shuqiao.control.exports.documents import catalogue_document, entry_document, terms_document
from shuqiao.control.exports.entries import entries_of
from shuqiao.control.exports.limits import whole_file
from shuqiao.control.exports.rdf import Node
from shuqiao.control.exports.readers import Reader
from shuqiao.control.exports.selecting import LOOKUPS, MAX_VALUES, Condition, select
from shuqiao.control.exports.spreadsheet import csv_file, xlsx_file
from shuqiao.control.texts import Text
from shuqiao.control.web.outside_reading import Reading, negotiate, outside, refuse
from shuqiao.control.web.templatetags.sq import in_english

TURTLE, JSON_LD, HTML = "text/turtle", "application/ld+json", "text/html"
_WRITERS: Final[dict[str, Callable[[Iterable[Node]], Iterator[str]]]] = {
    TURTLE: rdf.turtle,
    JSON_LD: rdf.json_ld,
}
_SUFFIXES = {"ttl": TURTLE, "jsonld": JSON_LD}
_TABLES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_RESOURCE = re.compile(r"r[0-9]{6}[a-z2-7]{10}", re.ASCII)
FILTERS = (*LOOKUPS, "subject", "theme")
"""The filters of the search page that a table can be narrowed by."""


def _graph_form(request: HttpRequest, suffix: str) -> str | None:
    return _SUFFIXES.get(suffix) if suffix else negotiate(request, (JSON_LD, TURTLE, HTML))


def _table_form(_request: HttpRequest, suffix: str) -> str | None:
    return suffix if suffix in _TABLES else None


@require_safe
@outside(_graph_form)
def catalogue(request: HttpRequest, reading: Reading, suffix: str = "") -> HttpResponseBase:
    """Give one page of the catalogue; a browser goes to the page for people."""
    form = _graph_form(request, suffix)
    if form == HTML:
        return _to_people(reading, "")
    after = request.GET.get("after", "")
    if after and not _RESOURCE.fullmatch(after):
        return refuse(400, "after_invalid", Text("after 须为条目标识", "after must be the id of an entry"))
    nodes, following = catalogue_document(reading.places, reading.reader, reading.edition, after)
    response = _written(nodes, form or JSON_LD)
    if following is not None:
        response.headers["Link"] = f'<{following}>; rel="next"'
    return response


@require_safe
@outside(_graph_form)
def dataset(request: HttpRequest, reading: Reading, resource: str, suffix: str = "") -> HttpResponseBase:
    """Give one entry; hidden and absent ones are answered alike, in every form."""
    try:
        nodes = entry_document(reading.places, reading.reader, resource)
    except NotFound:
        return refuse(404, "not_found", Text("没有这个条目", "There is no such entry"))
    form = _graph_form(request, suffix)
    return _to_people(reading, resource) if form == HTML else _written(nodes, form or JSON_LD)


@require_safe
@outside(_graph_form)
def terms(request: HttpRequest, reading: Reading, suffix: str = "") -> HttpResponseBase:
    """Give the departments, subjects and libraries that entries name."""
    form = _graph_form(request, suffix)
    if form == HTML:
        return _to_people(reading, "")
    return _written(terms_document(reading.places, reading.reader), form or JSON_LD)


@require_safe
@outside(_table_form)
def sharing_table(request: HttpRequest, reading: Reading, suffix: str) -> HttpResponseBase:
    """Give the sharing catalogue, or what a search of it finds, as a table; departments only."""
    if reading.reader is not Reader.DEPARTMENT:
        return refuse(404, "not_found", Text("没有这个页面", "There is no such page"))
    return _table(request, Reader.DEPARTMENT, suffix)


@require_safe
@outside(_table_form)
def open_table(request: HttpRequest, _reading: Reading, suffix: str) -> HttpResponseBase:
    """Give the open entries as a table, the same to everybody."""
    return _table(request, Reader.PUBLIC, suffix)


def _table(request: HttpRequest, reader: Reader, suffix: str) -> HttpResponseBase:
    conditions = [
        Condition(name, tuple(value[:200] for value in request.GET.getlist(name)[:MAX_VALUES]))
        for name in FILTERS
        if request.GET.getlist(name)
    ]
    wanted = select(reader, request.GET.get("q", ""), conditions, plain="plain" in request.GET)
    file = whole_file(reader, _file_of(wanted.order_by("code"), reader, suffix))
    if file is None:
        words = Text("正在导出的人较多，请稍后再试。", "Many files are being made: try again in a moment.")
        response: HttpResponseBase = refuse(503, "busy", words)
        response.headers["Retry-After"] = "30"
        return response
    response = StreamingHttpResponse(file, content_type=_TABLES[suffix])
    name = (
        f"{'open' if reader is Reader.PUBLIC else 'sharing'}-catalogue-{clock.today().isoformat()}.{suffix}"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _file_of(wanted: QuerySet[Resource], reader: Reader, suffix: str) -> Iterator[bytes]:
    """Write the table piece by piece, while it is read."""
    say = tables.english if in_english() else tables.chinese
    header, rows = tables.header(say), tables.rows(entries_of(wanted, reader), say)
    if suffix == "csv":
        return csv_file(chain([header], rows))
    return xlsx_file(say(tables.SHEET), header, rows)


def _written(nodes: Iterable[Node], form: str) -> HttpResponse:
    """Write a document: its size is bounded, so that what fails fails before anything is sent."""
    return HttpResponse("".join(_WRITERS[form](nodes)), content_type=f"{form}; charset=utf-8")


def _to_people(reading: Reading, resource: str) -> HttpResponse:
    """Send a browser to the page that says the same to people."""
    if resource:
        address = reading.places.page(resource, reading.reader)
    else:
        name = "open_catalogue" if reading.reader is Reader.PUBLIC else "catalogue"
        address = reading.places.base + reverse(name)
    response = HttpResponseRedirect(address)
    response.status_code = 303
    return response
