"""The two levels of platforms: on which one a list of base information lies, and how far it reaches.

What a body collects goes to the platform of its own level, and each level shares through its own first. Rows
lie once, with whoever collected them; the other level asks for them there.
Source: guangzhou-2016 art. 28(2), 33.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shuqiao.rules.rows import Row


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform of one level, as the regulation calls it; by `article` its bodies use it first."""

    zh: str
    en: str
    article: str


@dataclass(frozen=True, slots=True)
class Platforms:
    """The platforms of a city that has two levels; by `base_article` base information goes to both."""

    city: Platform
    district: Platform
    base_article: str

    def of(self, region: str, city: str) -> Platform:
        """The platform on which what bodies of a region provide lies; `city` is the city's own region."""
        return self.city if region == city else self.district


def collectors(named: Sequence[Collection[str]], bodies: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The bodies of a district that collect a list: those that answer for a department the list names.

    `named` are the words of the law for each of the list's departments, in its order, the responsible one
    first; `bodies` the words of the law that each body answers for. Empty is a list that nobody there
    collects.
    """
    found = (
        code for words in named for code, own in sorted(bodies.items()) if not set(words).isdisjoint(own)
    )
    return tuple(dict.fromkeys(found))


def own_people(division: str, *, region: str, holder: str, city: str) -> tuple[Row, ...]:
    """Which records of the city's list concern a body's own district; `division` is the item that says so.

    Nothing where the list has no such item, the body is the city's, or the list isn't the city's.
    """
    if not division or region == city or holder != city:
        return ()
    return (Row(division, "eq", (region,)),)
