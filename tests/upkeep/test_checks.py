"""What a full maintenance looks for, check by check."""

from dataclasses import replace
from datetime import date

import pytest

from shuqiao.control.standards.contents import Kind
from shuqiao.control.standards.files import shipped
from shuqiao.control.standards.queries import ElementIndex
from shuqiao.control.upkeep.checks import (
    COMPLETENESS,
    LOGIC,
    NAMING,
    Facts,
    findings_of,
    same_kind,
    sorted_faults,
)
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.entry_faults import EntryFault

TODAY = date(2026, 11, 11)
ELEMENTS = {key: content for (kind, key), content in shipped().items() if kind == Kind.ELEMENT}
LISTS = {
    key: {code.value: code.zh for code in content.codes}
    for (kind, key), content in shipped().items()
    if kind == Kind.CODE_LIST
}
FACTS = Facts(ELEMENTS, LISTS, ElementIndex(ELEMENTS).guess, TODAY)
NAME = EntryItem(field="full_name", zh="申请人姓名", length=50, standard="person_name")
GOOD = Entry(
    name_zh="公租房申请审核信息",
    format="database",
    manner=("platform_database",),
    update_cycle="daily",
    items=(NAME,),
)


def codes(entry: Entry, facts: Facts = FACTS) -> set[tuple[str, str, str]]:
    """Where, of which kind and what was found."""
    return {(one.path, one.kind, one.code) for one in findings_of(entry, facts)}


def test_nothing_is_found_in_a_good_entry() -> None:
    assert codes(GOOD) == set()


@pytest.mark.requirement("CAT-16")
@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"name_zh": "名单"}, ("name_zh", NAMING, "name_too_short")),
        ({"name_zh": "测试条目信息"}, ("name_zh", NAMING, "name_placeholder")),
        ({"name_zh": "T_GZF_SQ"}, ("name_zh", NAMING, "name_not_chinese")),
        ({"name_zh": "公租房信息.xlsx"}, ("name_zh", NAMING, "name_of_file")),
        ({"name_zh": "公租房  信息"}, ("name_zh", NAMING, "name_odd_signs")),
        ({"manner": ("platform_file",)}, ("manner", LOGIC, "manner_unfit")),
        ({"format": "document"}, ("manner", LOGIC, "manner_unfit")),
    ],
)
def test_an_entry_is_checked_for_its_name_and_its_manner(changed, found) -> None:
    assert found in codes(replace(GOOD, **changed))


@pytest.mark.requirement("CAT-16")
@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"zh": "XM"}, ("items.full_name.zh", NAMING, "name_not_chinese")),
        ({"zh": "字段3", "standard": ""}, ("items.full_name.zh", NAMING, "name_placeholder")),
        ({"length": 61}, ("items.full_name.length", LOGIC, "longer_than_element")),
        ({"data_type": "D"}, ("items.full_name.data_type", LOGIC, "type_unlike_element")),
        ({"zh": "出生日期"}, ("items.full_name.standard", NAMING, "name_unlike_element")),
        (
            {"standard": "sex", "zh": "性别", "code_list": "sex", "codes": (("7", "其他"),)},
            ("items.full_name.codes", LOGIC, "codes_unlike_list"),
        ),
    ],
)
def test_an_item_is_checked_against_its_element_and_its_code_list(changed, found) -> None:
    assert found in codes(replace(GOOD, items=(replace(NAME, **changed),)))


def test_a_column_whose_name_says_nothing_is_found_and_a_narrower_element_is_none() -> None:
    item = replace(NAME, field="field_1", zh="母亲姓名", standard="person_name")
    assert codes(replace(GOOD, items=(item,))) == {("items.field_1.field", NAMING, "field_placeholder")}


@pytest.mark.requirement("CAT-16")
@pytest.mark.parametrize(
    ("cycle", "delivered", "late"),
    [
        ("daily", date(2026, 11, 9), False),
        ("daily", date(2026, 11, 8), True),
        ("weekly", date(2026, 10, 28), False),
        ("weekly", date(2026, 10, 27), True),
        ("yearly", None, True),
        ("other", None, False),
    ],
)
def test_data_that_do_not_come_as_often_as_the_entry_says_are_found(cycle, delivered, late) -> None:
    facts = replace(FACTS, serves=True, delivered_on=delivered)
    found = ("update_cycle", LOGIC, "delivery_late") in codes(replace(GOOD, update_cycle=cycle), facts)
    assert found is late
    assert codes(GOOD) == set(), "the platform keeps no data of it"


def test_faults_of_the_validation_are_sorted_into_the_three_kinds() -> None:
    faults = [
        EntryFault("use", "field_required", "必填", "fill"),
        EntryFault("library", "value_unknown", "不在", "not"),
        EntryFault("name_zh", "entry_name_taken", "同名", "taken"),
    ]
    assert [one.kind for one in sorted_faults(faults)] == [COMPLETENESS, LOGIC, NAMING]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("C", "M", True), ("N", "I", True), ("D", "T", True), ("C", "D", False), ("", "C", False)],
)
def test_types_of_one_kind(one, other, same) -> None:
    assert same_kind(one, other) is same
