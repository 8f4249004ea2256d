"""Filling what a regulation's text leaves unknown from another regulation, with every citation in full.

Sections are taken as a whole, those of KEYED key by key where the file has some of their keys. Nothing is
taken silently: the section is named in `unknown`, or the file names or needs a fallback, and each article
taken reads `guangzhou-2016 art. 35(1)` instead of `35(1)`.
Source: guangzhou-2016 art. 48 (a district's own procedure); our choice, decision "the law is data".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shuqiao.rules.regulation import SETTING

CITING = frozenset({"article", "starts_article", "items_article"})
"""The keys of a regulation file whose value is an article; in `citations` every value is one."""

SECTIONS = frozenset(
    {
        "roles",
        "body_roles",
        "collection",
        "supply",
        "share_types",
        "catalogue",
        "request",
        "clocks",
        "procedures",
        "immediate",
        "grants",
        "disputes",
        "updates",
        "objections",
        "evaluation",
        "reports",
        "sanctions",
        "conditions",
        "exchange",
    }
)
"""What a text may leave unknown, each as a whole."""

KEYED = ("body_roles", "procedures", "deadlines", "citations", "conditions")
"""What a text at hand may know in part: the keys it lacks are taken from the fallback."""


def complete(content: Mapping[str, Any], fallback: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a file with everything it lacks taken from the (complete) fallback."""
    taken: dict[str, Any] = with_full_citations(fallback, fallback["id"])
    return {
        **{key: taken[key] for key in content["unknown"]},
        **content,
        **{key: _by_key(content[key], taken[key]) for key in KEYED if key in content},
        "fallback": fallback["id"],
        "files": {**fallback["files"], **content["files"]},
    }


def _by_key(own: Any, taken: Any) -> Any:
    """What the file has itself, then what only the fallback has."""
    if isinstance(own, Mapping):
        return {**own, **{key: value for key, value in taken.items() if key not in own}}
    keys = {row["key"] for row in own}
    return [*own, *(row for row in taken if row["key"] not in keys)]


def cited_in_full(regulation_id: str, article: str) -> str:
    """An article as it reads outside its own regulation."""
    if " " in article:
        return article
    return f"{regulation_id} {article}" if article == SETTING else f"{regulation_id} art. {article}"


def split_citation(citation: str, regulation_id: str) -> tuple[str, str]:
    """The regulation and the article that a citation names, which may be in full or of `regulation_id`."""
    named, _, article = citation.rpartition(" ")
    return (named.removesuffix(" art.") or regulation_id, article)


def with_full_citations(value: Mapping[str, Any], regulation_id: str) -> dict[str, Any]:
    """A part of a file with every article of it cited in full."""
    return {
        key: {name: cited_in_full(regulation_id, article) for name, article in inner.items()}
        if key == "citations"
        else _in_full(inner, regulation_id, is_citation=key in CITING)
        for key, inner in value.items()
    }


def _in_full(value: Any, regulation_id: str, *, is_citation: bool = False) -> Any:
    if isinstance(value, Mapping):
        return with_full_citations(value, regulation_id)
    if isinstance(value, list):
        return [_in_full(inner, regulation_id) for inner in value]
    return cited_in_full(regulation_id, value) if is_citation else value
