"""What a regulation says of share types: their order, what each must state, base items and relations.

Source: guangzhou-2019 art. 9, 10; xiamen-2015 art. 4; shenyang-2016 art. 10; guangdong-2008 art. 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShareType:
    """A share type; `openness` orders them from 0 (not shared) to 2 (to all).

    `requires` names what an entry of this type must state (ground, conditions); `ground_ranks` the ranks of
    norm that may ground it, any rank where empty.
    """

    key: str
    zh: str
    en: str
    openness: int
    article: str
    requires: tuple[str, ...]
    ground_ranks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BaseItems:
    """Which items of which lists are 基础信息项, and the type they bear; others are conditional (TYP-05)."""

    share_type: str
    lists: Mapping[str, tuple[str, ...]]
    article: str
    items_article: str


@dataclass(frozen=True, slots=True)
class Relation:
    """Information connected with some kind of work must be at least this open (TYP-06)."""

    key: str
    zh: str
    en: str
    least_openness: int
    article: str


@dataclass(frozen=True, slots=True)
class ShareTypes:
    """All a regulation says of share types; `default` and `ruled_by` are None where it says nothing."""

    types: tuple[ShareType, ...]
    default: str | None
    default_article: str
    base_items: BaseItems | None
    relations: tuple[Relation, ...]
    ruled_by: str | None
    ruled_by_article: str

    def named(self, key: str | None) -> ShareType | None:
        """The share type with this key, or None."""
        return next((one for one in self.types if one.key == key), None)
