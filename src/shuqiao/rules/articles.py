"""The text of a regulation taken apart: articles, paragraphs and numbered items, found by citation.

A citation is `8` (the whole article), `35(1)` (its first paragraph) or `42(3)` (its item (三), where the
article has a numbered list); `42¶1` always means a paragraph that is not a list item.
Source: the way docs/requirements.md cites the texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")}
_ARTICLE = re.compile(r"第([一二三四五六七八九十百零]{1,7})条\s+(.+)")
_DIVISION = re.compile(r"第[一二三四五六七八九十]{1,4}[章节](\s|$)")
_ITEM = re.compile(r"[(（]([一二三四五六七八九十]{1,4})[)）]")
_CITATION = re.compile(r"([1-9][0-9]{0,2})(?:\(([1-9][0-9]?)\)|¶([1-9][0-9]?))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Article:
    """One article: its lines in order, and which of them are numbered items."""

    number: int
    lines: tuple[str, ...]

    @property
    def items(self) -> tuple[str, ...]:
        """The lines (一), (二) …"""
        return tuple(line for line in self.lines if _ITEM.match(line))

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """The lines that are not numbered items."""
        return tuple(line for line in self.lines if not _ITEM.match(line))


@dataclass(frozen=True, slots=True)
class Clause:
    """What a citation stands for: its name in both languages and its lines in the language of the law."""

    citation: str
    zh: str
    en: str
    lines: tuple[str, ...]


def chinese_number(text: str) -> int:
    """The value of a Chinese numeral below 1000, such as 三十五."""
    total, digit = 0, 0
    for character in text:
        if character == "十":
            total, digit = total + (digit or 1) * 10, 0
        elif character == "百":
            total, digit = total + digit * 100, 0
        else:
            digit = _DIGITS[character]
    return total + digit


def chinese_numeral(number: int) -> str:
    """The Chinese numeral of 1 to 99."""
    tens, units = divmod(number, 10)
    ten = "" if tens == 0 else ("十" if tens == 1 else f"{'零一二三四五六七八九'[tens]}十")
    return ten + ("零一二三四五六七八九"[units] if units else "")


def parse_articles(text: str) -> dict[int, Article]:
    """All articles of a text by number; what stands before the first and headings between are left out.

    A line that begins with # is a note on the text, such as where an excerpt breaks off.
    """
    lines: dict[int, list[str]] = {}
    current: list[str] | None = None
    for line in (line.strip() for line in text.splitlines()):
        found = _ARTICLE.match(line)
        if found:
            current = lines.setdefault(chinese_number(found[1]), [])
            current.append(found[2])
        elif _DIVISION.match(line):
            current = None
        elif line and current is not None and not line.startswith("#"):
            current.append(line)
    return {number: Article(number, tuple(content)) for number, content in lines.items()}


def find_clause(articles: Mapping[int, Article], citation: str) -> Clause | None:
    """The clause a citation names, or None where the text has no such article, paragraph or item."""
    found = _CITATION.fullmatch(citation)
    article = articles.get(int(found[1])) if found else None
    if found is None or article is None:
        return None
    if found[2] is None and found[3] is None:
        return Clause(citation, *_names(article.number), article.lines)
    as_item = found[2] is not None and bool(article.items)
    choices = article.items if as_item else article.paragraphs
    place = int(found[2] or found[3])
    if place > len(choices):
        return None
    return Clause(citation, *_names(article.number, place, as_item=as_item), (choices[place - 1],))


def _names(number: int, place: int | None = None, *, as_item: bool = False) -> tuple[str, str]:
    zh, en = f"第{chinese_numeral(number)}条", f"art. {number}"
    if place is None:
        return zh, en
    if as_item:
        return f"{zh}第({chinese_numeral(place)})项", f"{en}({place})"
    return f"{zh}第{chinese_numeral(place)}款", f"{en}, para. {place}"
