"""On which platform a list of base information lies, and which records concern a district."""

import pytest

from shuqiao.control.regulations.files import load_catalogue, load_regulation, regulation_ids
from shuqiao.rules.platforms import collectors, own_people
from shuqiao.rules.rows import Row, fault_of

CITY, DISTRICT = "440100", "440105"
CIVIL, TOWN = frozenset({"民政部门"}), frozenset({"镇人民政府"})


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ({"a": CIVIL}, ("a",)),
        ({"a": TOWN, "b": CIVIL}, ("b", "a")),
        ({"a": CIVIL | TOWN}, ("a",)),
        ({"a": frozenset({"公安机关"}), "b": frozenset()}, ()),
        ({"z": CIVIL, "m": CIVIL}, ("m", "z")),
        ({}, ()),
    ],
)
def test_a_list_is_collected_by_the_bodies_the_law_names_in_its_order(bodies, expected) -> None:
    assert collectors([CIVIL, TOWN], bodies) == expected


def test_a_department_without_words_of_the_law_names_nobody() -> None:
    assert collectors([frozenset()], {"a": CIVIL, "b": frozenset()}) == ()


@pytest.mark.parametrize(
    ("division", "region", "holder", "expected"),
    [
        ("division_code", DISTRICT, CITY, (Row("division_code", "eq", (DISTRICT,)),)),
        ("", DISTRICT, CITY, ()),
        ("division_code", CITY, CITY, ()),
        ("division_code", DISTRICT, DISTRICT, ()),
        ("division_code", DISTRICT, "440106", ()),
    ],
)
def test_only_a_district_that_asks_the_citys_list_asks_for_its_own_people(
    division, region, holder, expected
) -> None:
    assert own_people(division, region=region, holder=holder, city=CITY) == expected


def test_the_division_of_a_list_can_be_a_condition_of_a_grant() -> None:
    found = [one for one in load_catalogue(load_regulation("guangzhou-2016")) if one.division]
    assert len(found) == 14
    for one in found:
        types = {item.field: item.type for item in one.items if not item.identity}
        assert fault_of(Row(one.division, "eq", (DISTRICT,)), types) is None, one.key


def test_platforms_are_named_by_the_text_or_not_at_all() -> None:
    fallback = {"fallback": "guangzhou-2016"}
    known = {one: load_regulation(one, **fallback).platforms for one in regulation_ids() if "2016" in one}
    assert known["guangzhou-2016"] is not None and known["shenyang-2016"] is None
    at = known["guangzhou-2016"]
    assert (at.of(CITY, CITY).article, at.of(DISTRICT, CITY).article) == ("33(1)", "33(2)")
    assert at.base_article == "28(2)"
