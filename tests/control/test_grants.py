"""Ending grants: at once by revocation, by itself after the last day; and who may do so."""

from datetime import date, timedelta

import pytest

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound
from shuqiao.control.accounts.models import Notification
from shuqiao.control.grants.actions import expire_grants, revoke_grant
from shuqiao.control.grants.models import Grant
from shuqiao.control.grants.pages import grant_list, grant_page, usable_grants, verification_page
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.rules.errors import ReasonRequired, TransitionRefused

from .conftest import NOW, audit_entries, beyond_control, rows


@pytest.fixture
def granted(city) -> str:
    """The number of a grant of health to housing, until 11 November 2027."""
    number = submit_request(city.viewer("lin"), city.wanted())
    grant = answer_request(city.viewer("chen"), number, city.answer())
    assert grant is not None
    return grant


def epoch() -> list[tuple]:
    """What the plane compares at every call."""
    with beyond_control():
        return rows("SELECT value FROM exchange.epoch")


def test_revoking_reaches_the_plane_in_the_same_transaction_with_a_new_epoch(city, granted):
    [(before,)] = epoch()
    revoke_grant(city.viewer("chen"), granted, "  用途已改变 ")
    [(revoked_at, reason)] = rows(
        'SELECT revoked_at, revoked_reason FROM exchange."grant" WHERE id = %s', granted
    )
    assert (revoked_at, reason) == (NOW, "用途已改变")
    assert epoch() > [(before,)]
    [(consumer, provider, actor, _, grant, _, outcome)] = audit_entries("grant_revoked")
    assert (consumer, provider, grant) == ("440100-housing", "440100-health", granted)
    assert (actor, outcome) == ("account:chen", "revoked")
    assert Notification.objects.filter(code="grant_revoked", department_id="440100-housing").exists()
    assert usable_grants(city.viewer("lin")) == ()
    with pytest.raises(NotFound):
        verification_page(city.viewer("lin"), granted)


def test_revoking_needs_a_reason_and_happens_once(city, granted):
    chen = city.viewer("chen")
    with pytest.raises(ReasonRequired):
        revoke_grant(chen, granted, " ")
    assert Grant.objects.get(number=granted).state == "active"
    revoke_grant(chen, granted, "用途已改变")
    with pytest.raises(TransitionRefused):
        revoke_grant(chen, granted, "再一次")
    assert len(audit_entries("grant_revoked")) == 1


@pytest.mark.parametrize("username", ["lin", "hou", "wu", "bai", "zhao", "zheng", "zhou", "ma"])
def test_only_the_providers_reviewers_revoke(city, granted, username):
    with pytest.raises(NotFound):
        revoke_grant(city.viewer(username), granted, "理由")
    assert audit_entries("grant_revoked") == []
    revoke_grant(city.viewer("gong"), granted, "理由")


@pytest.mark.requirement("REQ-13", source="GZ16:30¶1")
def test_a_grant_ends_by_itself_after_its_last_day(city, granted):
    last = Grant.objects.get(number=granted).valid_until
    assert last == date(2027, 11, 11)
    days = (last - clock.today()).days
    with clock.fixed(NOW + timedelta(days=days)):
        assert expire_grants() == 0, "the last day belongs to the period"
        assert usable_grants(city.viewer("lin"))
    with clock.fixed(NOW + timedelta(days=days + 1)):
        assert usable_grants(city.viewer("lin")) == (), "pages don't wait for the job"
        assert expire_grants() == 1
        assert expire_grants() == 0
    assert Grant.objects.get(number=granted).state == "expired"
    [(_, _, actor, _, grant, _, outcome)] = audit_entries("grant_expired")
    assert (actor, grant, outcome) == ("system:worker", granted, "expired")


def test_both_sides_see_a_grant_and_strangers_do_not(city, granted):
    for username, may_revoke in (("lin", False), ("chen", True), ("zhou", False)):
        row = grant_page(city.viewer(username), granted)
        assert row.can_revoke is may_revoke
        assert [grant.number for grant in grant_list(city.viewer(username)).rows] == [granted]
    with pytest.raises(NotFound):
        grant_page(city.viewer("zhao"), granted)


def test_the_verification_page_asks_for_the_record_key_and_the_granted_items_only(city, granted):
    page = verification_page(city.viewer("lin"), granted)
    assert page.subject.field == "birth_certificate_number"
    assert [claim.field for claim in page.claims] == ["mother_name", "mother_citizen_id_number"]
    assert page.case_wording == "公租房受理编号"
    assert page.proof_article is not None
    with pytest.raises(NotFound):
        verification_page(city.viewer("hou"), granted)
