"""Reviews before data are provided, on their pages: who signs, for what, until when, and in which city."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.services import write_exchange
from shuqiao.control.exchange.clearances import (
    clearance_page,
    sign_reviews,
    store_demands,
    watch_clearances,
    withdraw_review,
)
from shuqiao.control.regulations.current import readable, regulation
from shuqiao.rules.capabilities import Capability

from .conftest import BIRTH, audit_entries, beyond_control, rows
from .test_exchange import HEALTH, POLICE, hear, state

MAPPING = "0123456789abcdef"
DEMANDED = {
    "guangzhou-2016": {"secrecy": "8(4)", "verification": "8(1)"},
    "guangzhou-2019": {"secrecy": "20(2)", "verification": "18"},
    "shenyang-2016": {"secrecy": "17"},
    "xiamen-2015": {},
    "haizhu-draft": {"secrecy": "setting", "verification": "6(4)"},
}


@pytest.mark.requirement("ING-04")
@pytest.mark.requirement("COL-09")
@pytest.mark.parametrize("city_rules", DEMANDED)
def test_each_city_demands_what_its_text_says(city_rules):
    rules = readable(city_rules)
    assert {one.key: one.article for one in rules.reviews} == DEMANDED[city_rules]
    assert any(Capability.DATA_CLEAR in role.capabilities for role in rules.roles)


@pytest.fixture
def heard(city):
    """The node of the health department says which mapping it uses."""
    hear(state())
    store_demands()
    return city


def sign(city, who="chen", kinds=("secrecy", "verification"), mapping=MAPPING, days=30) -> None:
    """Sign as this person."""
    sign_reviews(city.viewer(who), HEALTH, BIRTH, kinds, mapping, clock.today() + timedelta(days=days))


@pytest.mark.requirement("ING-04")
@pytest.mark.requirement("COL-09")
def test_a_named_person_signs_for_entry_mapping_and_period(heard):
    assert store_demands() == 0, "once is enough"
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    address = f"/exchange/{HEALTH}/{BIRTH}/reviews/"
    assert "未签署" in client.get(address).content.decode()
    until = clock.today() + timedelta(days=90)
    given = {"kinds": ["secrecy", "verification"], "mapping": MAPPING, "until": until.isoformat()}
    assert client.post(address, given).status_code == 302
    shown = client.get(address).content.decode()
    assert "未签署" not in shown and until.isoformat() in shown and "第八条" in shown
    page = clearance_page(heard.viewer("chen"), HEALTH, BIRTH)
    assert page.is_cleared and {row.standing.signed_by for row in page.rows if row.standing} == {"chen"}
    assert [entry[-1] for entry in audit_entries("clearance_signed")] == ["signed"] * 2
    assert rows(
        "SELECT missing FROM exchange.clearances_of(%s, %s)", BIRTH, f'{{"mapping_version": "{MAPPING}"}}'
    ) == [([],)]
    assert "提供前审查" in client.get(f"/exchange/{HEALTH}/").content.decode()


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"mapping": "another"}, "mapping"),
        ({"kinds": ()}, "kinds"),
        ({"kinds": ("invented",)}, "kinds"),
        ({"days": 400}, "until"),
        ({"days": -1}, "until"),
    ],
)
def test_a_faulty_signature_is_refused(heard, changed, fault):
    with pytest.raises(FormRefused) as refused:
        sign(heard, **changed)
    assert fault in {one.field for one in refused.value.faults}
    assert audit_entries("clearance_signed") == []


@pytest.mark.parametrize("stranger", ["wu", "lin", "zhao", "ma"])
def test_nobody_else_signs_or_takes_back(heard, stranger):
    sign(heard)
    (key,) = rows("SELECT id FROM exchange.clearance WHERE kind = 'secrecy'")[0]
    with pytest.raises(NotFound):
        sign(heard, who=stranger)
    with pytest.raises(NotFound):
        withdraw_review(heard.viewer(stranger), HEALTH, BIRTH, key)
    assert len(audit_entries("clearance_signed")) == 2


def test_another_departments_reviews_are_not_shown(heard):
    with pytest.raises(NotFound):
        clearance_page(heard.viewer("zhao"), HEALTH, BIRTH)
    with pytest.raises(NotFound):
        clearance_page(heard.viewer("chen"), POLICE, BIRTH)


def test_what_was_taken_back_is_kept_with_why(heard):
    sign(heard)
    page = clearance_page(heard.viewer("chen"), HEALTH, BIRTH)
    standing = page.rows[0].standing
    assert standing is not None
    assert withdraw_review(heard.viewer("chen"), HEALTH, BIRTH, standing.id)
    with pytest.raises(NotFound):
        withdraw_review(heard.viewer("chen"), HEALTH, BIRTH, standing.id)
    page = clearance_page(heard.viewer("chen"), HEALTH, BIRTH)
    assert not page.is_cleared and str(page.past[0].why) == "已撤回"
    assert [entry[-1] for entry in audit_entries("clearance_voided")] == ["withdrawn"]


@pytest.mark.requirement("ING-04")
def test_a_changed_structure_voids_and_says_so(heard):
    sign(heard)
    with beyond_control():
        rows(
            "UPDATE exchange.resource SET spec = jsonb_set(spec, '{items,0,zh}', '\"改\"')"
            " WHERE id = %s RETURNING 1",
            BIRTH,
        )
    page = clearance_page(heard.viewer("chen"), HEALTH, BIRTH)
    assert not page.is_cleared and {str(one.why) for one in page.past} == {"目录结构已变"}
    assert [entry[-1] for entry in audit_entries("clearance_voided")] == ["schema"] * 2


@pytest.mark.requirement("ING-04")
def test_what_is_written_again_as_it_was_voids_nothing(heard):
    sign(heard)
    for entry in Resource.objects.filter(pk__in=[row[0] for row in rows("SELECT id FROM exchange.resource")]):
        write_exchange(entry, list(entry.items.all()))
    assert clearance_page(heard.viewer("chen"), HEALTH, BIRTH).is_cleared
    assert audit_entries("clearance_voided") == []


def test_who_signs_is_told_what_is_missing_and_what_ends_once(heard):
    assert (watch_clearances(), watch_clearances()) == (2, 0)
    assert set(
        Notification.objects.filter(code="review_missing").values_list("department_id", flat=True)
    ) == {HEALTH}
    sign(heard, days=5)
    assert (watch_clearances(), watch_clearances()) == (2, 0)
    assert Notification.objects.filter(code="review_ending").count() == 2


def test_a_form_of_reviews_is_kept_by_the_database(heard):
    with pytest.raises(DatabaseError, match="permission denied"):
        rows("UPDATE exchange.clearance SET valid_until = now() RETURNING 1")
    assert regulation().reviews
