"""Names of data items in one written form, and the other names a datum goes by.

One datum is written 公民身份号码, 身份证号（18位） or 身份证的号码. Two names are the same where their keys
are, or where the synonyms of the city make one the other.
Source: our choice, decision "the same datum".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

MAX_VARIANTS = 64
"""So many names of one datum are looked for at most."""

_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|【[^【】]*】|〔[^〔〕]*〕|〈[^〈〉]*〉|《([^《》]*)》")
_FILLERS = re.compile(r"信息项|信息|数据项|的")


class How(StrEnum):
    """Why one name stands for another."""

    SAME = "same"
    SYNONYM = "synonym"
    ASKED_OF = "asked_of"


@dataclass(frozen=True, slots=True, eq=False)
class Synonyms:
    """The city's words: names of one datum, ends that change nothing, words before what is asked of somebody.

    The tables are of keys; `of_groups` makes them. Compared by identity: a city has one, and names found by
    it are kept.
    """

    same: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    endings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked_of: tuple[str, ...] = ()

    @classmethod
    def of_groups(
        cls,
        same: tuple[tuple[str, ...], ...],
        endings: tuple[tuple[str, ...], ...] = (),
        asked_of: tuple[str, ...] = (),
    ) -> Synonyms:
        """Take groups of words as a file writes them."""
        return cls(_table(same), _table(endings), tuple(sorted(map(name_key, asked_of), key=len)[::-1]))


@lru_cache(maxsize=1 << 16)
def name_key(name: str) -> str:
    """The written form of a name: half width, small letters, without brackets, marks, 的 and 信息.

    What would leave nothing is kept: `信息` stays. Idempotent.
    """
    plain = "".join(c for c in _unbracketed(_folded(name)) if c.isalnum())
    while True:
        shorter = _FILLERS.sub("", plain)
        if not shorter or shorter == plain:
            return plain
        plain = shorter


def qualifier(name: str) -> str:
    """What stands in the brackets of a name: 登记机关(工商) is not 登记机关(民政)."""
    folded = _folded(name)
    inside = "".join(found.group(0) for found in _BRACKETS.finditer(folded))
    return "".join(c for c in inside if c.isalnum()) if _unbracketed(folded) != folded else ""


@lru_cache(maxsize=1 << 15)
def variants(name: str, synonyms: Synonyms, *, asked: bool = False) -> Mapping[str, How]:
    """The keys under which the datum may be known, its own first, and why each.

    `asked` also looks behind the words a form puts before what somebody says of themselves (申请人姓名).
    """
    own = name_key(name)
    found: dict[str, How] = {own: How.SAME} if own else {}
    for key in _others(own, synonyms):
        found.setdefault(key, How.SYNONYM)
    if asked:
        inner = _behind(own, synonyms.asked_of)
        for key in (inner, *_others(inner, synonyms)) if inner else ():
            found.setdefault(key, How.ASKED_OF)
    return MappingProxyType(dict(list(found.items())[:MAX_VARIANTS]))


def likeness(one: str, other: str) -> float:
    """How far two keys share their neighbouring characters, from 0 to 1 (Dice); symmetric."""
    if one == other:
        return 1.0
    left, right = _pairs(one), _pairs(other)
    if not left or not right:
        return 0.0
    return 2 * len(left & right) / (len(left) + len(right))


def _folded(name: str) -> str:
    # Folding can bring what the compatibility form takes apart, so it is composed again.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _unbracketed(text: str) -> str:
    """The text without what stands in brackets, unless nothing would be left."""
    bare = text
    while True:
        shorter = _BRACKETS.sub(lambda found: found.group(1) or "", bare)
        if shorter == bare:
            break
        bare = shorter
    return bare if any(c.isalnum() for c in bare) else text


def _others(key: str, synonyms: Synonyms) -> tuple[str, ...]:
    """Other whole names of the datum, then the same name with its end said otherwise."""
    found = [other for other in synonyms.same.get(key, ()) if other != key]
    for cut in range(1, len(key)):
        head, tail = key[:cut], key[cut:]
        group = synonyms.same.get(tail) if len(tail) > 1 else None
        if group and len(head) > 1:
            found += [head + other for other in group if other != tail]
        ending = synonyms.endings.get(tail)
        if ending and len(head) > 1:
            for other in ending:
                if other != tail:
                    found.append(head + other)
                    found += [one for one in synonyms.same.get(head + other, ()) if one != key]
    return tuple(dict.fromkeys(found))


def _behind(key: str, words: tuple[str, ...]) -> str:
    for word in words:
        if key.startswith(word) and len(key) > len(word) + 1:
            return key[len(word) :]
    return ""


def _pairs(key: str) -> frozenset[str]:
    return frozenset(key[at : at + 2] for at in range(len(key) - 1)) or frozenset(key)


def _table(groups: tuple[tuple[str, ...], ...]) -> dict[str, tuple[str, ...]]:
    """From each key to all keys of its group; a word in two groups stands in the first."""
    found: dict[str, tuple[str, ...]] = {}
    for group in groups:
        keys = tuple(dict.fromkeys(name_key(word) for word in group))
        for key in keys:
            found.setdefault(key, keys)
    return found
