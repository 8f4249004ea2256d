"""Entries and grants have a sharing period and end with it (VAL-02)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.period import check_within_entry, end_entries, prolong_entry
from shuqiao.control.grants.actions import expire_grants
from shuqiao.control.grants.models import Grant
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.rules.errors import EntryPeriodExceeded
from shuqiao.rules.procedures import latest_until
from tests.control.conftest import BIRTH, NOW, audit_entries, beyond_control, rows

ENDS = date(2027, 3, 31)


@pytest.fixture
def ending(city):
    """The birth list is shared until 31 March 2027."""
    Resource.objects.filter(pk=BIRTH).update(shared_until=ENDS)
    return city


def faults(refused) -> set[tuple[str, str]]:
    """Field and code of what was wrong."""
    return {(fault.field, fault.code) for fault in refused.value.faults}


@pytest.mark.requirement("VAL-02")
def test_every_entry_is_published_with_a_period(city, client) -> None:
    until = latest_until(clock.today(), regulation().entry_months)
    assert set(Resource.objects.values_list("shared_until", flat=True)) == {until}
    client.force_login(Account.objects.get(username="lin"))
    page = client.get(f"/catalogue/{BIRTH}/").content.decode()
    assert f'条目共享至</dt><dd class="num">{until.isoformat()}' in page
    assert "延长共享期限至" not in page


@pytest.mark.requirement("VAL-02")
def test_no_grant_lasts_longer_than_its_entry(ending) -> None:
    lin, chen = ending.viewer("lin"), ending.viewer("chen")
    with pytest.raises(FormRefused) as refused:
        submit_request(lin, ending.wanted(wanted_until=ENDS + timedelta(days=1)))
    assert faults(refused) == {("wanted_until", "entry_period_exceeded")}
    number = submit_request(lin, ending.wanted(wanted_until=ENDS))
    Resource.objects.filter(pk=BIRTH).update(shared_until=ENDS - timedelta(days=1))
    with pytest.raises(FormRefused) as refused:
        answer_request(chen, number, ending.answer(valid_until=ENDS))
    assert ("valid_until", "entry_period_exceeded") in faults(refused)
    granted = answer_request(chen, number, ending.answer(valid_until=ENDS - timedelta(days=1)))
    assert Grant.objects.get(number=granted).valid_until == ENDS - timedelta(days=1)


@pytest.mark.requirement("VAL-02")
def test_entry_and_grants_end_with_their_last_day_and_not_before(ending, client) -> None:
    lin, chen = ending.viewer("lin"), ending.viewer("chen")
    number = submit_request(lin, ending.wanted(wanted_until=ENDS))
    granted = answer_request(chen, number, ending.answer(valid_until=ENDS))
    with clock.fixed(datetime(2027, 3, 31, 15, 59, tzinfo=UTC)):
        assert end_entries() == 0 and expire_grants() == 0
    told = Notification.objects.filter(code="entry_ending")
    assert [(n.department_id, n.reference, n.params["until"]) for n in told] == [
        ("440100-health", BIRTH, ENDS.isoformat())
    ]
    with clock.fixed(datetime(2027, 3, 31, 16, 0, tzinfo=UTC)):
        assert (end_entries(), end_entries()) == (1, 0)
        assert expire_grants() == 1
        client.force_login(Account.objects.get(username="lin"))
        assert client.get(f"/catalogue/{BIRTH}/").status_code == 404
        with pytest.raises(NotFound):
            submit_request(lin, ending.wanted(wanted_until=date(2027, 6, 30)))
    assert Grant.objects.get(number=granted).phase == "closed"
    assert [entry[3] for entry in audit_entries("entry_ended")] == [BIRTH]
    with beyond_control():
        assert rows("SELECT active FROM exchange.resource WHERE id = %s", BIRTH) == [(False,)]


@pytest.mark.requirement("VAL-02")
def test_its_department_prolongs_an_entry_within_the_regulations_limit(ending, client) -> None:
    latest = latest_until(NOW.date(), regulation().entry_months)
    chen = ending.viewer("chen")
    for until in (None, ENDS, ENDS - timedelta(days=1), latest + timedelta(days=1)):
        with pytest.raises(FormRefused) as refused:
            prolong_entry(chen, BIRTH, until)
        assert faults(refused) == {("shared_until", "entry_period_refused")}
    for stranger in ("lin", "bai", "zhao", "zheng", "wu"):
        with pytest.raises(NotFound):
            prolong_entry(ending.viewer(stranger), BIRTH, latest)
    client.force_login(Account.objects.get(username="chen"))
    assert "延长共享期限至" in client.get(f"/catalogue/{BIRTH}/").content.decode()
    wrong = client.post(f"/catalogue/{BIRTH}/prolong", {"shared_until": "2020-01-01"})
    assert wrong.status_code == 422 and "须晚于" in wrong.content.decode()
    assert client.post(f"/catalogue/{BIRTH}/prolong", {"shared_until": latest.isoformat()}).status_code == 302
    assert Resource.objects.get(pk=BIRTH).shared_until == latest
    assert audit_entries("entry_prolonged") == [
        ("440100-health", "440100-health", "account:chen", BIRTH, None, None, "published")
    ]


def test_the_last_word_is_with_the_grant_itself(ending) -> None:
    check_within_entry(BIRTH, ENDS)
    with pytest.raises(EntryPeriodExceeded) as refused:
        check_within_entry(BIRTH, ENDS + timedelta(days=1))
    assert refused.value.fields == {"ends": ENDS.isoformat()}
