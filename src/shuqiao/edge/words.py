"""What the node says to people, in both languages: it speaks the one of the machine it runs on.

`SHUQIAO_LANGUAGE` (`zh` or `en`) decides; without it the locale does (`LC_ALL`, `LC_MESSAGES`, `LANG`), and a
locale of no language speaks English. Events of the log and stable codes are the same in both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

LANGUAGE_SETTING = "SHUQIAO_LANGUAGE"
_DECIDING = (LANGUAGE_SETTING, "LC_ALL", "LC_MESSAGES", "LANG")


def speaks_chinese(environment: Mapping[str, str]) -> bool:
    """Say whether the first setting that is there names Chinese."""
    named = next((environment[name] for name in _DECIDING if environment.get(name)), "")
    return named.lower().startswith("zh")


@dataclass(frozen=True)
class Words:
    """Chinese and English words for one thing; `str()` gives those of this machine's language."""

    zh: str
    en: str

    def __str__(self) -> str:
        """Return the words of the language that the environment names."""
        return self.zh if speaks_chinese(os.environ) else self.en
