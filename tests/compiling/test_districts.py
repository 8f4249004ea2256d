"""A district's own catalogue: its chain, its bodies, linked to the city's (CAT-22)."""

from dataclasses import replace

import pytest

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.access import visible
from shuqiao.control.compiling.actions import accept_rest, take_step
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.drafts import DraftInput, check, save_draft
from shuqiao.control.config import ConfigError, read_config
from shuqiao.control.organisations.models import Department
from shuqiao.rules.errors import PermissionDenied
from tests.control.conftest import NOW, audit_entries

from .conftest import STATUS, entry

DISTRICT = "440105-housing"
ITEM = replace(STATUS, field="rental_quota", zh="区级保障房配额")


@pytest.fixture
def haizhu(under, settings):
    """The city with a district that runs under its own draft; its people compile and review."""
    office = under("guangzhou-2016")
    settings.CONFIG = replace(settings.CONFIG, districts={"440105": "haizhu-draft"})
    for word, roles in (("housing", ["provider"]), ("data", ["competent"])):
        Department.objects.create(
            code=f"440105-{word}", word=word, region="440105", name_zh=f"海珠区{word}", short_zh=word,
            name_en=f"Haizhu {word}", kind="organ", level="district", roles=roles, active=True,
        )  # fmt: skip
    for username, word, role in (("qu", "housing", "sharing_officer"), ("hai", "data", "coordinator")):
        Account.objects.create(
            username=username, display_name=username, department_id=f"440105-{word}", role=role,
            password="!", created_at=NOW,
        )  # fmt: skip
    return office


def district_entry(**changes):
    """An entry of the district's housing department."""
    whole = entry(
        name_zh="海珠区公租房配额", department=DISTRICT, collecting=DISTRICT, verifying=DISTRICT,
        share_type="conditional", ground="《样例规定》第三条", ground_rank="law",
        conditions="用于住房保障", duty=None, record_key="", modes=(), items=(ITEM,),
    )  # fmt: skip
    return replace(whole, **changes)


@pytest.mark.requirement("CAT-22")
def test_a_district_has_its_own_chain_and_its_entry_is_linked_to_the_citys(haizhu):
    city = Resource.objects.get(list_key="birth")
    assert rules_for(DISTRICT).id == "haizhu-draft"
    number = save_draft(haizhu.viewer("qu"), DraftInput(content=district_entry(city_entry=city.id))).number
    case = haizhu.case(number)
    assert (case.regulation, case.resource[1:7]) == ("haizhu-draft", "440105")
    take_step(haizhu.viewer("qu"), number, "submit")
    assert haizhu.case(number).state == "reported"
    accept_rest(haizhu.viewer("hai"), number)
    take_step(haizhu.viewer("hai"), number, "publish")
    held = Resource.objects.get(id=case.resource)
    assert (held.region, held.city_entry_id, held.state) == ("440105", city.id, "published")
    assert list(city.district_entries.all()) == [held]
    entries = [row for row in audit_entries("compilation_step") if row[5] == number]
    assert {row[6] for row in entries} == {"reported", "published"}


@pytest.mark.requirement("CAT-22")
def test_bodies_of_the_city_do_not_act_in_a_district_nor_the_other_way_round(haizhu):
    number = save_draft(haizhu.viewer("qu"), DraftInput(content=district_entry())).number
    take_step(haizhu.viewer("qu"), number, "submit")
    # The city's competent department sees it, because it supervises, and can't act.
    assert visible(haizhu.viewer("zheng")).filter(number=number).exists()
    with pytest.raises(PermissionDenied):
        take_step(haizhu.viewer("zheng"), number, "publish")
    own = haizhu.draft()
    haizhu.send(own)
    with pytest.raises((NotFound, PermissionDenied)):
        take_step(haizhu.viewer("hai"), own, "compile")


def test_only_a_districts_entry_is_linked_and_only_to_the_citys(haizhu):
    city = Resource.objects.get(list_key="birth")
    faults = check(haizhu.viewer("hou"), entry(city_entry=city.id))
    assert ("city_entry", "city_entry_refused") in {(one.path, one.code) for one in faults}
    faults = check(haizhu.viewer("qu"), district_entry(city_entry="r440100aaaaaaaaaa"))
    assert ("city_entry", "resource_unknown") in {(one.path, one.code) for one in faults}


def test_an_entry_does_not_move_to_another_region(haizhu):
    draft = save_draft(haizhu.viewer("qu"), DraftInput(content=district_entry()))
    moved = replace(district_entry(), department="440100-housing")
    given = DraftInput(content=moved, number=draft.number, revision=draft.revision)
    with pytest.raises((FormRefused, PermissionDenied)):
        save_draft(haizhu.viewer("qu"), given)


@pytest.mark.parametrize("given", ["440105", "440105=", "4401=haizhu-draft", "440105=a,440105=b", "x=y"])
def test_a_setting_that_pairs_nothing_is_refused(given):
    with pytest.raises(ConfigError) as refused:
        read_config({"SHUQIAO_DISTRICTS": given})
    assert any("SHUQIAO_DISTRICTS" in fault for fault in refused.value.faults)
