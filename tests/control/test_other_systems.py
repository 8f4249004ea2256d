"""Other exchange systems: registered with a plan, refused where forbidden, followed until they have moved."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.conf import settings as configured
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource, Service
from shuqiao.control.othersystems.actions import map_entry, register_system, report_state, unmap_entry
from shuqiao.control.othersystems.inputs import MappingInput, ReportInput, SystemInput
from shuqiao.control.othersystems.models import ExchangeSystem
from shuqiao.control.othersystems.pages import register, system_page

from .conftest import BIRTH, NOW, audit_entries, rows

OLD = date(2012, 5, 1)


def system(**changes) -> SystemInput:
    """An exchange system of housing that has run for long."""
    given = {
        "department": "440100-housing",
        "kind": "system",
        "name": "示例住房信息交换系统",
        "purpose": "向民政部门交换住房保障对象名单",
        "partners": "民政部门",
        "running_since": OLD,
        "plan": "先双轨运行，再改由平台查询",
        "planned_until": date(2027, 6, 30),
    }
    return SystemInput(**(given | changes))


def mapped(city, number: str, who: str = "ma") -> None:
    """Map what a system exchanges to an entry that the platform serves."""
    map_entry(city.viewer(who), number, MappingInput("住房保障对象名单", BIRTH))


def report(state: str, **changes) -> ReportInput:
    """A report with its note."""
    return ReportInput(
        **({"state": state, "note": "按计划进行", "planned_until": date(2027, 6, 30)} | changes)
    )


def faults(error: pytest.ExceptionInfo[FormRefused]) -> set[tuple[str, str]]:
    """(field, code) of every fault."""
    return {(one.field, one.code) for one in error.value.faults}


@pytest.mark.requirement("MOD-12", source="GZ16:8¶4")
@pytest.mark.parametrize("kind", ["platform", "interface", "system"])
def test_a_new_system_is_refused_with_the_article_and_the_refusal_is_logged(city, kind):
    with pytest.raises(FormRefused) as error:
        register_system(city.viewer("tan"), system(kind=kind, running_since=None))
    [fault] = error.value.faults
    assert (fault.field, fault.code) == ("kind", "new_system_forbidden")
    assert "第八条" in fault.message.zh and "art. 8" in fault.message.en
    assert not ExchangeSystem.objects.exists()
    [(department, *_, outcome)] = audit_entries("exchange_system_refused")
    assert (department, outcome) == ("440100-housing", "new_system_forbidden")


@pytest.mark.requirement("MOD-12", source="GZ165:16¶3")
def test_an_existing_system_is_registered_with_its_plan_and_followed_until_it_has_moved(city):
    number = register_system(city.viewer("tan"), system())
    assert number == "X-2026-0001"
    report_state(city.viewer("tan"), number, report("moving", note="名单改由平台查询，试运行"))
    mapped(city, number)
    report_state(city.viewer("ma"), number, report("moved", note="已停用", planned_until=None))
    page = system_page(city.viewer("tan"), number)
    assert [str(one.state_label.zh) for one in page.steps] == ["已迁移停用", "迁移中", "迁移中", "已登记"]
    assert page.row.planned_until == date(2027, 6, 30) and not page.next_states
    # Both steps bear one time here, so their order in the log says nothing.
    assert {one[-1] for one in audit_entries("exchange_system_step")} == {"moving", "moved"}
    assert len(audit_entries("exchange_system_registered")) == 1
    with pytest.raises(FormRefused) as error:
        report_state(city.viewer("tan"), number, report("moving"))
    assert faults(error) == {("state", "state_goes_back")}


@pytest.mark.requirement("ONB-03", source="GZ165:16¶3")
@pytest.mark.parametrize("regulation", ["guangzhou-2019", "shenyang-2016"])
def test_a_system_is_mapped_to_the_catalogue_then_switched_over_then_closed(city, settings, regulation):
    settings.CONFIG = replace(configured.CONFIG, regulation=regulation, regulation_fallback="guangzhou-2016")
    tan = city.viewer("tan")
    number = register_system(tan, system(kind="platform", name="示例区级交换平台", running_since=OLD))
    for state in ("connected", "moved"):
        with pytest.raises(FormRefused) as error:
            report_state(tan, number, report(state))
        assert faults(error) == {("state", "not_mapped")}
    report_state(tan, number, report("moving"))
    for given in (MappingInput(" ", BIRTH), MappingInput("名单", "r440100aaaaaaaaaa")):
        with pytest.raises(FormRefused):
            map_entry(tan, number, given)
    map_entry(tan, number, MappingInput("住房保障对象名单", BIRTH))
    map_entry(tan, number, MappingInput("住房保障对象名单", BIRTH))
    # What was exchanged stands in the catalogue, and nothing serves it: nobody can be switched over.
    Service.objects.filter(resource_id=BIRTH).update(ended_at=NOW)
    with pytest.raises(FormRefused) as error:
        report_state(tan, number, report("connected"))
    assert faults(error) == {("state", "entries_not_served")}
    assert [(one.resource, one.is_served) for one in system_page(tan, number).mapped] == [(BIRTH, False)]
    Service.objects.filter(resource_id=BIRTH).update(ended_at=None)
    report_state(tan, number, report("connected", note="已改由平台交换"))
    report_state(tan, number, report("moved", note="原系统已停用", planned_until=None))
    page = system_page(tan, number)
    assert page.row.state == "moved" and page.article.regulation == regulation
    assert len(page.mapped) == 1 and page.mapped[0].is_served
    with pytest.raises(FormRefused):
        map_entry(tan, number, MappingInput("另一名单", BIRTH))
    with pytest.raises(NotFound):
        map_entry(city.viewer("wu"), number, MappingInput("另一名单", BIRTH))
    with pytest.raises(FormRefused):
        unmap_entry(tan, number, page.mapped[0].key)


def test_a_wrong_mapping_is_taken_back_so_that_it_keeps_nobody_from_moving(city, monkeypatch):
    tan = city.viewer("tan")
    number = register_system(tan, system())
    mapped(city, number, "tan")
    wrong = Resource.objects.filter(state="published").exclude(pk=BIRTH).first()
    map_entry(tan, number, MappingInput("填错的名单", wrong.pk))
    Service.objects.filter(resource=wrong).update(ended_at=NOW)
    with pytest.raises(FormRefused) as error:
        report_state(tan, number, report("connected"))
    assert faults(error) == {("state", "entries_not_served")}
    [key] = [one.key for one in system_page(tan, number).mapped if one.resource == wrong.pk]
    with pytest.raises(NotFound):
        unmap_entry(city.viewer("wu"), number, key)
    client = Client()
    client.force_login(Account.objects.get(username="tan"))
    assert client.post(f"/other-systems/{number}/", {"unmap": "x"}).status_code == 404
    assert (
        "已撤去"
        in client.post(f"/other-systems/{number}/", {"unmap": str(key)}, follow=True).content.decode()
    )
    with pytest.raises(NotFound):
        unmap_entry(tan, number, key)
    report_state(tan, number, report("connected"))
    bodies = rows("SELECT body FROM audit.entry WHERE case_no = %s", number)
    assert any('"unmapped"' in body and "填错的名单" in body for (body,) in bodies)
    monkeypatch.setattr("shuqiao.control.othersystems.actions.MAX_MAPPED", 1)
    with pytest.raises(FormRefused) as error:
        map_entry(tan, number, MappingInput("又一名单", BIRTH))
    assert faults(error) == {("what", "too_many")}


@pytest.mark.requirement("MOD-12", source="XM:5(4)")
def test_where_nothing_is_forbidden_a_new_system_is_only_registered(city, settings):
    settings.CONFIG = replace(configured.CONFIG, regulation="xiamen-2015")
    number = register_system(city.viewer("tan"), system(running_since=None))
    assert ExchangeSystem.objects.get().regulation == "xiamen-2015"
    [(body,)] = rows("SELECT body FROM audit.entry WHERE case_no = %s", number)
    assert '"is_new":true' in body.replace(" ", "") and "xiamen-2015 art. 5(4)" in body


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": " "}, ("name", "field_required")),
        ({"plan": ""}, ("plan", "field_required")),
        ({"plan": "x" * 501}, ("plan", "too_long")),
        ({"name": "示例\x00系统"}, ("name", "text_not_plain")),
        ({"kind": "pigeon"}, ("kind", "field_required")),
        ({"planned_until": None}, ("planned_until", "field_required")),
        ({"planned_until": date(2020, 1, 1)}, ("planned_until", "date_impossible")),
        ({"planned_until": date(2040, 1, 1)}, ("planned_until", "date_impossible")),
    ],
)
def test_a_registration_is_complete(city, changes, fault):
    with pytest.raises(FormRefused) as error:
        register_system(city.viewer("tan"), system(**changes))
    assert fault in faults(error)
    assert not ExchangeSystem.objects.exists()


def test_a_department_registers_a_system_once(city):
    register_system(city.viewer("tan"), system())
    with pytest.raises(FormRefused) as error:
        register_system(city.viewer("ma"), system())
    assert faults(error) == {("name", "system_registered")}
    # Its number is given to the next one: nothing is left of what was refused.
    assert register_system(city.viewer("ma"), system(name="另一系统")) == "X-2026-0002"


@pytest.mark.parametrize("who", ["lin", "hou", "wu", "zheng", "zhou"])
def test_only_its_technicians_and_the_platform_agency_act_for_a_department(city, who):
    number = register_system(city.viewer("tan"), system())
    with pytest.raises(NotFound):
        register_system(city.viewer(who), system(name="另一系统"))
    with pytest.raises(NotFound):
        report_state(city.viewer(who), number, report("moving"))
    assert ExchangeSystem.objects.get().state == "registered"


def test_a_department_sees_its_own_systems_and_the_agency_all_with_the_report_of_state(city):
    register_system(city.viewer("tan"), system(planned_until=date(2026, 11, 20)))
    number = register_system(city.viewer("wu"), system(department="440100-health", name="示例健康交换平台"))
    mapped(city, number, "wu")
    report_state(city.viewer("wu"), number, report("connected"))
    assert [row.department.code for row in register(city.viewer("tan")).rows] == ["440100-housing"]
    assert not register(city.viewer("tan")).report
    with pytest.raises(NotFound):
        system_page(city.viewer("tan"), number)
    with clock.fixed(NOW + timedelta(days=30)):
        page = register(city.viewer("ma"))
    assert [(one.department.code, one.counts, one.late) for one in page.report] == [
        ("440100-housing", (1, 0, 0, 0), 1),
        ("440100-health", (0, 0, 1, 0), 0),
    ]
    assert page.late == 1 and [count for _, _, count in page.states] == [1, 0, 1, 0]
    for who in ("lin", "chen"):
        with pytest.raises(NotFound):
            register(city.viewer(who))


@pytest.mark.requirement("MOD-12", source="GZ16:8¶4")
def test_the_register_on_its_pages(city):
    client = Client()
    client.force_login(Account.objects.get(username="ma"))
    empty = client.get("/other-systems/").content.decode()
    assert "不得新建：" in empty and "还没有登记" in empty
    fields = {
        "department": "440100-housing", "kind": "system", "name": "=示例系统", "purpose": "名单",
        "partners": "民政部门", "running_since": "", "planned_until": "2027-06-30", "plan": "改由平台查询",
    }  # fmt: skip
    refused = client.post("/other-systems/", fields)
    assert refused.status_code == 422 and "不得新建此类系统" in refused.content.decode()
    assert 'value="名单"' in refused.content.decode()
    made = client.post("/other-systems/", fields | {"running_since": "2012-05-01"}, follow=True)
    assert "X-2026-0001" in made.content.decode()
    assert client.post("/other-systems/X-2026-0001/", {"state": "moving"}).status_code == 422
    given = {"state": "moving", "note": "试运行", "planned_until": "2027-06-30"}
    assert "试运行" in client.post("/other-systems/X-2026-0001/", given, follow=True).content.decode()
    assert client.post("/other-systems/X-2026-0001/", {"what": "名单", "resource": "r1"}).status_code == 422
    pair = {"what": "保障名单", "resource": BIRTH}
    assert "保障名单" in client.post("/other-systems/X-2026-0001/", pair, follow=True).content.decode()
    table = client.get("/other-systems/report.csv").content.decode()
    assert "'=示例系统" in table and "迁移中" in table
    assert "各部门迁移进展" in client.get("/other-systems/").content.decode()
    clerk = Client()
    clerk.force_login(Account.objects.get(username="lin"))
    assert clerk.get("/other-systems/").status_code == 404
