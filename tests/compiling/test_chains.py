"""Every city's chain, from the draft to both catalogues: who, when, which decision, and what others see."""

import pytest

from shuqiao.control.accounts.access import NotFound
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.compiling.models import CompilationEvent
from tests.control.conftest import NOW, audit_entries

from .conftest import CHAINS, HOUSING

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
    entries = audit_entries("compilation_step")
    assert sorted(row[6] for row in entries if row[5] == number) == sorted(STATES[name])
    assert {row[1] for row in entries} == {HOUSING}
    [published] = [row for row in audit_entries("entry_published") if row[5] == number]
    assert published[1:4] == (HOUSING, f"account:{CHAINS[name][-1][1]}", case.resource)
    resource = access_resource(office.viewer("chen"), case.resource)
    assert (resource.state, resource.department_id, resource.name_zh) == (
        "published", HOUSING, "公租房申请审核信息",
    )  # fmt: skip
    assert [item.field for item in resource.items.all()] == ["applicant_id", "approval_status", "applied_on"]
