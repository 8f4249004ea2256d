"""The city's standards, how far delivered data agree with them, and the libraries of the platform."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_http_methods, require_safe

from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.libraries import libraries, library_page
from shuqiao.control.catalogue.standard_use import use_counts, uses_of
from shuqiao.control.operations.audit import may_read_audit
from shuqiao.control.standards import download, pages
from shuqiao.control.standards.conformity import KINDS as FAULT_KINDS
from shuqiao.control.standards.conformity import conformity_page, month_of
from shuqiao.control.standards.contents import Code, Content, Kind
from shuqiao.control.standards.publishing import PUBLISH, StandardInput, existing, publish_standard
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, say_done, show_form
from shuqiao.control.web.reading import faults_of, page_number
from shuqiao.control.web.shell import show, signed_in

MAX_TEXT_CHARS = 1_000_000
_WRITERS: dict[str, tuple[str, Callable[[download.Table, str], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", lambda table, _: download.as_csv(table)),
    "xlsx": (
        download.XLSX,
        download.as_xlsx,
    ),
}


@require_safe
@signed_in
def standards(request: HttpRequest, viewer: Viewer, kind: str = "element") -> HttpResponse:
    """List the standards of a kind, with search."""
    query, gap = request.GET.get("q", ""), request.GET.get("gap") == "1"
    page = pages.standard_list(viewer, pages.kind_of(kind), query, gap=gap, page=page_number(request))
    context = {"page": page, "uses": use_counts(viewer, kind, [row.key for row in page.rows])}
    return show(request, viewer, "pages/standards.html", context, section="standards")


@require_safe
@signed_in
def standard(request: HttpRequest, viewer: Viewer, kind: str, key: str) -> HttpResponse:
    """Show one standard with its versions and where it is used."""
    page = pages.standard_page(
        viewer, pages.kind_of(kind), key, request.GET.get("q", ""), page_number(request)
    )
    context = {"page": page, "uses": uses_of(viewer, kind, key), "sees_audit": may_read_audit(viewer)}
    return show(request, viewer, "pages/standard.html", context, section="standards")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def standard_edit(request: HttpRequest, viewer: Viewer, kind: str, key: str = "") -> HttpResponse:
    """Write a new version of a standard, or a new one, and publish it to all departments."""
    require(viewer, Capability.CATALOGUE_REVIEW, PUBLISH)
    form = pages.standard_form(pages.kind_of(kind), key)
    if request.method != "POST":
        return _form_page(request, viewer, form, _values(form.content, form.key), {})
    posted = request.POST
    try:
        given = _given(form, posted)
        version = publish_standard(viewer, given)
    except FormRefused as refused:
        return _form_page(request, viewer, form, posted, faults_of(refused))
    words = Text(
        f"第 {version} 版已发布，各部门已收到通知。", f"Version {version} is published to all departments."
    )
    return say_done(request, words, "standard", kind=kind, key=given.key)


@require_safe
@signed_in
def standards_download(request: HttpRequest, viewer: Viewer, kind: str, form: str) -> HttpResponse:  # noqa: ARG001 - a view takes them
    """Give all standards of a kind as a table."""
    pages.require_reader(viewer)
    return _file(form, download.kind_table(pages.kind_of(kind)), f"standards-{kind}")


@require_safe
@signed_in
def codes_download(request: HttpRequest, viewer: Viewer, key: str, form: str) -> HttpResponse:  # noqa: ARG001 - a view takes them
    """Give the codes of a list as a table."""
    pages.require_reader(viewer)
    return _file(form, download.code_table(existing(Kind.CODE_LIST, key)), key)


@require_safe
@signed_in
def conformity(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show how far the data delivered in a month agree with the standards."""
    month = month_of(request.GET.get("month", ""))
    page = conformity_page(viewer, month, request.GET.get("department", "")[:40])
    return show(request, viewer, "pages/conformity.html", {"page": page, "kinds": FAULT_KINDS})


@require_safe
@signed_in
def library_list(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the libraries of the platform by kind."""
    return show(request, viewer, "pages/libraries.html", {"kinds": libraries(viewer)})


@require_safe
@signed_in
def library(request: HttpRequest, viewer: Viewer, kind: str, key: str) -> HttpResponse:
    """Walk through one library."""
    page = library_page(viewer, kind, key, page_number(request))
    return show(request, viewer, "pages/library.html", {"page": page}, section="libraries")


def _file(form: str, table: download.Table, name: str) -> HttpResponse:
    if form not in _WRITERS:
        raise NotFound
    media, write = _WRITERS[form]
    answer = HttpResponse(write(table, name), content_type=media)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def _form_page(
    request: HttpRequest,
    viewer: Viewer,
    form: pages.StandardForm,
    values: QueryDict | dict[str, str],
    faults: Faults,
) -> HttpResponse:
    context = {
        "form": form,
        "values": values,
        "others": [words for name, words in faults.items() if name in ("base_version", "content")],
    }
    return show_form(request, viewer, "pages/standard_edit.html", context, faults, section="standards")


def _values(content: Content | None, key: str) -> dict[str, str]:
    """Put a version into the fields of the form."""
    if content is None:
        return {"key": key}
    plain = {
        name: str(getattr(content, name) or "")
        for name in content.__struct_fields__
        if name not in ("synonyms", "fields", "codes", "to_verify", "ended", "sensitivity")
    }
    codes = (",".join(filter(None, (code.value, code.zh, code.en))) for code in content.codes)
    return {
        **plain,
        "key": key,
        "sensitivity": "" if content.sensitivity is None else str(content.sensitivity),
        "synonyms": "、".join(content.synonyms),
        "fields": ", ".join(content.fields),
        "codes": "\n".join(codes),
        "to_verify": "1" if content.to_verify else "",
        "ended": "1" if content.ended else "",
    }


def _given(form: pages.StandardForm, post: QueryDict) -> StandardInput:
    texts = ("zh", "en", "note_zh", "note_en", "data_type", "format", "code_list", "broader")
    more = ("pattern", "check", "example", "national", "provincial")
    content = Content(
        **{name: post.get(name, "").strip()[:1000] for name in (*texts, *more)},
        length=_number(post.get("length", "")),
        sensitivity=_number(post.get("sensitivity", "")),
        synonyms=_names(post.get("synonyms", "")),
        fields=_names(post.get("fields", "")),
        codes=tuple(_codes(post.get("codes", "")[:MAX_TEXT_CHARS])),
        to_verify=post.get("to_verify") == "1",
        ended=post.get("ended") == "1",
    )
    key = form.key or post.get("key", "").strip()[:80]
    base = _number(post.get("base_version", "")) or 0
    return StandardInput(Kind(form.kind), key, content, post.get("reason", "")[:2000], base)


def _names(text: str) -> tuple[str, ...]:
    """Read names separated by commas of either script or lines; each counts once."""
    parts = text[:10_000].replace("、", ",").replace("，", ",").replace("\n", ",").split(",")
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _codes(text: str) -> list[Code]:
    """Read one code a line: value, meaning and perhaps its English, separated by commas or tabs."""
    found = []
    for line in text.splitlines():
        if line.strip():
            value, zh, en = [*line.replace("\t", ",").replace("，", ",").split(",", 2), "", ""][:3]
            found.append(Code(value.strip(), zh.strip(), en.strip()))
    return found


def _number(text: str) -> int | None:
    """Read a number; anything else is none, and what is out of range is refused with its field."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
