"""Ending grants: at once by revocation, by itself after the last day; and who may do so."""

from datetime import date, timedelta

import pytest
from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Notification
from shuqiao.control.grants.actions import expire_grants, resume_grant, revoke_grant, suspend_grant
from shuqiao.control.grants.models import Grant
from shuqiao.control.grants.pages import grant_list, grant_page, usable_grants, verification_page
from shuqiao.control.requests.actions import start_renewal, submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.granting import open_begun
from shuqiao.control.requests.models import Request
from shuqiao.control.requests.pages import request_form
from shuqiao.rules.errors import ReasonRequired, TransitionRefused

from .conftest import BIRTH, NOW, audit_entries, beyond_control, rows


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


def exchanged(grant: str) -> tuple:
    """What the plane reads of a grant: when and why it was suspended, and revoked."""
    [row] = rows(
        "SELECT suspended_at, suspended_reason, revoked_at, revoked_reason"
        ' FROM exchange."grant" WHERE id = %s',
        grant,
    )
    return row


def test_suspending_reaches_the_plane_with_a_new_epoch_and_resuming_lets_it_answer_again(city, granted):
    chen, [(before,)] = city.viewer("chen"), epoch()
    with pytest.raises(ReasonRequired):
        suspend_grant(chen, granted, " ")
    suspend_grant(chen, granted, "数据核查期间")
    assert exchanged(granted) == (NOW, "数据核查期间", None, None)
    assert epoch() > [(before,)]
    assert usable_grants(city.viewer("lin")) == ()
    with pytest.raises(NotFound):
        verification_page(city.viewer("lin"), granted)
    row = grant_page(chen, granted)
    assert (row.state_label.zh, row.can_suspend, row.can_resume, row.can_revoke) == (
        "已暂停",
        False,
        True,
        True,
    )
    with pytest.raises(TransitionRefused):
        suspend_grant(chen, granted, "再一次")
    resume_grant(chen, granted)
    assert exchanged(granted) == (None, None, None, None)
    assert [row.number for row in usable_grants(city.viewer("lin"))] == [granted]
    with pytest.raises(TransitionRefused):
        resume_grant(chen, granted)
    assert [entry[2] for entry in audit_entries("grant_suspended")] == ["account:chen"]
    assert [entry[-1] for entry in audit_entries("grant_resumed")] == ["active"]
    told = Notification.objects.filter(reference=granted, department_id="440100-housing")
    assert {"grant_suspended", "grant_resumed"} <= set(told.values_list("code", flat=True))


def test_a_suspended_grant_can_be_revoked_and_expires_like_any_other(city, granted):
    chen = city.viewer("chen")
    suspend_grant(chen, granted, "核查")
    with clock.fixed(NOW + timedelta(days=366)):
        assert expire_grants() == 1
    assert Grant.objects.get(number=granted).phase == "closed"
    for change in (suspend_grant, revoke_grant):
        with pytest.raises(TransitionRefused):
            change(chen, granted, "已到期")


@pytest.mark.parametrize("username", ["lin", "hou", "wu", "bai", "zhao", "zheng", "zhou", "ma"])
def test_only_the_providers_reviewers_suspend_and_resume(city, granted, username):
    with pytest.raises(NotFound):
        suspend_grant(city.viewer(username), granted, "理由")
    suspend_grant(city.viewer("gong"), granted, "理由")
    with pytest.raises(NotFound):
        resume_grant(city.viewer(username), granted)
    assert exchanged(granted)[1] == "理由"


def test_the_database_itself_keeps_a_grant_from_being_half_suspended_or_half_ended(city, granted):
    wrong = (
        {"phase": "waiting"},
        {"phase": "closed"},
        {"suspended_reason": "x"},
        {"ended_at": NOW},
        {"phase": "refused"},
        {"phase": "closed", "ended_at": NOW, "ended_by": "revoke"},
        {"valid_until": date(2026, 1, 1)},
    )
    for fields in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            Grant.objects.filter(number=granted).update(**fields)


@pytest.mark.requirement("VAL-02", source="GZ16:30¶1")
def test_a_renewal_is_asked_for_with_what_the_grant_gives_and_takes_its_place_on_its_first_day(city, granted):
    lin, chen = city.viewer("lin"), city.viewer("chen")
    assert start_renewal(lin, granted) == BIRTH
    form = request_form(lin, BIRTH)
    assert (form.renews, form.purpose, form.wanted_until) == (granted, "公租房亲子关系核验", None)
    chosen = {choice.item.field: choice.reason for choice in form.items if choice.chosen}
    assert chosen == {"mother_name": "核对家庭成员关系", "mother_citizen_id_number": "核对家庭成员关系"}
    with clock.fixed(NOW + timedelta(days=330)):
        number = submit_request(lin, city.wanted(renews=granted, wanted_until=date(2028, 9, 30)))
        assert Request.objects.get(number=number).renews_id == granted
        begins = date(2027, 11, 12)
        later = answer_request(chen, number, city.answer(valid_from=begins, valid_until=date(2028, 9, 30)))
    assert grant_page(lin, granted).renewed_by == later
    assert Grant.objects.get(number=granted).phase == "granted", "both days of its period are its own"
    with clock.fixed(NOW + timedelta(days=365)):
        assert (clock.today(), open_begun()) == (date(2027, 11, 11), 0)
    with clock.fixed(NOW + timedelta(days=366)):
        assert (clock.today(), open_begun(), open_begun()) == (begins, 1, 0)
    old = Grant.objects.get(number=granted)
    assert (old.state, old.ended_by) == ("renewed", "renew")
    assert later in exchanged(granted)[3]
    assert [entry[2] for entry in audit_entries("grant_renewed")] == ["system:worker"]


def test_a_renewal_that_begins_today_replaces_the_grant_at_once_and_only_once(city, granted):
    lin, chen = city.viewer("lin"), city.viewer("chen")
    longer = city.wanted(renews=granted, wanted_until=date(2028, 6, 1), items={"father_name": "核对"})
    later = answer_request(chen, submit_request(lin, longer), city.answer(decisions={"father_name": True}))
    assert Grant.objects.get(number=granted).state == "renewed"
    assert Grant.objects.get(number=later).renews_id == granted
    with pytest.raises(FormRefused) as refused:
        submit_request(lin, city.wanted(renews=granted, items={"sex": "核对"}))
    assert {fault.field for fault in refused.value.faults} == {"renews"}
    for username in ("hou", "chen", "wu"):
        with pytest.raises(NotFound):
            start_renewal(city.viewer(username), granted)


@pytest.mark.requirement("VAL-02", source="GZ16:30¶1")
def test_entry_and_grant_state_their_period_and_none_outlives_it(city, granted):
    held = Grant.objects.get(number=granted)
    assert held.valid_from <= clock.today() <= held.valid_until
    with pytest.raises(FormRefused):
        submit_request(
            city.viewer("lin"), city.wanted(items={"father_name": "x"}, wanted_until=date(2027, 11, 12))
        )
    with clock.fixed(NOW + timedelta(days=366)):
        assert usable_grants(city.viewer("lin")) == ()
