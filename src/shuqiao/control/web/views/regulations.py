"""Regulations: all that are loaded, one to read, two side by side, and what another one would mean today."""

from dataclasses import dataclass

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.clocks.whatif import LISTED, what_if
from shuqiao.control.regulations.current import readable, text_articles
from shuqiao.control.regulations.files import load_head, regulation_ids
from shuqiao.control.regulations.queries import article_text
from shuqiao.control.regulations.reading import compare, sections
from shuqiao.control.texts import Text
from shuqiao.control.web.shell import is_partial, show, signed_in
from shuqiao.rules.regulation import Head
from shuqiao.rules.validity import Applied, Standing, standing_on

STANDINGS = {
    Standing.UNDATED: (Text("未载日期", "Undated"), "", "calendar-off"),
    Standing.NOT_YET: (Text("尚未施行", "Not yet in force"), "", "calendar"),
    Standing.IN_FORCE: (Text("有效", "In force"), "ok", "circle-check"),
    Standing.ENDING: (Text("即将到期", "Ends soon"), "warn", "alert-triangle"),
    Standing.ENDED: (Text("已到期", "Ended"), "bad", "circle-x"),
}


@dataclass(frozen=True)
class Listed:
    """A regulation of the list: what its file says, how it stands, and whether the platform works by it."""

    head: Head
    applied: Applied
    words: Text
    kind: str
    icon: str
    in_force_here: bool

    @property
    def title(self) -> Text:
        """Its title in the reader's language."""
        return Text(self.head.title.zh, self.head.title.en)

    @property
    def short(self) -> Text:
        """How citations call it."""
        return Text(self.head.short.zh, self.head.short.en)

    @property
    def note(self) -> Text:
        """What is to be said of its validity."""
        return Text(self.head.validity.note.zh, self.head.validity.note.en)


@require_safe
@signed_in
def regulation_list(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show every regulation with its validity, and warn where the one in force has to be revised."""
    rows = [_listed(one) for one in regulation_ids()]
    context = {
        "rows": sorted(rows, key=lambda row: not row.in_force_here),
        "ending": next((row for row in rows if row.in_force_here and row.applied.needs_revision), None),
        "may_compare": viewer.can(Capability.RULES_COMPARE),
    }
    return show(request, viewer, "pages/regulations.html", context)


@require_safe
@signed_in
def regulation_page(request: HttpRequest, viewer: Viewer, regulation: str) -> HttpResponse:
    """Show one regulation as the platform reads it, every value with its article."""
    rules = readable(_known(regulation))
    context = {
        "listed": _listed(regulation),
        "rules": rules,
        "title": _title(regulation),
        "sections": sections(rules),
        "fallback": _title(rules.fallback) if rules.fallback else None,
        "may_compare": viewer.can(Capability.RULES_COMPARE),
    }
    return show(request, viewer, "pages/regulation.html", context, section="regulations")


@require_safe
@signed_in
def regulation_text(request: HttpRequest, viewer: Viewer, regulation: str) -> HttpResponse:
    """Show the whole text, article by article."""
    articles = text_articles(_known(regulation))
    context = {"title": _title(regulation), "articles": articles.items(), "regulation": regulation}
    return show(request, viewer, "pages/regulation_text.html", context, section="regulations")


@require_safe
@signed_in
def article(request: HttpRequest, viewer: Viewer, regulation: str, article: str) -> HttpResponse:
    """Show one article with its decisive words marked; as a part of a page where htmx asks."""
    found = article_text(article, _known(regulation))
    if found is None:
        raise Http404
    context = {"article": found, "title": _title(regulation), "regulation": regulation}
    if is_partial(request):
        return render(request, "pages/article_part.html", context)
    return show(request, viewer, "pages/article.html", context, section="regulations")


@require_safe
@signed_in
def regulation_compare(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show two regulations side by side, differences marked."""
    _may_compare(viewer)
    left = _known(request.GET.get("left") or settings.CONFIG.regulation)
    right = _known(request.GET.get("right") or _another(left))
    only = request.GET.get("only") == "differences"
    parts = compare(readable(left), readable(right))
    context = {
        "parts": parts,
        "only_differences": only,
        "differences": sum(part.differences for part in parts),
        "left": _listed(left),
        "right": _listed(right),
        "choices": _choices(),
    }
    return show(request, viewer, "pages/regulation_compare.html", context, section="regulations")


@require_safe
@signed_in
def what_if_page(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show what would be overdue today under another regulation; nothing is changed."""
    _may_compare(viewer)
    other = _known(request.GET.get("under") or _another(settings.CONFIG.regulation))
    context = {
        "answer": what_if(other),
        "own": _listed(settings.CONFIG.regulation),
        "other": _listed(other),
        "choices": [(key, words) for key, words in _choices() if key != settings.CONFIG.regulation],
        "listed": LISTED,
    }
    return show(request, viewer, "pages/what_if.html", context, section="regulations")


def _may_compare(viewer: Viewer) -> None:
    if not viewer.can(Capability.RULES_COMPARE):
        raise Http404


def _known(regulation: str) -> str:
    if regulation not in regulation_ids():
        raise Http404
    return regulation


def _another(regulation: str) -> str:
    return next((one for one in regulation_ids() if one != regulation), regulation)


def _choices() -> list[tuple[str, Text]]:
    return [(one, _title(one)) for one in regulation_ids()]


def _listed(regulation: str) -> Listed:
    head = load_head(regulation)
    applied = standing_on(head.validity, clock.today())
    words, kind, icon = STANDINGS[applied.standing]
    return Listed(head, applied, words, kind, icon, regulation == settings.CONFIG.regulation)


def _title(regulation: str) -> Text:
    title = load_head(regulation).title
    return Text(title.zh, title.en)
