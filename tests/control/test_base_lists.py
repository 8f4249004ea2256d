"""The catalogue built from chapter 2, held against the words of the law themselves."""

import re

import msgspec
import pytest

from shuqiao.control.catalogue.actions import load_base_lists
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.regulations.current import regulation, text_articles
from shuqiao.wire.schemas import ResourceSpec

from .conftest import audit_entries, beyond_control, rows

# list: (article, items the text lists, fields they make, bodies the text names), counted in the text by hand.
LAW = {
    "household_registration": (9, 11, 12, ["公安机关"]),
    "residence_permit": (10, 17, 17, ["来穗人员服务管理部门", "镇人民政府", "街道办事处"]),
    "marriage_adoption": (11, 6, 6, ["民政部门", "镇人民政府"]),
    "birth": (12, 13, 13, ["卫生和计划生育行政部门", "公安机关"]),
    "death": (12, 23, 25, ["卫生和计划生育行政部门", "公安机关"]),
    "family_planning": (13, 5, 5, ["卫生和计划生育行政部门", "镇人民政府", "街道办事处"]),
    "social_security": (14, 17, 17, ["人力资源和社会保障部门"]),
    "minimum_living_allowance": (14, 3, 3, ["民政部门"]),
    "education": (15, 36, 36, ["教育行政部门", "普通高等学校", "科学研究机构"]),
    "disability": (16, 8, 8, ["残疾人联合会"]),
    "housing_fund": (17, 3, 3, ["住房公积金管理中心"]),
    "professional_certificates": (18, 8, 8, ["有权颁发职业资格证书和执业证书的行政机关和组织"]),
    "enterprise": (20, 11, 12, ["工商行政管理部门"]),
    "individual_business": (20, 11, 12, ["工商行政管理部门"]),
    "organisation_code": (21, 7, 7, ["质量技术监督部门"]),
    "local_tax": (22, 4, 4, ["地方税务部门"]),
    "state_tax": (23, 4, 4, ["国家税务部门"]),
    "private_non_enterprise": (24, 12, 12, ["民政部门"]),
    "social_organisation": (24, 12, 12, ["民政部门"]),
    "social_welfare_institution": (24, 11, 11, ["民政部门"]),
    "public_institution": (25, 6, 6, ["机构编制管理部门"]),
}

REQUIREMENT = {
    "residence_permit": "BAS-02",
    "family_planning": "BAS-05",
    "social_security": "BAS-06",
    "minimum_living_allowance": "BAS-06",
    "education": "BAS-07",
    "disability": "BAS-08",
    "housing_fund": "BAS-09",
    "public_institution": "BAS-16",
}
"""Requirements that ask for no more than what is compared here."""


NOTE_ON_USE = "(适用于在民政部门办理婚姻登记的情况)"
"""Says when marital status applies; it is no part of the item's name."""


def _plain(text: str) -> str:
    """Without marks and brackets, so that only the words are compared."""
    text = text.replace(NOTE_ON_USE, "")
    return re.sub(r"[\s、,，;；。:：()（）“”\"《》]", "", text)


def _case(key: str):
    marks = [pytest.mark.requirement(REQUIREMENT[key])] if key in REQUIREMENT else []
    return pytest.param(key, marks=marks, id=key)


@pytest.mark.parametrize("key", [_case(key) for key in LAW])
def test_a_list_has_exactly_the_items_of_the_law_in_its_order_and_its_bodies(city, key):
    article, item_count, field_count, bodies = LAW[key]
    resource = Resource.objects.get(list_key=key)
    items = list(resource.items.filter(companion=False).order_by("number", "part"))
    assert len(items) == field_count
    assert {item.number for item in items} == set(range(1, item_count + 1))
    names = list(dict.fromkeys((item.number, item.part_of_zh or item.zh) for item in items))
    law = _plain("".join(text_articles("guangzhou-2016")[article].lines))
    assert _plain("".join(name for _, name in names)) in law
    assert int(re.match(r"\d+", resource.article)[0]) == article
    named = {name for one in resource.joint_departments.all() for name in one.legal_names}
    assert set(bodies) <= named
    assert resource.joint_departments.count() == len(bodies)
    assert set(resource.department.legal_names) & set(bodies)
    for body in bodies:
        assert body in "".join(text_articles("guangzhou-2016")[article].lines)


@pytest.mark.requirement("CAT-02")
def test_the_first_catalogue_is_all_twenty_one_lists_each_ready_to_receive(city):
    assert set(Resource.objects.values_list("list_key", flat=True)) == set(LAW)
    for resource in Resource.objects.prefetch_related("items"):
        assert resource.department_id
        [(spec, department, active)] = rows(
            "SELECT spec::text, department, active FROM exchange.resource WHERE id = %s", resource.id
        )
        described = msgspec.json.decode(spec, type=ResourceSpec)
        assert [item.field for item in described.items] == [item.field for item in resource.items.all()]
        assert (department, active) == (resource.department_id, True)
        plain = {item.field for item in resource.items.all() if not item.identity}
        with beyond_control():
            named = rows(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_schema = 'base' AND table_name = %s",
                resource.id,
            )
        columns = {name for (name,) in named}
        assert plain <= columns
        identity = {item.field for item in resource.items.all() if item.identity}
        assert not identity & columns, "what identifies a person has no place in a base table"
    assert len(audit_entries("entry_published")) == len(LAW)


def test_loading_again_creates_nothing_and_records_nothing(city):
    before = (Item.objects.count(), len(audit_entries("entry_published")))
    assert load_base_lists(regulation(), "system:test") == 0
    assert (Item.objects.count(), len(audit_entries("entry_published"))) == before


def test_numbers_of_persons_and_pictures_are_offered_for_comparison_only(city):
    for item in Item.objects.filter(sensitivity__gte=3):
        assert item.modes == ["verify"], item
