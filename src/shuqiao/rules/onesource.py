"""When two items are the same datum, how sure that is and why, and what follows for a second claim.

Points are counted for the name, the standard data element, the subject class and the content profile. The
law itself lists a name or a number in many lists, where it says whom a record is about: what is common to
many subjects counts as the same datum only within one of them.
Source: guangzhou-2016 art. 3(1), 3(3); guangzhou-2019 art. 18; xiamen-2015 art. 5(3);
shenyang-2016 art. 4(1), 14(2); guangdong-2008 art. 8; haizhu-draft art. 6; the points are our choice,
decision "the same datum".
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from shuqiao.rules.datum_names import How, Synonyms, likeness, name_key, qualifier, variants
from shuqiao.rules.regulation import Regulation

SURE = 80
"""From so many points of 100 two items count as the same datum."""
LIKELY = 60
"""From so many it has to be said whether they are."""
COMMON_IN = 3
"""A name or element found in more subjects (目) than this says whom a record is about, not what it holds."""

FAMILY_DIGITS, BRANCH_DIGITS, LEAF_DIGITS = 6, 3, 8
"""How many digits of a classification name its 目, its 项 and its 细目."""

_ELEMENT = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)


class Verdict(StrEnum):
    """Whether two items are the same datum."""

    SAME = "same"
    LIKELY = "likely"
    APART = "apart"


class Outcome(StrEnum):
    """What follows where a datum already has a source."""

    JOINT = "joint"
    REFUSED = "refused"
    COORDINATION = "coordination"


@dataclass(frozen=True, slots=True)
class Datum:
    """What is known of an item when it is compared.

    `standard` is a data element of the city, or the national standard of its form. `codes` are the values
    it may have. `subject` is the classification of its entry.
    """

    name: str
    subject: str
    standard: str = ""
    data_type: str = ""
    code_list: str = ""
    codes: frozenset[str] = frozenset()

    @property
    def element(self) -> str:
        """The data element, where the standard is one and not the name of a norm."""
        return self.standard if self.standard != "setting" and _ELEMENT.fullmatch(self.standard) else ""


@dataclass(frozen=True, slots=True)
class Because:
    """One reason for or against two items being the same datum, with its points."""

    code: str
    points: int
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Likeness:
    """How sure it is that two items are the same datum, of 100, and why."""

    score: int
    because: tuple[Because, ...]

    @property
    def verdict(self) -> Verdict:
        """What the points come to."""
        if self.score >= SURE:
            return Verdict.SAME
        return Verdict.LIKELY if self.score >= LIKELY else Verdict.APART


@dataclass(frozen=True, slots=True)
class Spread:
    """In how many subjects (目) the name and the element of a datum are found."""

    name: int = 1
    element: int = 1


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows for a second claim, the article, and the words that say so."""

    outcome: Outcome
    article: str
    zh: str
    en: str


def compare(one: Datum, other: Datum, synonyms: Synonyms, spread: Spread | None = None) -> Likeness:
    """How sure it is that two items are the same datum; the order of the two does not matter."""
    seen = spread or Spread()
    name = _of_name(one, other, synonyms)
    element = _of_element(one, other, known_by_name=name.points >= 30)
    place = _of_subject(one, other)
    reasons = [name, element, place, *_of_profile(one, other)]
    if place.code not in ("leaf", "family"):
        reasons += _of_spread(name, element, seen)
    kept = tuple(reason for reason in reasons if reason.points)
    # The place and the profile alone say nothing: something must call them the same.
    named = name.points + element.points
    score = sum(reason.points for reason in kept) if named > 0 else 0
    return Likeness(max(0, min(100, score)), kept)


def consequence(
    claimant: str,
    holders: Collection[str],
    regulation: Regulation,
    *,
    base_item: bool,
    joint: Collection[str],
) -> Consequence:
    """What follows where `holders` already collect the datum that `claimant` claims.

    `joint` are the departments declared to collect it together; `base_item` says that it stands in a list of
    base information. Where the text names the departments of base information nothing else can be agreed on.
    """
    at = regulation.collection
    if claimant in holders or claimant in joint:
        article = regulation.cite(at.source_article)
        zh, en = "已登记为共同采集部门", "Registered as collecting it jointly"
        return Consequence(Outcome.JOINT, article, zh, en)
    if base_item and at.named_by_text:
        zh = "基础信息的责任采集部门由规定本身确定，不能另行采集，请通过共享取得"
        en = "The rules themselves name who collects base information; get it by sharing"
        return Consequence(Outcome.REFUSED, regulation.cite(at.source_article), zh, en)
    zh = "一数一源：已有责任采集部门，请登记为共同采集、说明为何不是同一数据，或提请协调确定来源"
    en = "One datum, one source: declare it joint, say why it is another datum, or ask for co-ordination"
    return Consequence(Outcome.COORDINATION, regulation.cite(at.repeat_article), zh, en)


def may_collect_again(rank: str, regulation: Regulation) -> bool:
    """Whether a norm of this rank lets a department collect what it could have by sharing (COL-02)."""
    return rank in regulation.collection.again_ranks


def _of_name(one: Datum, other: Datum, synonyms: Synonyms) -> Because:
    left, right = name_key(one.name), name_key(other.name)
    if left == right:
        if qualifier(one.name) != qualifier(other.name):
            zh, en = "名称相同，括注不同", "Same name, different words in brackets"
            return Because("name_qualified", 40, zh, en)
        return Because("name", 55, "名称相同", "Same name")
    if right in variants(one.name, synonyms) or left in variants(other.name, synonyms):
        # The same words whichever of the two is asked about first.
        first, second = sorted((one.name, other.name))
        zh, en = f"“{first}”与“{second}”是同义名称", f"{first} and {second} are synonyms"
        return Because("synonym", 50, zh, en)
    shared = likeness(left, right)
    if shared >= 0.5:
        return Because("name_like", 30 if shared >= 0.75 else 20, "名称相近", "Similar names")
    return Because("name_other", 0, "名称不同", "Different names")


def _of_element(one: Datum, other: Datum, *, known_by_name: bool) -> Because:
    if one.element and one.element == other.element:
        # Different data may share a general element, such as a date.
        points = 60 if known_by_name else 40
        return Because("element", points, "同一标准数据元", "Same standard data element")
    if one.element and other.element:
        return Because("element_other", -40, "标准数据元不同", "Different standard data elements")
    if one.standard and one.standard == other.standard and one.standard != "setting":
        return Because("norm", 5, "引用同一标准", "Same standard of form")
    return Because("element_none", 0, "", "")


def _of_subject(one: Datum, other: Datum) -> Because:
    same = next((n for n in (LEAF_DIGITS, FAMILY_DIGITS, BRANCH_DIGITS) if _share(one, other, n)), 0)
    if same == LEAF_DIGITS:
        return Because("leaf", 30, "同一细目", "Same sub-item of the classification")
    if same == FAMILY_DIGITS:
        return Because("family", 25, "同一目", "Same item of the classification")
    if same == BRANCH_DIGITS:
        return Because("branch", 10, "同一项", "Same subject of the classification")
    return Because("elsewhere", -10, "分类不同", "Classified elsewhere")


def _share(one: Datum, other: Datum, digits: int) -> bool:
    return len(one.subject) >= digits and one.subject[:digits] == other.subject[:digits]


def _of_profile(one: Datum, other: Datum) -> list[Because]:
    """What the content looks like: its type, its code list, the values it may have."""
    found = []
    if one.data_type and other.data_type:
        if one.data_type == other.data_type:
            found.append(Because("type", 5, "数据类型相同", "Same data type"))
        else:
            found.append(Because("type_other", -10, "数据类型不同", "Different data types"))
    if one.code_list and one.code_list == other.code_list:
        found.append(Because("code_list", 10, "代码集相同", "Same code list"))
    if one.codes and other.codes:
        shared = len(one.codes & other.codes) / len(one.codes | other.codes)
        if shared >= 0.8:
            found.append(Because("values", 10, "取值范围相同", "Same values"))
        elif shared < 0.2:
            found.append(Because("values_other", -15, "取值范围不同", "Different values"))
    return found


def _of_spread(name: Because, element: Because, spread: Spread) -> list[Because]:
    """Outside its own 目 what is found everywhere only says whom a record is about."""
    common = max(
        spread.name if name.points >= 40 else 0,
        spread.element if element.points > 0 else 0,
    )
    if common <= COMMON_IN:
        return []
    zh = f"在 {common} 个目中都有，用于识别对象"
    en = f"Found in {common} items of the classification: it says whom a record is about"
    return [Because("common", -40, zh, en)]


def because_of(how: How) -> tuple[str, str]:
    """Why a name was found, in both languages."""
    words = {
        How.SAME: ("名称相同", "Same name"),
        How.SYNONYM: ("同义名称", "Synonym"),
        How.ASKED_OF: ("去掉填报人称谓后名称相同", "Same name without the words for whoever fills it in"),
    }
    return words[how]
