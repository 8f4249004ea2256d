"""Share types on one scale, whatever a city calls them: choosing one, and what it gives to a requester.

A regulation that names none gives every first request the full procedure.
Source: guangzhou-2016 art. 35(1) (names none); guangzhou-2019-165 art. 9, 10; xiamen-2015 art. 4;
shenyang-2016 art. 10; guangdong-2008 art. 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from shuqiao.rules.procedures import Refusal
from shuqiao.rules.regulation import SETTING, Regulation, Words
from shuqiao.rules.share_types import BaseItems, ShareType


class Openness(IntEnum):
    """From what nobody gets to what everybody entitled gets at once."""

    NOT_SHARED = 0
    ON_CONDITIONS = 1
    TO_ALL = 2


RANKS: Mapping[str, Words] = {
    "law": Words("法律", "Law"),
    "administrative_regulation": Words("行政法规", "Administrative regulation"),
    "central_policy": Words("党中央、国务院政策", "Policy of the Party centre or the State Council"),
    "local_regulation": Words("地方性法规", "Local regulation"),
    "rule": Words("规章", "Government rule"),
    "policy": Words("其他政策文件", "Other policy"),
    "other": Words("其他依据", "Other ground"),
}
"""The ranks of a norm that may ground a share type, highest first."""


class WayKind(StrEnum):
    """What follows when a requester asks for information."""

    IMMEDIATE = "immediate"
    REVIEW = "review"
    NOT_AVAILABLE = "not_available"


@dataclass(frozen=True, slots=True)
class ItemSharing:
    """How one item is shared: the type in force for it, to whom, and in which modes it is published.

    `share_type` is None while nobody has chosen one. Empty `departments` are all of them.
    """

    field: str
    share_type: str | None
    departments: frozenset[str] = frozenset()
    sensitivity: int = 0
    modes: frozenset[str] = frozenset({"verify", "query"})


@dataclass(frozen=True, slots=True)
class Way:
    """How what is asked for is obtained, the article, and which items decided it and why.

    `because` is share_type, departments, mode, sensitive, unclassified or empty.
    """

    kind: WayKind
    article: str
    because: str = ""
    fields: tuple[str, ...] = ()


def way_of(items: Iterable[ItemSharing], requester: str, mode: str, regulation: Regulation) -> Way:
    """Whether a request for these items is granted at once, goes to review, or can't be made at all.

    `requester` is a department's code. The strictest item decides for all: what is not shared, not for this
    department or not published in this mode can't be asked for; one item that needs review, or is too
    sensitive to be given unseen, sends the request to review. Nothing asked for gives nothing at once.
    """
    asked = tuple(items)
    closed = _closed(asked, requester, mode, regulation)
    if closed is not None:
        return closed
    if not regulation.share_types.types:
        return Way(WayKind.REVIEW, _matter(regulation, "first_request"))
    return _opened(asked, regulation)


def _closed(asked: tuple[ItemSharing, ...], requester: str, mode: str, rules: Regulation) -> Way | None:
    """The first reason for which one of the items can't be asked for."""
    named = {item.field: rules.share_types.named(item.share_type) for item in asked}
    kept = [one for one in named.values() if one is not None and one.openness == Openness.NOT_SHARED]
    if kept:
        fields = tuple(key for key, one in named.items() if one in kept)
        return Way(WayKind.NOT_AVAILABLE, rules.cite(kept[0].article), "share_type", fields)
    others = [item for item in asked if item.departments and requester not in item.departments]
    if others:
        chosen = named[others[0].field]
        article = rules.cite(chosen.article) if chosen else rules.cite(SETTING)
        return Way(
            WayKind.NOT_AVAILABLE, article, "departments", tuple(sorted(item.field for item in others))
        )
    unpublished = tuple(item.field for item in asked if mode not in item.modes)
    if unpublished:
        return Way(WayKind.NOT_AVAILABLE, _matter(rules, "catalogue_entry"), "mode", unpublished)
    return None


def _opened(asked: tuple[ItemSharing, ...], rules: Regulation) -> Way:
    """At once or by review, for what may be asked for."""
    least = rules.immediate.openness
    named = [(item, rules.share_types.named(item.share_type)) for item in asked]
    unknown = tuple(item.field for item, chosen in named if chosen is None)
    if unknown or not asked:
        return Way(WayKind.REVIEW, _matter(rules, "first_request"), "unclassified", unknown)
    guarded = [
        (item.field, chosen)
        for item, chosen in named
        if chosen is not None and (least is None or chosen.openness < least)
    ]
    if guarded:
        fields = tuple(key for key, _ in guarded)
        return Way(WayKind.REVIEW, rules.cite(guarded[0][1].article), "share_type", fields)
    limit = rules.immediate.sensitive_from
    sensitive = tuple(item.field for item in asked if limit is not None and item.sensitivity >= limit)
    article = rules.cite(rules.immediate.article)
    if sensitive:
        return Way(WayKind.REVIEW, article, "sensitive", sensitive)
    return Way(WayKind.IMMEDIATE, article)


def _matter(rules: Regulation, matter: str) -> str:
    """What the file cites for a matter; a text that is silent on it leaves a setting of the platform."""
    return rules.cite(rules.citations.get(matter, SETTING))


@dataclass(frozen=True, slots=True)
class Choice:
    """What a provider says of how an entry, or one item of it, is shared.

    `departments` are the only ones it is shared with, all where empty. `relations` are kinds of work the
    entry is connected with, by the regulation's keys; an item has those of its entry.
    """

    share_type: str = ""
    ground: str = ""
    ground_rank: str = ""
    conditions: str = ""
    departments: frozenset[str] = frozenset()
    relations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a choice is about: an entry by its list, or one item of it; `ruled` once the leading group has
    ruled that the entry is open to all."""

    list_key: str
    names: Words
    item: str = ""
    ruled: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice that stands, with its type and the article it rests on."""

    share_type: ShareType
    choice: Choice
    article: str


def open_type(regulation: Regulation) -> ShareType | None:
    """The type that gives to all, or None where the regulation names no types."""
    types = regulation.share_types.types
    return max(types, key=lambda one: one.openness) if types else None


def middle_type(regulation: Regulation) -> ShareType | None:
    """The conditional type: that of an item which is no base item and nobody has classified (TYP-05)."""
    return next((t for t in regulation.share_types.types if t.openness == Openness.ON_CONDITIONS), None)


def base_items(list_key: str, regulation: Regulation) -> frozenset[str]:
    """The items of a list that are 基础信息项."""
    base = regulation.share_types.base_items
    return frozenset(base.lists.get(list_key, ())) if base else frozenset()


def type_in_force(
    subject: Subject, own: str | None, of_entry: str | None, regulation: Regulation
) -> str | None:
    """The one share type of an item or, without an item, of an entry (TYP-01, TYP-05, TYP-07, TYP-08).

    A ruling of the leading group goes before the regulation's base items, these before the item's own
    type, and that before the entry's.
    """
    base, widest = regulation.share_types.base_items, open_type(regulation)
    if widest is None:
        return None
    if subject.ruled:
        return widest.key
    if base is not None and subject.item in base_items(subject.list_key, regulation):
        return base.share_type
    return own or of_entry


def decide_choice(choice: Choice, subject: Subject, regulation: Regulation) -> Chosen | Refusal:
    """Whether a provider may classify an entry or item so.

    A type left open is the regulation's default, where it has one and the choice is about an entry.
    Source: guangzhou-2019-165 art. 10; guangdong-2008 art. 4; shenyang-2016 art. 10; xiamen-2015 art. 4.
    """
    rules = regulation.share_types
    chosen = rules.named(choice.share_type or rules.default)
    if chosen is None:
        return _needed("share_type", Words("共享类型", "Share type"), _types_article(regulation))
    forced = _forced(chosen, choice, subject, regulation)
    if forced is not None:
        return forced
    faulty = _grounded(chosen, choice, regulation) or _addressed(chosen, choice, regulation)
    if faulty is not None:
        return faulty
    return Chosen(chosen, _kept(choice, chosen), regulation.cite(chosen.article))


def _types_article(regulation: Regulation) -> str:
    types = regulation.share_types.types
    return regulation.cite(types[0].article if types else SETTING)


def _needed(name: str, words: Words, article: str) -> Refusal:
    return Refusal("field_required", article, name, (("field", words.zh),), (("field", words.en),))


def _forced(chosen: ShareType, choice: Choice, subject: Subject, regulation: Regulation) -> Refusal | None:
    """What a ruling, the base items or a relation demand instead of the chosen type."""
    rules = regulation.share_types
    widest = open_type(regulation)
    if subject.ruled and widest is not None and chosen != widest:
        return _must_be(widest, subject, regulation.cite(rules.ruled_by_article))
    base = rules.base_items
    if base is not None and subject.item in base_items(subject.list_key, regulation):
        return _base_type_kept(chosen, base, subject, regulation)
    for relation in rules.relations:
        if relation.key in choice.relations and chosen.openness < relation.least_openness:
            least = min(
                (one for one in rules.types if one.openness >= relation.least_openness),
                key=lambda one: one.openness,
            )
            return _must_be(least, subject, regulation.cite(relation.article))
    return None


def _base_type_kept(
    chosen: ShareType, base: BaseItems, subject: Subject, regulation: Regulation
) -> Refusal | None:
    wanted = regulation.share_types.named(base.share_type)
    if wanted is None or chosen == wanted:
        return None
    return _must_be(wanted, subject, regulation.cite(base.article))


def _must_be(wanted: ShareType, subject: Subject, article: str) -> Refusal:
    zh = (("name", subject.names.zh), ("type", wanted.zh))
    en = (("name", subject.names.en), ("type", wanted.en))
    return Refusal("share_type_forced", article, "share_type", zh, en)


def _grounded(chosen: ShareType, choice: Choice, regulation: Regulation) -> Refusal | None:
    """Ground, its rank and the conditions, as the type demands."""
    article = regulation.cite(chosen.article)
    needs_ground = "ground" in chosen.requires or bool(chosen.ground_ranks)
    if needs_ground and not choice.ground.strip():
        return _needed("ground", Words("法定依据", "Legal ground"), article)
    if needs_ground and choice.ground_rank not in RANKS:
        return _needed("ground_rank", Words("依据的效力层级", "Rank of the ground"), article)
    if chosen.ground_ranks and choice.ground_rank not in chosen.ground_ranks:
        zh = "、".join(RANKS[rank].zh for rank in chosen.ground_ranks)
        en = ", ".join(RANKS[rank].en for rank in chosen.ground_ranks)
        return Refusal(
            "ground_rank_refused",
            article,
            "ground_rank",
            (("type", chosen.zh), ("ranks", zh)),
            (("type", chosen.en), ("ranks", en)),
        )
    if "conditions" in chosen.requires and not choice.conditions.strip():
        return _needed("conditions", Words("共享条件", "Conditions of sharing"), article)
    return None


def _addressed(chosen: ShareType, choice: Choice, regulation: Regulation) -> Refusal | None:
    """Naming departments is a condition: only a type that is shared on conditions can have it (TYP-08)."""
    if not choice.departments or chosen.openness == Openness.ON_CONDITIONS:
        return None
    middle = middle_type(regulation)
    names = Words(middle.zh, middle.en) if middle else Words("有条件共享", "shared on conditions")
    zh, en = (("type", chosen.zh), ("middle", names.zh)), (("type", chosen.en), ("middle", names.en))
    return Refusal("departments_refused", regulation.cite(chosen.article), "departments", zh, en)


def _kept(choice: Choice, chosen: ShareType) -> Choice:
    """The choice as it is stored: trimmed, and with the type that stands."""
    return Choice(
        chosen.key,
        choice.ground.strip(),
        choice.ground_rank if choice.ground.strip() else "",
        choice.conditions.strip(),
        choice.departments,
        choice.relations,
    )


@dataclass(frozen=True, slots=True)
class Choices:
    """An entry's choice with those of the items that differ from it."""

    entry: Choice
    items: Mapping[str, Choice] = field(default_factory=dict)


def decide_choices(
    given: Choices, subjects: Mapping[str, Subject], regulation: Regulation
) -> dict[str, Chosen | Refusal]:
    """Decide on an entry (key "") and on each item that differs; `subjects` holds all of them by field.

    An item that is not among the subjects is left out by the caller, who knows the entry's items.
    """
    decisions: dict[str, Chosen | Refusal] = {"": decide_choice(given.entry, subjects[""], regulation)}
    for name, own in given.items.items():
        with_relations = Choice(
            own.share_type,
            own.ground,
            own.ground_rank,
            own.conditions,
            own.departments,
            given.entry.relations,
        )
        decisions[name] = decide_choice(with_relations, subjects[name], regulation)
    return decisions
