"""Refusals in words for people: what happened, and the rule it rests on by the name people know it by.

Programs get the same refusals with citations by id (`ShuqiaoError.explain`), which never change.
"""

from functools import lru_cache

from django.conf import settings

from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref, citations
from shuqiao.control.texts import Text
from shuqiao.rules.errors import BY_CODE, BatchNotCleared, ShuqiaoError
from shuqiao.rules.procedures import Refusal

_ARTICLE = " art. "


def articles_of(error: ShuqiaoError) -> tuple[ArticleRef, ...]:
    """The articles that a refusal rests on, by the regulation in force where it names only its matter."""
    return tuple(article_ref(part) for part in _parts(error) if _ARTICLE in part)


def articles_by_code(code: str) -> tuple[ArticleRef, ...]:
    """The articles that refusals of a code rest on by the regulation in force; none for a setting.

    A batch that nobody has cleared is refused for want of the reviews, each of which has its own.
    """
    # A page of a node names the same few codes a thousand times.
    return _articles_by_code(code, settings.CONFIG.regulation, settings.CONFIG.regulation_fallback)


@lru_cache(maxsize=500)
def _articles_by_code(code: str, _regulation: str, _fallback: str | None) -> tuple[ArticleRef, ...]:
    if code == BatchNotCleared.code:
        named = [review.article for review in regulation().reviews]
    else:
        named = [citations().get(getattr(BY_CODE.get(code), "matter", ""), "")]
    return tuple(ref for ref in (article_ref(one) for one in named if one) if ref.article)


def worded(error: ShuqiaoError) -> Text:
    """A refusal in both languages, with its rule in words; a standard is named as it is."""
    said = Text(error.said("zh"), error.said("en"))
    names = [article_ref(part).cite if _ARTICLE in part else Text(part, part) for part in _parts(error)]
    if not names:
        return said
    zh, en = "；".join(name.zh for name in names), "; ".join(name.en for name in names)
    return Text(f"{said.zh}（依据：{zh}）", f"{said.en} (Rule: {en})")


def refusal_words(refusal: Refusal) -> Text:
    """What the rules refuse, in both languages; its named fields are in each language's words."""
    return Text(worded(refusal.error("zh")).zh, worded(refusal.error("en")).en)


def _parts(error: ShuqiaoError) -> list[str]:
    return [part for part in (error.cited(citations()) or "").split("; ") if part]
