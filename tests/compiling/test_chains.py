"""Every city's chain, from the draft to both catalogues: who, when, which decision, and what others see."""

import pytest

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Notification
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.compiling.access import PROCEDURE, visible
from shuqiao.control.compiling.actions import take_step
from shuqiao.control.compiling.models import CompilationEvent
from shuqiao.control.regulations.current import regulation
from shuqiao.rules.errors import MarksMissing, PermissionDenied, ShuqiaoError, TransitionRefused
from shuqiao.rules.procedures import Accepted, Facts, decide
from tests.control.conftest import NOW, audit_entries

from .conftest import CHAINS, CITIES, DATA, HOUSING

PROVES = {
    "guangzhou-2016": pytest.mark.requirement("CAT-07"),
    "guangzhou-2019": pytest.mark.requirement("CAT-10"),
    "xiamen-2015": pytest.mark.requirement("CAT-08"),
    "shenyang-2016": pytest.mark.requirement("CAT-09"),
}
STATES = {
    "guangzhou-2016": ["put_forward", "compiled", "verified", "approved", "published"],
    "guangzhou-2019": ["reported", "compiled", "published"],
    "xiamen-2015": ["registered", "confirmed", "published"],
    "shenyang-2016": ["submitted", "reviewed", "merged", "approved", "published"],
}


@pytest.mark.requirement("CAT-01")
@pytest.mark.parametrize("name", [pytest.param(name, marks=mark) for name, mark in PROVES.items()])
def test_an_entry_passes_every_step_of_its_city_and_is_then_in_force(under, name):
    office = under(name)
    number = office.draft()
    case = office.case(number)
    office.send(number)
    for action, by in CHAINS[name]:
        # Nothing that has not been approved is visible as in force.
        assert not Resource.objects.filter(id=case.resource).exists()
        with pytest.raises(NotFound):
            access_resource(office.viewer("chen"), case.resource)
        office.pass_review(by, number, action)
    case = office.case(number)
    assert (case.state, case.phase, case.published_at) == ("published", "granted", NOW)
    events = list(CompilationEvent.objects.filter(compilation=number).select_related("account"))
    assert [event.to_state for event in events] == STATES[name]
    assert [event.account.username for event in events] == ["hou", *(by for _, by in CHAINS[name])]
    assert all(event.article and event.occurred_at == NOW for event in events)
    entries = [row for row in audit_entries("compilation_step") if row[5] == number]
    assert sorted(row[6] for row in entries) == sorted(STATES[name])
    assert {row[1] for row in entries} == {HOUSING}
    [published] = [row for row in audit_entries("entry_published") if row[5] == number]
    assert published[1:4] == (HOUSING, f"account:{CHAINS[name][-1][1]}", case.resource)
    resource = access_resource(office.viewer("chen"), case.resource)
    assert (resource.state, resource.department_id, resource.name_zh) == (
        "published", HOUSING, "公租房申请审核信息",
    )  # fmt: skip
    assert [item.field for item in resource.items.all()] == ["applicant_id", "approval_status", "applied_on"]


@pytest.mark.parametrize("name", CITIES)
def test_every_step_of_the_file_and_no_other(under, name):
    under(name)
    rules = regulation()
    procedure = rules.procedure(PROCEDURE)
    every = frozenset(one for role in rules.roles for one in role.capabilities)
    given = {"declaration": True, "marks": True, "reason": "x"}
    for state in procedure.states:
        for action in {step.action for step in procedure.transitions}:
            for side in ("provider", "competent", "platform_agency", "approving"):
                for held in (every, frozenset()):
                    facts = Facts("C-2026-0001", frozenset({side}), given, actor="1", proposer="2")
                    decision = decide(
                        procedure, state.key, action, facts,
                        capabilities=held, regulation=rules, today=NOW.date(),
                    )  # fmt: skip
                    allowed = any(
                        step.action == action
                        and state.key in step.from_states
                        and side in step.by
                        and step.capability in held
                        and not step.when
                        for step in procedure.transitions
                    )
                    assert isinstance(decision, Accepted) is allowed, (state.key, action, side)
                    assert decision.article


def test_no_step_is_taken_by_anybody_else_or_out_of_turn(office):
    number = office.draft()
    office.send(number)
    last_action, last_by = CHAINS[office.rules][-1]
    with pytest.raises((TransitionRefused, PermissionDenied)):
        office.step(last_by, number, last_action)
    first_action, _ = CHAINS[office.rules][0]
    for stranger in ("zhao", "wu", "tan"):
        with pytest.raises((NotFound, PermissionDenied)):
            office.step(stranger, number, first_action)
    with pytest.raises((PermissionDenied, MarksMissing)):
        office.step("hou", number, first_action)
    assert len([row for row in audit_entries("compilation_step") if row[5] == number]) == 1
    assert office.case(number).phase == "waiting"


def test_a_step_taken_twice_is_refused_and_recorded_once(office):
    number = office.draft()
    office.send(number)
    with pytest.raises(ShuqiaoError):
        office.send(number)
    action, by = CHAINS[office.rules][0]
    office.pass_review(by, number, action)
    with pytest.raises(ShuqiaoError):
        office.step(by, number, action)
    assert len([row for row in audit_entries("compilation_step") if row[5] == number]) == 2


@pytest.mark.requirement("CAT-09", source="SY:12¶2")
def test_it_can_be_returned_with_reasons_and_sent_again(office):
    number = office.draft()
    office.send(number)
    _, by = CHAINS[office.rules][0]
    with pytest.raises(FormRefused) as refused:
        office.step(by, number, "return")
    assert [fault.code for fault in refused.value.faults] == ["reason_required"]
    office.step(by, number, "return", reason="信息项缺少更新时间，请补充")
    case = office.case(number)
    assert (case.state, case.phase) == ("returned", "draft")
    event = CompilationEvent.objects.filter(compilation=number).last()
    assert event.reason == "信息项缺少更新时间，请补充"
    assert Notification.objects.filter(
        department_id=HOUSING, code="compilation_moved", reference=number
    ).exists()
    office.send(number)
    office.go_on(number)
    assert office.case(number).state == "published"


def test_a_draft_is_taken_back_and_its_entry_can_be_begun_anew(office):
    number = office.draft()
    office.send(number)
    office.step("hou", number, "withdraw")
    assert (office.case(number).state, office.case(number).phase) == ("withdrawn", "closed")
    assert "withdrawn" in [row[6] for row in audit_entries("compilation_step") if row[5] == number]
    assert office.draft() != number


def test_who_acts_next_is_told_and_sees_the_case(office):
    number = office.draft()
    action, by = CHAINS[office.rules][0]
    reviewer = office.viewer(by)
    own = reviewer.department.code == HOUSING
    assert visible(reviewer).filter(number=number).exists() is own
    office.send(number)
    assert visible(reviewer).filter(number=number).exists()
    told = Notification.objects.filter(code="compilation_moved", reference=number)
    assert told.filter(department_id=reviewer.department.code).exists()
    assert not visible(office.viewer("zhao")).filter(number=number).exists()
    with pytest.raises(NotFound):
        take_step(office.viewer("zhao"), number, action)


@pytest.mark.requirement("CAT-07", source="GZ16:30¶1")
def test_in_guangzhou_2016_the_platform_agency_compiles_by_itself_too(guangzhou):
    number = guangzhou.draft(by="pan")
    guangzhou.step("pan", number, "compile")
    case = guangzhou.case(number)
    assert (case.state, case.department_id) == ("compiled", HOUSING)
    assert case.declared_by.username == "pan"
    for action, by in CHAINS["guangzhou-2016"][1:]:
        guangzhou.pass_review(by, number, action)
    assert Resource.objects.get(id=case.resource).department_id == HOUSING
    assert DATA != HOUSING


def test_a_draft_is_not_written_by_a_step(office):
    number = office.draft()
    with pytest.raises(NotFound):
        office.step("hou", number, "save")
    with pytest.raises(ShuqiaoError):
        office.step("hou", number, "nonsense")
    assert not CompilationEvent.objects.exists()
