"""Holders of data are told of an update and confirm: a person, or the signed receipt of a feed."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.grants.actions import revoke_grant
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.updating.changes import ChangeGiven, register_change, state_update
from shuqiao.control.updating.ledger import holders
from shuqiao.control.updating.models import Told
from shuqiao.control.updating.schedule import watch_cycles
from shuqiao.control.updating.told import confirm_update
from shuqiao.control.updating.watching import follow_updates
from tests.control.conftest import BIRTH, NOW, audit_entries, beyond_control

from .conftest import HEALTH, HOUSING, merged


def granted(office) -> str:
    """A grant of the birth list to housing."""
    number = submit_request(office.viewer("lin"), office.city.wanted())
    return answer_request(office.viewer("chen"), number, office.city.answer())


def fed(grant: str) -> str:
    """Housing follows the list by a feed and has taken its first part."""
    key = str(uuid.uuid4())
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.subscription (id, grant_id, resource_id, department, provider, application,"
            " format, started_at, last_number, taken_number) VALUES"
            " (%s, %s, %s, %s, %s, 'app-housing-rental', 'csv', now(), 1, 1)",
            [key, grant, BIRTH, HOUSING, HEALTH],
        )
    return key


def part(grant: str, feed: str, number: int, up_to: int, *, signed: bool) -> str:
    """A part of the feed up to a batch; with the consumer node's receipt where it is signed for."""
    entry = str(uuid.uuid4())
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.bulk_job (id, grant_id, resource_id, department, provider, application,"
            " actor, channel, format, subscription, number, from_sequence, to_sequence, asked_at) VALUES"
            " (%s, %s, %s, %s, %s, 'app-housing-rental', 'x', 'interface', 'csv', %s, %s, 0, %s, now())",
            [str(uuid.uuid4()), grant, BIRTH, HOUSING, HEALTH, feed, number, up_to],
        )
        if signed:
            cursor.execute(
                "INSERT INTO exchange.subscription_receipt"
                " VALUES (%s, %s, %s, now(), now(), 5, 0, 0, sha256('x'))",
                [feed, number, entry],
            )
    return entry


def copied(grant: str) -> None:
    """Housing has fetched a whole copy."""
    key = str(uuid.uuid4())
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.bulk_job (id, grant_id, resource_id, department, provider, application,"
            " actor, channel, format, asked_at) VALUES"
            " (%s, %s, %s, %s, %s, 'app-housing-portal', 'x', 'download', 'csv', now())",
            [key, grant, BIRTH, HOUSING, HEALTH],
        )
        cursor.execute(
            "INSERT INTO exchange.bulk_delivery VALUES (%s, 0, %s, now())", [key, str(uuid.uuid4())]
        )


def change(office) -> str:
    """The provider registers a change of today."""
    return register_change(office.viewer("chen"), ChangeGiven(BIRTH, NOW.date(), "代码已调整"))


@pytest.mark.requirement("UPD-04", source="SY:22")
@pytest.mark.requirement("MOD-14", source="SY:22")
@pytest.mark.parametrize("city", ["shenyang-2016", "guangzhou-2019"])
def test_a_department_that_holds_a_copy_is_told_compares_and_confirms(under, client, city):
    grant = granted(under("guangzhou-2016"))
    office = under(city)
    Account.objects.filter(username="lin").update(role="clerk")
    copied(grant)
    assert holders(HEALTH, BIRTH) == {HOUSING: ("copy",)}
    number = change(office)
    assert not Told.objects.exists(), "nothing is told before it is updated"
    merged(1)
    assert follow_updates() >= 1
    told = Told.objects.get()
    assert (told.recipient_id, told.up_to, told.change_id) == (HOUSING, 1, number)
    assert Notification.objects.filter(code="data_updated", department_id=HOUSING).count() == 1
    for stranger in ("chen", "zheng"):
        with pytest.raises(NotFound):
            confirm_update(office.viewer(stranger), told.pk)
    client.force_login(Account.objects.get(username="lin"))
    assert "出生登记信息" in client.get("/updates/told/").content.decode()
    assert client.post(f"/updates/told/{told.pk}/confirm").status_code == 302
    told.refresh_from_db()
    assert told.confirmed_by is not None and told.confirmed_by.username == "lin" and told.receipt is None
    assert "已比对更新" in client.get("/updates/told/").content.decode()
    assert [one[-1] for one in audit_entries("update_confirmed")] == ["copy_updated"]
    with pytest.raises(NotFound):
        confirm_update(office.viewer("lin"), told.pk)
    client.force_login(Account.objects.get(username="chen"))
    shown = client.get(f"/updates/entries/{BIRTH}/").content.decode()
    assert ("第二十二条" in shown) == (city == "shenyang-2016")


@pytest.mark.requirement("UPD-04", "MOD-14")
def test_a_feed_is_confirmed_by_the_nodes_signed_receipt_once_it_reaches_the_batch(under):
    office = under("guangzhou-2016")
    grant = granted(office)
    feed = fed(grant)
    part(grant, feed, 1, 1, signed=True)
    change(office)
    merged(2)
    follow_updates()
    assert Told.objects.get().confirmed_at is None, "the receipt is of an earlier batch"
    part(grant, feed, 2, 2, signed=False)
    follow_updates()
    assert Told.objects.get().confirmed_at is None, "nobody signed for this part"
    entry = part(grant, feed, 3, 2, signed=True)
    assert follow_updates() == 1
    told = Told.objects.get()
    assert (str(told.receipt), told.confirmed_by) == (entry, None)
    assert [one[-1] for one in audit_entries("update_confirmed")] == ["confirmed_by_receipt"]


@pytest.mark.requirement("UPD-04")
def test_who_has_a_copy_beside_a_feed_confirms_in_person(under):
    office = under("guangzhou-2016")
    grant = granted(office)
    copied(grant)
    part(grant, fed(grant), 1, 9, signed=True)
    change(office)
    merged(1)
    follow_updates()
    assert Told.objects.get().ways == ["copy", "feed"]
    assert Told.objects.get().confirmed_at is None


@pytest.mark.requirement("UPD-04", "MOD-14")
def test_every_update_is_told_one_notice_at_a_time_until_it_is_confirmed(under):
    office = under("guangzhou-2016")
    copied(granted(office))
    merged(1)
    watch_cycles()
    assert follow_updates() == 0, "what lay there before is no news"
    merged(2)
    assert (follow_updates(), follow_updates()) == (1, 0)
    merged(3)
    assert follow_updates() == 0
    told = Told.objects.get()
    assert told.up_to == 3 and Notification.objects.filter(code="data_updated").count() == 1
    confirm_update(office.viewer("lin"), told.pk)
    merged(4)
    assert follow_updates() == 0, "not again on the same day"
    with clock.fixed(NOW + timedelta(days=1, minutes=1)):
        merged(5)
        assert follow_updates() == 1
    assert Told.objects.count() == 2


def test_who_only_verifies_or_whose_grant_has_ended_is_not_told(under):
    office = under("guangzhou-2016")
    grant = granted(office)
    assert holders(HEALTH, BIRTH) == {}
    copied(grant)
    assert holders(HEALTH, BIRTH) == {HOUSING: ("copy",)}
    revoke_grant(office.viewer("chen"), grant, "不再需要")
    assert holders(HEALTH, BIRTH) == {}
    state_update(office.viewer("chen"), change(office), "已更新")
    assert not Told.objects.exists()
