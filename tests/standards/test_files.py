"""The data files of the standards: each readable, complete, and agreeing with what they take over."""

import csv
import re

import pytest
import yaml

from shuqiao.control.regulations.files import regulations_dir
from shuqiao.control.standards.contents import Kind
from shuqiao.control.standards.files import StandardsInvalid, shipped, standards_dir
from shuqiao.control.standards.publishing import CHECKS, DATA_TYPES
from shuqiao.control.standards.queries import Binder, ElementIndex
from shuqiao.rules.identifiers import check_citizen_id, check_credit_code, check_organisation_code

LISTS = yaml.safe_load((regulations_dir() / "catalogue/guangzhou-2016.yaml").read_text("utf-8"))
ITEMS = [item for one in LISTS["lists"] for item in one["items"]]


def of(kind: Kind):
    """The shipped standards of a kind by key."""
    return {key: content for (one, key), content in shipped().items() if one == kind}


def test_every_reference_leads_to_a_standard_and_no_element_is_broader_than_itself() -> None:
    elements = of(Kind.ELEMENT)
    for key, content in elements.items():
        assert content.data_type in DATA_TYPES, key
        for kind, named in (
            (Kind.FORMAT, content.format),
            (Kind.CODE_LIST, content.code_list),
            (Kind.ELEMENT, content.broader),
        ):
            assert not named or (kind, named) in shipped(), (key, named)
        seen, at = set(), key
        while at:
            assert at not in seen, key
            seen.add(at)
            at = elements[at].broader
    assert len(elements) > 200


@pytest.mark.requirement("STD-01")
@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item["field"])
def test_every_item_of_the_law_has_its_data_element(item) -> None:
    lists = {
        key: {code.value: code.zh for code in content.codes} for key, content in of(Kind.CODE_LIST).items()
    }
    codes = LISTS["code_lists"][item["codes"]] if "codes" in item else {}
    index = ElementIndex(of(Kind.ELEMENT))
    key, code_list = Binder(index, lists).bind((item["zh"], item["field"]), item["type"], codes)
    assert key, item
    content = index.elements[key]
    assert content.length is None or item.get("length", 0) <= content.length
    assert not codes or lists[code_list] == codes
    if item.get("standard", "setting").startswith("GB"):
        assert content.national == item["standard"]


@pytest.mark.requirement("STD-01")
def test_the_code_lists_of_the_catalogue_and_its_vocabularies_are_taken_over_whole() -> None:
    lists = of(Kind.CODE_LIST)
    for key, codes in LISTS["code_lists"].items():
        assert {code.value: code.zh for code in lists[key].codes} == codes
    words = yaml.safe_load((standards_dir() / "catalogue-metadata.yaml").read_text("utf-8"))
    assert [code.zh for code in lists["resource_formats"].codes] == [one["zh"] for one in words["formats"]]
    assert {code.value for code in lists["information_classes"].codes} == {"1", "2", "3"}


def test_regions_name_the_cities_and_their_districts_once() -> None:
    rows = list(csv.DictReader((standards_dir() / "regions.csv").read_text("utf-8").splitlines()))
    names = {row["code"]: row["zh"] for row in rows}
    assert len(names) == len(rows) and all(re.fullmatch(r"[1-9]\d{5}", code) for code in names)
    assert (names["440100"], names["350200"], names["210100"]) == ("广州市", "厦门市", "沈阳市")
    assert (names["440105"], names["350203"], names["210102"]) == ("海珠区", "思明区", "和平区")
    assert all(f"{code[:2]}0000" in names for code in names)


@pytest.mark.parametrize("key", sorted(of(Kind.FORMAT)))
def test_the_example_of_a_format_has_its_form(key) -> None:
    content = of(Kind.FORMAT)[key]
    assert re.fullmatch(content.pattern, content.example)
    assert not content.check or content.check in CHECKS


def test_the_examples_of_checked_numbers_are_sound() -> None:
    formats = of(Kind.FORMAT)
    assert check_citizen_id(formats["citizen_id"].example).ok
    assert check_credit_code(formats["credit_code"].example).ok
    assert check_organisation_code(formats["organisation_code"].example).ok


@pytest.mark.parametrize(
    ("name", "data_type", "key"),
    [
        ("姓名", "C", "person_name"),
        ("被执行人姓名", "", "person_name"),
        ("母亲姓名", "", "mother_name"),
        ("身份证号", "C", "citizen_id_number"),
        ("GMSFHM", "C", "citizen_id_number"),
        ("XZQHDM", "string", "administrative_division_code"),
        ("原登记机关", "", "registration_authority"),
        ("登记机关（工商）", "", "registration_authority_aic"),
        ("处罚日期", "D", "day"),
        ("性别", "G", None),
        ("产品名称", "", None),
        ("file_name", "", None),
        ("", "", None),
    ],
)
def test_a_name_leads_to_the_element_it_most_likely_means(name, data_type, key) -> None:
    assert ElementIndex(of(Kind.ELEMENT)).guess(name, data_type) == key


def test_a_broken_file_is_refused_with_its_name(tmp_path) -> None:
    for name in ("code-lists.yaml", "formats.yaml", "interfaces.yaml"):
        (tmp_path / name).write_text((standards_dir() / name).read_text("utf-8"), "utf-8")
    (tmp_path / "data-elements.yaml").write_text("elements: [{key: a, zh: 甲, en: A, wrong: 1}]", "utf-8")
    with pytest.raises(StandardsInvalid, match="data-elements"):
        shipped(tmp_path)
