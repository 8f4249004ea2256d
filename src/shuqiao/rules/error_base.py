"""What every refusal has: a stable code, a status, words in two languages, and the rule it rests on.

A class of errors names a matter (`within_grant`) and no article: which article speaks of it is said by the
regulation in force, whose `citations` whoever shows the error passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from types import MappingProxyType
from typing import ClassVar

_ARTICLE = re.compile(r"art\. ([0-9]+)(?:¶([0-9]+))?")
_SETTING = re.compile(r"[a-z0-9-]+ setting")
_NO_CITATIONS: Mapping[str, str] = MappingProxyType({})


def _names_in(template: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def _cited_in_chinese(rule: str) -> str:
    """A citation such as `guangzhou-2016 art. 35(1)` with the article in Chinese."""
    named = _ARTICLE.sub(lambda found: f"第{found[1]}条" + (f"第{found[2]}款" if found[2] else ""), rule)
    return _SETTING.sub("平台设定", named)


def _cited_in_english(rule: str) -> str:
    named = _ARTICLE.sub(lambda found: f"art. {found[1]}" + (f", para. {found[2]}" if found[2] else ""), rule)
    return _SETTING.sub("platform setting", named)


class ShuqiaoError(Exception):
    """A refusal with a code that never changes and a message that says what to do next.

    `rule` cites what the refusal rests on, where a decision knows it; otherwise the `matter` of the class is
    looked up in the citations of the regulation, and the technical `standard` stands beside it.
    A field the message names and the caller leaves out is a fault of ours and raises TypeError.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    message_zh: ClassVar[str] = "处理未能完成。请稍后重试；仍有问题请联系平台管理机构。"
    message_en: ClassVar[str] = (
        "The work could not be completed. Try again later; if it persists, contact the platform agency."
    )
    matter: ClassVar[str] = ""
    standard: ClassVar[str] = ""
    field_names: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        """Collect the fields that the two messages name."""
        cls.field_names = _names_in(cls.message_zh) | _names_in(cls.message_en)

    def __init__(self, *, rule: str | None = None, **fields: str | int) -> None:
        """Keep the fields; `rule` goes before the matter of the class."""
        missing = self.field_names - fields.keys()
        if missing:
            raise TypeError(f"{type(self).__name__} needs {', '.join(sorted(missing))}")
        super().__init__(self.code)
        self.fields: dict[str, str] = {name: str(value) for name, value in fields.items()}
        self.rule: str | None = rule

    def cited(self, citations: Mapping[str, str] = _NO_CITATIONS) -> str | None:
        """What the refusal rests on, by the citations of the regulation in force; None where unknown."""
        if self.rule is not None:
            return self.rule
        return "; ".join(filter(None, (citations.get(self.matter), self.standard))) or None

    def said(self, language: str = "zh") -> str:
        """The message in Chinese or English, without the rule it rests on."""
        message = self.message_en if language.startswith("en") else self.message_zh
        return message.format_map(self.fields)

    def explain(self, language: str = "zh", citations: Mapping[str, str] = _NO_CITATIONS) -> str:
        """The message in Chinese or English, with the rule it rests on."""
        rule, text = self.cited(citations), self.said(language)
        if language.startswith("en"):
            return f"{text} (Rule: {_cited_in_english(rule)})" if rule else text
        return f"{text}（依据：{_cited_in_chinese(rule)}）" if rule else text

    def __str__(self) -> str:
        """The code and the English message, for logs."""
        return f"{self.code}: {self.explain('en')}"
