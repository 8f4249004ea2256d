"""Share types under every regulation: choosing one, what is in force for an item, what a requester gets."""

from dataclasses import replace
from functools import cache

import pytest

from shuqiao.control.regulations.files import load_regulation
from shuqiao.rules.regulation import Regulation, Words
from shuqiao.rules.sharing import (
    Choice,
    Choices,
    Chosen,
    ItemSharing,
    Openness,
    Subject,
    WayKind,
    base_items,
    decide_choice,
    decide_choices,
    middle_type,
    open_type,
    type_in_force,
    way_of,
)

NAMING = ("guangzhou-2019", "xiamen-2015", "shenyang-2016", "guangdong-2008", "haizhu-draft")
GROUND = {"ground": "《某法》第三条", "ground_rank": "law"}
LIST = "enterprise"
NAMES = Words("企业登记信息", "Enterprises")


@cache
def rules(name: str) -> Regulation:
    return load_regulation(name, fallback=None if name == "guangzhou-2016" else "guangzhou-2016")


def key(name: str, openness: int) -> str:
    return next(t.key for t in rules(name).share_types.types if t.openness == openness)


def entry(**changes: bool) -> Subject:
    return Subject(LIST, NAMES, **changes)


def code(decision: object) -> str:
    return getattr(decision, "code", "chosen")


# What each city's types are called, on one scale (TYP-01).
SCALES = [
    ("guangzhou-2019", {"不予共享": 0, "有条件共享": 1, "无条件共享": 2}, "GZ165:9¶1"),
    ("guangdong-2008", {"不予共享类": 0, "条件共享类": 1, "无条件共享类": 2}, "GD08:4¶1"),
    ("haizhu-draft", {"不予共享": 0, "有条件共享": 1, "无条件共享": 2}, "HZ:4¶1"),
    ("xiamen-2015", {"授权共享类": 1, "开放共享类": 2}, "XM:4¶1"),
    ("shenyang-2016", {"非共享类": 0, "受限共享类": 1, "非受限共享类": 2}, "SY:10¶1"),
]


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        pytest.param(name, scale, marks=pytest.mark.requirement("TYP-01", source=source))
        for name, scale, source in SCALES
    ],
)
def test_the_types_of_each_city_are_mapped_to_one_scale(name: str, scale: dict[str, int]) -> None:
    assert {named.zh: named.openness for named in rules(name).share_types.types} == scale


def test_rules_that_name_no_type_give_every_request_the_procedure() -> None:
    way = way_of([ItemSharing("name", None)], "440100-housing", "verify", rules("guangzhou-2016"))
    assert (way.kind, way.article) == (WayKind.REVIEW, "guangzhou-2016 art. 35(1)")
    assert code(decide_choice(Choice("unconditional"), entry(), rules("guangzhou-2016"))) == "field_required"
    assert type_in_force(entry(), "conditional", "conditional", rules("guangzhou-2016")) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param(
            "guangzhou-2019",
            "unconditional",
            marks=pytest.mark.requirement("TYP-02", source="GZ165:4(1)"),
        ),
        pytest.param("shenyang-2016", None, marks=pytest.mark.requirement("TYP-02", source="SY:10¶2")),
        ("xiamen-2015", None),
        ("guangdong-2008", None),
        ("haizhu-draft", None),
    ],
)
def test_only_guangzhou_2019_has_a_default_and_elsewhere_the_provider_must_choose(
    name: str, found: str | None
) -> None:
    decision = decide_choice(Choice(), entry(), rules(name))
    if found is None:
        assert code(decision) == "field_required"
        assert getattr(decision, "field", "") == "share_type"
    else:
        assert isinstance(decision, Chosen) and decision.share_type.key == found


# What a conditional type must state, by file (TYP-03).
@pytest.mark.parametrize(
    ("name", "given", "missing"),
    [
        pytest.param(
            name,
            given,
            missing,
            marks=[pytest.mark.requirement("TYP-03", source=source)] if source else [],
        )
        for name, source in (
            ("guangzhou-2019", "GZ165:10¶3"),
            ("guangdong-2008", "GD08:4¶3"),
            ("xiamen-2015", "XM:4¶3"),
            ("shenyang-2016", "SY:10¶3"),
        )
        for given, missing in (
            ({"conditions": "仅限审批"}, "ground"),
            ({"ground": "  ", "ground_rank": "law", "conditions": "仅限审批"}, "ground"),
            ({"ground": "《某法》", "conditions": "仅限审批"}, "ground_rank"),
            ({"ground": "《某法》", "ground_rank": "king", "conditions": "仅限审批"}, "ground_rank"),
            (GROUND, "conditions"),
            ({**GROUND, "conditions": " \n"}, "conditions"),
            ({**GROUND, "conditions": "仅限审批"}, ""),
        )
    ],
)
def test_a_conditional_entry_states_its_ground_and_conditions(
    name: str, given: dict[str, str], missing: str
) -> None:
    decision = decide_choice(Choice(key(name, 1), **given), entry(), rules(name))
    assert getattr(decision, "field", "") == missing
    assert decision.article and name in decision.article


RANKED = {
    "guangzhou-2019": {"law", "administrative_regulation", "central_policy"},
    "guangdong-2008": {"law", "administrative_regulation", "local_regulation", "rule"},
    "shenyang-2016": {
        "law",
        "administrative_regulation",
        "central_policy",
        "local_regulation",
        "rule",
        "policy",
        "other",
    },
}
EVERY_RANK = sorted(RANKED["shenyang-2016"])


@pytest.mark.parametrize("rank", EVERY_RANK)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("guangzhou-2019", marks=pytest.mark.requirement("TYP-04", source="GZ165:10¶4")),
        pytest.param("guangdong-2008", marks=pytest.mark.requirement("TYP-04", source="GD08:4¶4")),
        pytest.param("shenyang-2016", marks=pytest.mark.requirement("TYP-04", source="SY:10¶4")),
    ],
)
def test_a_not_shared_entry_cites_a_ground_of_the_rank_the_city_demands(name: str, rank: str) -> None:
    none, given = key(name, 0), {"ground": "某规定", "ground_rank": rank}
    decision = decide_choice(Choice(none, **given), entry(), rules(name))
    assert code(decision) == ("chosen" if rank in RANKED[name] else "ground_rank_refused")
    assert code(decide_choice(Choice(none), entry(), rules(name))) == "field_required"


@pytest.mark.requirement("TYP-04", source="HZ:4¶4")
def test_haizhu_demands_no_ground() -> None:
    assert code(decide_choice(Choice(key("haizhu-draft", 0)), entry(), rules("haizhu-draft"))) == "chosen"


@pytest.mark.requirement("TYP-01", source="XM:4¶1")
def test_xiamen_knows_no_not_shared_type() -> None:
    assert code(decide_choice(Choice("not_shared", **GROUND), entry(), rules("xiamen-2015"))) == (
        "field_required"
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("guangzhou-2019", marks=pytest.mark.requirement("TYP-05", source="GZ165:10¶2")),
        pytest.param("xiamen-2015", marks=pytest.mark.requirement("TYP-05", source="XM:4¶2")),
        pytest.param("shenyang-2016", marks=pytest.mark.requirement("TYP-05", source="SY:10¶2")),
    ],
)
def test_base_items_are_open_and_cannot_be_set_otherwise(name: str) -> None:
    here, item = rules(name), "industry"
    assert item in base_items(LIST, here) and "no_such_item" not in base_items(LIST, here)
    subject = Subject(LIST, Words("行业", "Industry"), item)
    closed = Choice(key(name, 1), **GROUND, conditions="仅限审批")
    assert code(decide_choice(closed, subject, here)) == "share_type_forced"
    assert code(decide_choice(Choice(key(name, 2)), subject, here)) == "chosen"
    # Whatever the entry bears, and whatever was stored for the item before.
    assert type_in_force(subject, key(name, 1), key(name, 1), here) == key(name, 2)
    # An item that is not named there is not open by itself.
    plain = Subject(LIST, Words("法定代表人", "Representative"), "no_such_item")
    middle = middle_type(here)
    assert middle is not None
    assert type_in_force(plain, None, middle.key, here) == middle.key
    assert middle.openness == Openness.ON_CONDITIONS


# (regulation, kind of work, least openness) of art. GD08:4, SY:10¶5 (TYP-06).
RELATED = [
    pytest.param(name, relation, least, marks=pytest.mark.requirement("TYP-06", source=source))
    for name, relation, least, source in (
        ("guangdong-2008", "licence", 2, "GD08:4¶2"),
        ("guangdong-2008", "parallel_approval", 2, "GD08:4¶2"),
        ("guangdong-2008", "office_work", 1, "GD08:4¶3"),
        ("shenyang-2016", "parallel_approval", 1, "SY:10¶5"),
        ("shenyang-2016", "office_work", 1, "SY:10¶5"),
        ("shenyang-2016", "integrated_management", 1, "SY:10¶5"),
    )
]


@pytest.mark.parametrize("openness", [0, 1, 2])
@pytest.mark.parametrize(("name", "relation", "least"), RELATED)
def test_a_relation_forces_a_least_openness(name: str, relation: str, least: int, openness: int) -> None:
    choice = Choice(key(name, openness), **GROUND, conditions="仅限审批", relations=frozenset({relation}))
    decision = decide_choice(choice, entry(), rules(name))
    assert code(decision) == ("share_type_forced" if openness < least else "chosen")
    assert decision.article.startswith(f"{name} art. ")
    without = replace(choice, relations=frozenset())
    assert code(decide_choice(without, entry(), rules(name))) == "chosen"


def test_a_relation_of_the_entry_holds_for_its_items() -> None:
    here = rules("shenyang-2016")
    related = Choice(
        key("shenyang-2016", 1), **GROUND, conditions="仅限审批", relations=frozenset({"office_work"})
    )
    own = Choice(key("shenyang-2016", 0), **GROUND)
    subjects = {"": entry(), "scope": Subject(LIST, Words("范围", "Scope"), "scope")}
    decisions = decide_choices(Choices(related, {"scope": own}), subjects, here)
    assert {name: code(decision) for name, decision in decisions.items()} == {
        "": "chosen",
        "scope": "share_type_forced",
    }


@pytest.mark.requirement("TYP-07", source="SY:10¶2")
@pytest.mark.parametrize("openness", [0, 1, 2])
def test_a_ruling_goes_before_the_providers_choice(openness: int) -> None:
    here = rules("shenyang-2016")
    own = key("shenyang-2016", openness)
    widest = open_type(here)
    assert widest is not None
    assert type_in_force(entry(ruled=True), own, own, here) == widest.key
    choice = Choice(own, **GROUND, conditions="仅限审批")
    decision = decide_choice(choice, entry(ruled=True), here)
    assert code(decision) == ("chosen" if own == widest.key else "share_type_forced")
    assert "shenyang-2016 art. 10(2)" in decision.article


@pytest.mark.parametrize("name", NAMING)
@pytest.mark.parametrize("openness", [0, 1, 2])
def test_departments_are_named_only_for_what_is_shared_on_conditions(name: str, openness: int) -> None:
    found = next((t for t in rules(name).share_types.types if t.openness == openness), None)
    if found is None:
        return
    choice = Choice(found.key, **GROUND, conditions="仅限", departments=frozenset({"440100-housing"}))
    assert code(decide_choice(choice, entry(), rules(name))) == (
        "chosen" if openness == 1 else "departments_refused"
    )


# (share type of the item, sensitivity, requester named, mode) -> way, for each city that grants at once.
@pytest.mark.parametrize("name", ["xiamen-2015", "shenyang-2016"])
@pytest.mark.parametrize(
    ("openness", "sensitivity", "departments", "mode", "kind", "because"),
    [
        (2, 0, (), "verify", WayKind.IMMEDIATE, ""),
        (2, 1, (), "query", WayKind.IMMEDIATE, ""),
        (2, 2, (), "verify", WayKind.REVIEW, "sensitive"),
        (2, 4, (), "verify", WayKind.REVIEW, "sensitive"),
        (1, 0, (), "verify", WayKind.REVIEW, "share_type"),
        (1, 0, ("440100-housing",), "verify", WayKind.REVIEW, "share_type"),
        (1, 0, ("440100-police",), "verify", WayKind.NOT_AVAILABLE, "departments"),
        (2, 0, (), "bulk", WayKind.NOT_AVAILABLE, "mode"),
        (0, 0, (), "verify", WayKind.NOT_AVAILABLE, "share_type"),
        (None, 0, (), "verify", WayKind.REVIEW, "unclassified"),
    ],
)
def test_what_a_requester_gets(
    name: str,
    openness: int | None,
    sensitivity: int,
    departments: tuple[str, ...],
    mode: str,
    kind: WayKind,
    because: str,
) -> None:
    here = rules(name)
    found = next((t.key for t in here.share_types.types if t.openness == openness), None)
    if openness == 0 and found is None:
        return
    item = ItemSharing("scope", found, frozenset(departments), sensitivity)
    way = way_of([item], "440100-housing", mode, here)
    assert (way.kind, way.because) == (kind, because)
    assert way.article.startswith(name)
    # One open item more never makes a request easier, and the guarded one is named.
    open_item = ItemSharing("open", key(name, 2))
    both = way_of([open_item, item], "440100-housing", mode, here)
    assert both.kind == kind
    if because not in ("", "mode"):
        assert both.fields == ("scope",)


@pytest.mark.parametrize("name", ["guangdong-2008", "haizhu-draft"])
def test_a_city_that_grants_nothing_at_once_reviews_even_what_is_open(name: str) -> None:
    way = way_of([ItemSharing("scope", key(name, 2))], "440100-housing", "verify", rules(name))
    assert way.kind == WayKind.REVIEW


@pytest.mark.parametrize("name", NAMING)
def test_nothing_asked_for_gives_nothing_at_once(name: str) -> None:
    assert way_of([], "440100-housing", "verify", rules(name)).kind == WayKind.REVIEW
