"""A text that exists in both languages and shows itself in the reader's."""

from dataclasses import dataclass

from django.utils.translation import get_language


@dataclass(frozen=True)
class Text:
    """Chinese and English words for one thing; `str()` gives those of the active language."""

    zh: str
    en: str

    def __str__(self) -> str:
        """Return the words of the active language, Chinese where there is none."""
        return self.en if (get_language() or "").startswith("en") else self.zh
