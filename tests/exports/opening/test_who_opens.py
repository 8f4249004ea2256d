"""Opening an entry is the act of the department that provides it, by the law's chain, and nobody else's.

Source: shenyang-2016 art. 11(3), 23(1); xiamen-2015 art. 7; guangzhou-2016 art. 4(2).
"""

from dataclasses import replace

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.drafts import DraftInput, begin, save_draft
from shuqiao.rules.errors import ShuqiaoError
from tests.compiling.conftest import CHAINS, HEALTH, entry

REFUSED = (ShuqiaoError, NotFound, FormRefused)


def is_public(resource: str) -> bool:
    """Whether anybody finds the entry, in every way there is; all ways must agree."""
    client = Client()
    ways = {
        client.get(f"/open/{resource}/").status_code == 200,
        client.get(f"/dcat/dataset/{resource}").status_code == 200,
        resource in client.get("/dcat/catalog.ttl").content.decode(),
        resource in client.get("/api/3/action/package_list").json()["result"],
        resource in b"".join(client.get("/open/catalogue.csv")).decode(),
        resource in client.get("/open/").content.decode(),
    }
    assert len(ways) == 1
    return ways.pop()


@pytest.mark.requirement("PUB-01")
@pytest.mark.requirement("PUB-02")
def test_what_its_department_publishes_as_open_is_open_and_nothing_else(office):
    open_one = office.published(open_to_public=True, open_conditions="注明来源").resource
    closed = office.published(name_zh="公租房轮候信息", open_to_public=False).resource
    assert is_public(open_one)
    assert not is_public(closed)
    # Both are in the sharing catalogue: the flag does not depend on how an entry is shared.
    assert Resource.objects.filter(id__in=[open_one, closed], shared=True).count() == 2


@pytest.mark.requirement("PUB-01")
def test_an_entry_cannot_be_sent_before_somebody_has_said_whether_it_is_open(office):
    number = office.draft(open_to_public=None)
    with pytest.raises(REFUSED):
        office.send(number)
    assert not is_public(office.case(number).resource)


@pytest.mark.requirement("PUB-02")
def test_an_entry_is_open_after_the_last_step_of_the_chain_and_not_before(office):
    number = office.draft(open_to_public=True)
    resource = office.case(number).resource
    office.send(number)
    for action, by in CHAINS[office.rules]:
        assert not is_public(resource)
        office.pass_review(by, number, action)
    assert is_public(resource)


@pytest.mark.requirement("PUB-02")
@pytest.mark.parametrize("who", ["chen", "lin", "zhao"])
def test_a_department_that_uses_an_entry_cannot_open_it(office, who):
    resource = office.published(open_to_public=False).resource
    viewer = office.viewer(who)
    if viewer.department.code == "440100-housing":
        # Of the provider's own people, only those who compile.
        Account.objects.filter(username=who).update(role="nobody")
        viewer = office.viewer(who)
    for kind in ("change", "correction"):
        with pytest.raises(REFUSED):
            begin(viewer, kind, resource)
    content = entry(open_to_public=True)
    for given in (
        DraftInput(content=content, kind="change", resource=resource),
        DraftInput(content=replace(content, department=HEALTH), kind="change", resource=resource),
        DraftInput(content=content),
    ):
        with pytest.raises(REFUSED):
            save_draft(viewer, given)
    assert not is_public(resource)


@pytest.mark.requirement("PUB-02")
def test_the_provider_opens_by_a_change_and_a_correction_of_wording_cannot(office):
    resource = office.published(open_to_public=False).resource
    with pytest.raises(REFUSED):
        office.changed(resource, kind="correction", open_to_public=True)
    assert not is_public(resource)


@pytest.mark.requirement("PUB-02")
def test_the_database_opens_nothing_that_was_not_published_as_open(office):
    resource = office.published(open_to_public=False).resource
    with pytest.raises(IntegrityError), transaction.atomic():
        Resource.objects.filter(id=resource).update(open_to_public=True)
    assert not is_public(resource)
