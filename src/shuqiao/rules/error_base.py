"""What every refusal has: a stable code, a status, words in two languages, and the rule it rests on."""

from __future__ import annotations

import re
from string import Formatter
from typing import ClassVar

_ARTICLE = re.compile(r"art\. ([0-9]+)")


def _names_in(template: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def _cited_in_chinese(rule: str) -> str:
    """A citation such as `guangzhou-2016 art. 35(1)` with the article in Chinese."""
    return _ARTICLE.sub(r"第\1条", rule)


class ShuqiaoError(Exception):
    """A refusal with a code that never changes and a message that says what to do next.

    `rule` cites what the refusal rests on; a decision that knows a better citation passes it.
    A field the message names and the caller leaves out is a fault of ours and raises TypeError.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    message_zh: ClassVar[str] = "处理未能完成。请稍后重试；仍有问题请联系平台管理机构。"
    message_en: ClassVar[str] = (
        "The work could not be completed. Try again later; if it persists, contact the platform agency."
    )
    default_rule: ClassVar[str | None] = None
    field_names: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        """Collect the fields that the two messages name."""
        cls.field_names = _names_in(cls.message_zh) | _names_in(cls.message_en)

    def __init__(self, *, rule: str | None = None, **fields: str | int) -> None:
        """Keep the fields; `rule` replaces the citation of the class."""
        missing = self.field_names - fields.keys()
        if missing:
            raise TypeError(f"{type(self).__name__} needs {', '.join(sorted(missing))}")
        super().__init__(self.code)
        self.fields: dict[str, str] = {name: str(value) for name, value in fields.items()}
        self.rule: str | None = rule if rule is not None else self.default_rule

    def explain(self, language: str = "zh") -> str:
        """The message in Chinese or English, with the rule it rests on."""
        if language.startswith("en"):
            text = self.message_en.format_map(self.fields)
            return f"{text} (Rule: {self.rule})" if self.rule else text
        text = self.message_zh.format_map(self.fields)
        return f"{text}（依据：{_cited_in_chinese(self.rule)}）" if self.rule else text

    def __str__(self) -> str:
        """The code and the English message, for logs."""
        return f"{self.code}: {self.explain('en')}"
