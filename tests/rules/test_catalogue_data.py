"""The catalogue, departments and calendars that ship, against the words of the law."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from shuqiao.control.regulations.files import (
    clause,
    load_catalogue,
    load_departments,
    load_regulation,
    regulation_ids,
    regulations_dir,
)
from shuqiao.rules.catalogue import DataList, Item
from shuqiao.rules.ids import parse_department_code, parse_item_field, resource_id

RULES = load_regulation("guangzhou-2016")
LISTS = {entry.key: entry for entry in load_catalogue(RULES)}
BODIES = load_departments(RULES)
ITEMS = [(entry, item) for entry in LISTS.values() for item in entry.items]
BASE: dict[str, Any] = yaml.safe_load(
    (regulations_dir() / "base-data-items.yaml").read_text(encoding="utf-8")
)
SOURCE = {entry["key"]: (category, entry) for category in BASE["categories"] for entry in category["lists"]}


def own(entry: DataList) -> list[Item]:
    """The items of the list itself, without those another article adds."""
    return [item for item in entry.items if not item.companion]


def plain(text: str) -> str:
    """A name of an item as it stands in the text, without what the brackets explain."""
    return re.sub(r"\((“|适用于).*?\)", "", text)


def test_all_lists_of_chapter_two_are_there_once_and_in_its_order() -> None:
    assert list(LISTS) == list(SOURCE)
    assert len(LISTS) == 21
    assert len({resource_id(RULES.region, key) for key in LISTS}) == 21


@pytest.mark.parametrize("key", list(SOURCE))
def test_a_list_holds_exactly_the_items_of_the_source_in_order(key: str) -> None:
    _, source = SOURCE[key]
    wanted = [
        (place, part)
        for place, item in enumerate(source["items"], 1)
        for part in (item["parts"] if item["type"] == "compound" else [item])
    ]
    found = own(LISTS[key])
    assert [(i.number, i.field, i.zh, i.type) for i in found] == [
        (place, part["field"], plain(part["zh"]), part["type"]) for place, part in wanted
    ]
    assert all(item.part_of for item in found if item.part)


@pytest.mark.parametrize(
    ("key", "items", "departments"),
    [
        pytest.param(
            "residence_permit",
            17,
            ("migrants", "towns", "subdistricts"),
            marks=pytest.mark.requirement("BAS-02", source="GZ16:10"),
        ),
        pytest.param(
            "family_planning",
            5,
            ("health", "towns", "subdistricts"),
            marks=pytest.mark.requirement("BAS-05", source="GZ16:13"),
        ),
        pytest.param(
            "social_security",
            17,
            ("human-resources",),
            marks=pytest.mark.requirement("BAS-06", source="GZ16:14"),
        ),
        pytest.param(
            "minimum_living_allowance",
            3,
            ("civil-affairs",),
            marks=pytest.mark.requirement("BAS-06", source="GZ16:14"),
        ),
        pytest.param(
            "education",
            36,
            ("education", "universities", "research-institutes"),
            marks=pytest.mark.requirement("BAS-07", source="GZ16:15"),
        ),
        pytest.param(
            "disability",
            8,
            ("disabled-federation",),
            marks=pytest.mark.requirement("BAS-08", source="GZ16:16"),
        ),
        pytest.param(
            "housing_fund",
            3,
            ("housing-fund",),
            marks=pytest.mark.requirement("BAS-09", source="GZ16:17"),
        ),
        ("household_registration", 11, ("police",)),
        ("marriage_adoption", 6, ("civil-affairs", "towns")),
        ("birth", 13, ("health", "police")),
        ("death", 23, ("health", "police")),
        ("professional_certificates", 8, ("licensing",)),
        ("enterprise", 11, ("market-supervision",)),
        ("individual_business", 11, ("market-supervision",)),
        ("organisation_code", 7, ("quality",)),
        ("local_tax", 4, ("local-tax",)),
        ("state_tax", 4, ("state-tax",)),
        ("private_non_enterprise", 12, ("civil-affairs",)),
        ("social_organisation", 12, ("civil-affairs",)),
        ("social_welfare_institution", 11, ("civil-affairs",)),
        ("public_institution", 6, ("staffing",)),
    ],
)
def test_a_list_has_the_laws_number_of_items_and_its_departments(
    key: str, items: int, departments: tuple[str, ...]
) -> None:
    entry = LISTS[key]
    assert len({item.number for item in own(entry)}) == items
    assert entry.departments == departments
    cited = clause(RULES, entry.article)
    assert cited is not None
    words = "".join(cited.lines)
    for item in own(entry):
        name = plain(item.part_of) or item.zh
        assert name in re.sub(r"\((“|适用于).*?\)", "", words), (key, name)


@pytest.mark.parametrize("key", list(SOURCE))
def test_the_departments_are_those_the_law_names(key: str) -> None:
    category, source = SOURCE[key]
    named = {name for word in LISTS[key].departments for name in _legal_names(word)}
    assert set(source.get("departments_zh", category["departments_zh"])) == named


def _legal_names(word: str) -> tuple[str, ...]:
    body = BODIES.body(word)
    assert body is not None
    return tuple(name for name in body.legal_names if name in _all_legal_names())


def _all_legal_names() -> set[str]:
    return {name for category in BASE["categories"] for name in category["departments_zh"]}


@pytest.mark.parametrize(
    "key", [key for key, (category, _) in SOURCE.items() if category["article"] in range(10, 19)]
)
def test_every_list_on_persons_but_the_polices_carries_name_and_document_for_comparison(key: str) -> None:
    entry = LISTS[key]
    fields = {item.field for item in entry.items}
    if key == "birth":
        # A newborn has no document: the certificate stands for it, and the parents are named with theirs.
        assert entry.record_key == "birth_certificate_number" and "mother_citizen_id_number" in fields
        assert len(entry.items) == 13
        return
    assert fields & {"name", "deceased_name", "student_name"}
    assert {"id_document_type", "id_document_number"} <= fields
    added = [item for item in entry.items if item.companion]
    assert all(item.article == "19" for item in added)


@pytest.mark.parametrize(("entry", "item"), ITEMS, ids=[f"{e.key}.{i.field}" for e, i in ITEMS])
def test_what_identifies_somebody_is_kept_apart(entry: DataList, item: Item) -> None:
    """Names, numbers, telephones, home addresses, signatures and pictures of anybody. Source: art. 38(2)."""
    telling = re.search(
        r"(姓名|号码|证号|证书号|社保号|学籍号|文号|编号|信用代码|识别号|注册号|电话|签名|相片|住址|企业名称|业户名称|单位名称)",
        item.zh,
    )
    of_others = item.field == "employer_name"
    if telling and not of_others:
        assert item.identity, f"{entry.key}.{item.field} would stand in the base table"
    assert item.identity is (item.kind != "plain")
    assert (item.type == "image") is (item.kind == "picture")
    if item.kind == "citizen_id":
        assert item.sensitivity == 3 and item.length == 18
    if item.identity and entry.library == "population":
        assert item.sensitivity >= 1
    assert parse_item_field(item.field) == item.field
    assert item.type == "image" or item.type in ("date", "datetime") or item.length


def test_record_keys_are_required_numbers_kept_in_the_vault() -> None:
    for entry in LISTS.values():
        key = entry.item(entry.record_key)
        assert key is not None and key.required and key.identity, entry.key
    assert LISTS["household_registration"].record_key == "citizen_id_number"


def test_code_lists_are_the_standards() -> None:
    birth = LISTS["birth"]
    sex, sex_code = birth.item("sex"), birth.item("sex_code")
    assert sex is not None and sex.code_values == ("男", "女")
    assert sex_code is not None and set(sex_code.code_values or ()) >= {"1", "2", "9"}
    status = LISTS["household_registration"].item("household_status")
    assert status is not None and status.code_values == ("正常", "注销")
    ethnicity = LISTS["household_registration"].item("ethnicity")
    assert ethnicity is not None and ethnicity.codes is not None and len(ethnicity.codes) == 58


def test_catalogue_codes_have_the_form_of_the_guide() -> None:
    for entry in LISTS.values():
        kind = "101" if entry.library == "population" else "102"
        assert re.fullmatch(rf"{kind}\d{{5}}/\d{{6}}", entry.code)


def test_every_body_of_chapter_two_has_its_department() -> None:
    known = {name for body in BODIES.departments for name in body.legal_names}
    wanted = _all_legal_names() | {n for c in BASE["open_categories"] for n in c["departments_zh"]}
    assert wanted <= known
    assert BODIES.sample and all(duty.sample for body in BODIES.departments for duty in body.duties)
    for body in BODIES.departments:
        parse_department_code(f"{BODIES.region}-{body.word}")


def test_the_bodies_that_review_and_rule_are_there() -> None:
    roles = {
        role: {b.word for b in BODIES.departments if role in b.roles}
        for role in ("joint_review", "approving")
    }
    assert roles["joint_review"] == {"staffing", "legal-affairs", "government-services"}
    assert roles["approving"] == {"government"}
    housing = BODIES.body("housing")
    assert housing is not None and housing.zh == "市住房和城乡建设局"
    assert any("公共租赁住房保障资格审核" in duty.zh for duty in housing.duties)


def test_the_folder_is_found_and_lists_its_regulations() -> None:
    assert "guangzhou-2016" in regulation_ids()
    assert (regulations_dir() / RULES.text_file).is_file()
    assert isinstance(regulations_dir(), Path)
