"""A second claim is found when an entry is compiled, explained, and says who holds the datum."""

from dataclasses import replace

import pytest

from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.onesource.claims import conflicts, conflicts_of, faults
from shuqiao.rules.onesource import Outcome
from tests.control.conftest import HOUSEHOLD as HOUSEHOLD_ENTRY
from tests.onesource.conftest import NEW, entry, item


@pytest.mark.requirement("COL-01", source="GZ16:3¶1-3")
@pytest.mark.requirement("COL-01", source="GZINT:§3¶1")
def test_the_same_datum_is_found_by_name_and_synonym(city) -> None:
    found = conflicts(entry("户籍地派出所", "身份证号", "疫苗批号"))
    assert [(one.path, one.name, one.holder.code) for one in found if one.same] == [
        ("items[0].zh", "户籍地派出所", "440100-police"),
        ("items[1].zh", "公民身份号码", "440100-police"),
    ]
    first = found[0]
    assert first.resource == HOUSEHOLD_ENTRY and first.blocks and first.code == "already_claimed"
    assert "公安" in first.zh and "名称相同" in first.zh and "同一细目" in first.zh
    assert "Same name" in first.en
    assert first.article == "guangzhou-2016 art. 3(3)" and first.outcome is Outcome.REFUSED


@pytest.mark.requirement("COL-01")
def test_the_same_datum_is_found_by_its_standard_element_whatever_it_is_called(city) -> None:
    found = conflicts(entry(item("人员唯一标识", standard="citizen_id_number")))
    assert [(one.name, one.same, one.blocks) for one in found] == [("公民身份号码", False, False)]
    assert "同一标准数据元" in found[0].zh


def test_the_holder_itself_and_joint_collectors_have_no_conflict(city) -> None:
    assert conflicts(entry("户籍地派出所", department="440100-police")) == ()
    held = entry("出生医学证号", "新生儿姓名", subject="10101201", department="440100-police")
    assert conflicts(held) == ()


def test_what_names_a_person_everywhere_is_no_conflict_in_another_subject(city) -> None:
    assert conflicts(entry("姓名", "性别", "疫苗批号", subject="20200101")) == ()
    assert conflicts(entry("姓名", subject="10108801")) == ()


def test_a_rare_name_in_the_same_branch_is_shown_but_does_not_block(city) -> None:
    found = conflicts(entry("户籍地派出所", subject="10108801"))
    assert [(one.same, one.blocks, one.code) for one in found] == [(False, False, "maybe_claimed")]


def test_many_entries_are_looked_up_together(city, django_assert_max_num_queries) -> None:
    many = [("", entry("户籍地派出所", f"项目{n}")) for n in range(300)]
    with django_assert_max_num_queries(12):
        found = conflicts_of(many)
    assert [len(one) for one in found] == [1] * 300
    assert [one.path for one in faults(many)[7]] == ["items[0].zh"]


def test_an_entry_without_class_or_items_has_no_conflict(city) -> None:
    assert conflicts(entry("户籍地派出所", subject="")) == ()
    assert conflicts(entry(), NEW) == ()


@pytest.mark.requirement("COL-01", source="GZ16:3¶1-3")
def test_what_the_law_s_own_lists_assign_is_no_second_claim_of_those_who_keep_them(city) -> None:
    lists = [(one.id, entry_from(one.content)) for one in Resource.objects.order_by("id")]
    assert len(lists) == 21 and all(not found for found in conflicts_of(lists))
    key, household = next(one for one in lists if one[0] == HOUSEHOLD_ENTRY)
    # Beyond its list, or handed to another body, the same items are claims like any other.
    more = replace(household, items=(*household.items, item("居住证号码", "more")))
    assert {one.path for one in conflicts(more, key)} == {f"items[{len(household.items)}].zh"}
    assert conflicts(replace(household, department="440100-health", joint=()), key)


def test_an_entry_that_has_ended_holds_nothing(city) -> None:
    """Even before the register has followed."""
    Resource.objects.filter(id=HOUSEHOLD_ENTRY).update(state="withdrawn")
    assert conflicts(entry("户籍地派出所")) == ()
