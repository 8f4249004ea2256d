"""Filling what a regulation's text leaves unknown from another regulation, with every citation in full.

Sections are taken as a whole, deadlines and citations key by key. Nothing is taken silently: the section is
named in `unknown`, and each article taken reads `guangzhou-2016 art. 35(1)` instead of `35(1)`.
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
    }
)
"""What a text may leave unknown, each as a whole."""


def complete(content: Mapping[str, Any], fallback: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a file with everything it lacks taken from the (complete) fallback."""
    taken: dict[str, Any] = _cited_in_full(fallback, fallback["id"])
    own = {row["key"] for row in content["deadlines"]}
    return {
        **{key: taken[key] for key in content["unknown"]},
        **content,
        "fallback": fallback["id"],
        "deadlines": [*content["deadlines"], *(row for row in taken["deadlines"] if row["key"] not in own)],
        "citations": {**taken["citations"], **content["citations"]},
        "files": {**fallback["files"], **content["files"]},
    }


def cited_in_full(regulation_id: str, article: str) -> str:
    """An article as it reads outside its own regulation."""
    if " " in article:
        return article
    return f"{regulation_id} {article}" if article == SETTING else f"{regulation_id} art. {article}"


def split_citation(citation: str, regulation_id: str) -> tuple[str, str]:
    """The regulation and the article that a citation names, which may be in full or of `regulation_id`."""
    named, _, article = citation.rpartition(" ")
    return (named.removesuffix(" art.") or regulation_id, article)


def _cited_in_full(value: Any, regulation_id: str, *, is_citation: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {
            key: {name: cited_in_full(regulation_id, article) for name, article in inner.items()}
            if key == "citations"
            else _cited_in_full(inner, regulation_id, is_citation=key in CITING)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_cited_in_full(inner, regulation_id) for inner in value]
    return cited_in_full(regulation_id, value) if is_citation else value
