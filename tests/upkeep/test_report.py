"""The supervision report, open work, digitisation, return flow, and demands kept in the catalogue."""

import csv
from datetime import UTC, datetime
from io import StringIO

import pytest

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource, Service
from shuqiao.control.organisations.models import Duty
from shuqiao.control.outside.actions import amend_demand, submit_outside
from shuqiao.control.outside.demand import demand_list
from shuqiao.control.outside.inputs import OutsideInput
from shuqiao.control.upkeep.report import digitisation, open_work, return_flow, supervision, without_service
from tests.compiling.conftest import HEALTH, HOUSING
from tests.control.conftest import NOW


def row_of(office, department: str):
    """A department's line of the report."""
    return next(one for one in supervision(office.viewer("zheng")) if one.department.code == department)


@pytest.mark.requirement("CAT-23", source="GZ165:8¶5")
def test_the_report_says_for_each_department_its_entries_and_their_last_update(under):
    office = under("guangzhou-2019")
    before = {one.department.code for one in supervision(office.viewer("zheng"))}
    assert HOUSING not in before and HEALTH in before
    later = datetime(2026, 11, 12, 2, 0, tzinfo=UTC)
    with clock.fixed(later):
        office.published()
    row = row_of(office, HOUSING)
    assert (row.entries, row.updated_at, row.open_work) == (1, later, 1)
    assert row_of(office, HEALTH).updated_at == NOW


@pytest.mark.requirement("CAT-23")
def test_supervisors_see_everyone_a_department_itself_and_others_nothing(under, client):
    office = under("guangzhou-2016")
    office.published()
    assert len(supervision(office.viewer("zhou"))) == len(supervision(office.viewer("zheng"))) > 5
    assert [one.department.code for one in supervision(office.viewer("chen"))] == [HEALTH]
    with pytest.raises(NotFound):
        supervision(office.viewer("tan"))
    client.force_login(Account.objects.get(username="zheng"))
    assert "住房" in client.get("/upkeep/report/").content.decode()
    answer = client.get("/upkeep/report/?form=csv")
    table = list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig"))))
    own = next(line for line in table if line["部门代码"] == HOUSING)
    assert (own["目录条目数"], own["可共享未提供服务"]) == ("1", "1")
    assert client.get("/upkeep/report/?form=xlsx").content[:2] == b"PK"


@pytest.mark.requirement("MOD-13")
def test_what_is_shareable_and_not_offered_is_open_work_until_it_is_offered_or_closed_to_all(under, client):
    office = under("xiamen-2015")
    entry = office.published().resource
    listed = open_work(office.viewer("hou"), 1)
    assert [one.id for one in listed.rows] == [entry]
    assert entry in {one.id for one in open_work(office.viewer("zheng"), 1).rows}
    assert not open_work(office.viewer("chen"), 1).rows, "the base lists are offered as tables"
    client.force_login(Account.objects.get(username="hou"))
    assert "公租房申请审核信息" in client.get("/upkeep/entries/open-work/").content.decode()
    Service.objects.create(resource_id=entry, kind="interface", place="样例接口", offered_at=NOW)
    assert not without_service([HOUSING]).exists()
    Service.objects.filter(resource_id=entry).update(ended_at=NOW)
    assert without_service([HOUSING]).exists()
    Resource.objects.filter(id=entry).update(share_type="not_shared", shared=False)
    assert not without_service([HOUSING]).exists()


@pytest.mark.requirement("COL-07", source="XM:8")
def test_sources_that_are_not_digital_are_counted_and_listed_with_their_state(under, client):
    office = under("xiamen-2015")
    office.published(digitisation="paper", format="document", manner=("mail",), modes=(), record_key="")
    office.published(name_zh="公租房配租信息", subject="30100802")
    page = digitisation(office.viewer("hou"), 1)
    assert [(one.name.zh, one.state.zh) for one in page.rows] == [("公租房申请审核信息", "纸质，未数字化")]
    assert {label.zh: count for label, count in page.states} == {"已入库（结构化）": 1, "纸质，未数字化": 1}
    assert row_of(office, HOUSING).not_digital == 1
    client.force_login(Account.objects.get(username="hou"))
    assert "纸质，未数字化" in client.get("/upkeep/entries/digitisation/").content.decode()


@pytest.mark.requirement("COL-08", source="XM:8")
def test_data_held_in_a_superior_system_are_listed_with_the_state_of_their_return_flow(under, client):
    office = under("xiamen-2015")
    office.published(superior_system="全国样例登记系统", return_flow="planned")
    office.published(
        name_zh="公租房配租信息", subject="30100802", superior_system="省样例系统", return_flow="running"
    )
    page = return_flow(office.viewer("hou"), 1)
    assert {(one.detail, one.state.zh) for one in page.rows} == {
        ("全国样例登记系统", "已提出回流申请"),
        ("省样例系统", "已回流"),
    }
    assert row_of(office, HOUSING).not_returned == 1
    client.force_login(Account.objects.get(username="hou"))
    assert "全国样例登记系统" in client.get("/upkeep/entries/return-flow/").content.decode()
    assert client.get("/upkeep/entries/nothing/").status_code == 404


@pytest.mark.requirement("CAT-17", source="XM:7")
def test_a_demand_is_kept_in_the_catalogue_system_and_updated_when_it_changes(under, client):
    office = under("xiamen-2015")
    viewer = office.viewer("hou")
    duty = Duty.objects.get(department_id=HOUSING, number=1).pk
    asked = OutsideInput(holder=HEALTH, wanted="妇幼健康档案", duty=duty, purpose="保障资格核定", draft=None)
    number = submit_outside(viewer, asked)
    [row] = demand_list(viewer, 1).rows
    assert (row.number, row.wanted, row.amended_at, row.may_amend) == (number, "妇幼健康档案", None, True)
    later = datetime(2026, 11, 12, 2, 0, tzinfo=UTC)
    with clock.fixed(later):
        amend_demand(viewer, number, "妇幼健康档案中的出生医学证明", "保障资格核定")
    [row] = demand_list(viewer, 1).rows
    assert (row.wanted, row.amended_at) == ("妇幼健康档案中的出生医学证明", later)
    assert [one.number for one in demand_list(office.viewer("zheng"), 1).rows] == [number]
    assert [one.may_amend for one in demand_list(office.viewer("chen"), 1).rows] == [False]
    assert not demand_list(office.viewer("zhao"), 1).rows
    client.force_login(Account.objects.get(username="hou"))
    assert "出生医学证明" in client.get("/upkeep/demands/").content.decode()
