"""The regulation in force and its articles, so that every citation leads to its words."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.regulations.current import named, text_articles
from shuqiao.control.regulations.queries import article_text
from shuqiao.control.texts import Text
from shuqiao.control.web.shell import is_partial, show, signed_in


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
    return show(request, viewer, "pages/article.html", context)


@require_safe
@signed_in
def regulation_page(request: HttpRequest, viewer: Viewer, regulation: str) -> HttpResponse:
    """Show the whole text, article by article."""
    articles = text_articles(_known(regulation))
    context = {"title": _title(regulation), "articles": articles.items(), "regulation": regulation}
    return show(request, viewer, "pages/regulation.html", context)


def _known(regulation: str) -> str:
    # Cases keep the regulation they began under; so far only the one in force is loaded.
    if regulation != settings.CONFIG.regulation:
        raise Http404
    return regulation


def _title(regulation: str) -> Text:
    title = named(regulation).title
    return Text(title.zh, title.en)
