"""An entry whose data stay with its department: said, shown, granted within what its node can do, watched."""

import re
import uuid
from datetime import timedelta

import msgspec
import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.alarms.comparing import watch_node_logs
from shuqiao.control.alarms.models import Alarm, UsageDay
from shuqiao.control.catalogue.models import Resource, Service, ServiceKind
from shuqiao.control.catalogue.offering import offer_of
from shuqiao.control.catalogue.services import keep_at_node, offer_table
from shuqiao.control.regulations.current import regulation
from shuqiao.rules.errors import PermissionDenied
from shuqiao.wire.schemas import ResourceSpec

from .conftest import BIRTH, NOW, audit_entries, beyond_control, rows
from .test_terms import issued, offered, refused, wanted

__all__ = ["offered"]

HEALTH = "440100-health"


@pytest.fixture
def kept(city):
    """The births, whose data stay with the health department."""
    Service.objects.filter(resource=BIRTH).delete()
    Resource.objects.filter(pk=BIRTH).update(modes=["verify", "query", "bulk"])
    keep_at_node(city.viewer("chen"), BIRTH)
    return city


def spec() -> ResourceSpec:
    """What plane and node are told of the births."""
    (row,) = rows("SELECT spec::text FROM exchange.resource WHERE id = %s", BIRTH)
    return msgspec.json.decode(row[0], type=ResourceSpec)


@pytest.mark.requirement("ING-09")
def test_the_platform_records_for_each_entry_where_its_data_are(city):
    assert spec().kept == "hub"
    Service.objects.filter(resource=BIRTH).delete()
    keep_at_node(city.viewer("chen"), BIRTH)
    keep_at_node(city.viewer("chen"), BIRTH)
    assert Service.objects.get(resource=BIRTH, ended_at=None).kind == ServiceKind.NODE
    assert spec().kept == "node" and "bulk" not in spec().modes
    (entry,) = audit_entries("service_offered")
    assert entry[-1] == "node"


@pytest.mark.requirement("ING-09")
def test_the_page_of_an_entry_says_where_its_data_are(city):
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    assert "数据由平台集中存放" in client.get(f"/catalogue/{BIRTH}/").content.decode()
    Service.objects.filter(resource=BIRTH).delete()
    assert "数据留存本部门" in client.get(f"/catalogue/{BIRTH}/").content.decode()
    assert client.post(f"/catalogue/{BIRTH}/keep/").status_code == 302
    page = client.get(f"/catalogue/{BIRTH}/").content.decode()
    assert "数据留存部门" in page and "数据不上平台" in page and "集中存放" not in page
    assert f"/v1/resources/{BIRTH}/query" in page and f'action="/catalogue/{BIRTH}/keep/"' not in page


def test_records_are_in_one_place(kept):
    with pytest.raises(FormRefused, match="kept: kept_elsewhere"):
        offer_table(kept.viewer("chen"), BIRTH)
    with pytest.raises(IntegrityError), transaction.atomic():
        Service.objects.create(resource_id=BIRTH, kind=ServiceKind.TABLE, offered_at=NOW)


@pytest.mark.parametrize(("stranger", "error"), [("lin", (PermissionDenied, NotFound)), ("hou", NotFound)])
def test_only_the_department_says_that_its_data_stay(city, stranger, error):
    Service.objects.filter(resource=BIRTH).delete()
    with pytest.raises(error):
        keep_at_node(city.viewer(stranger), BIRTH)
    assert not Service.objects.filter(resource=BIRTH).exists()


def test_no_copy_is_offered_of_what_stays(kept):
    offer = offer_of(Resource.objects.get(pk=BIRTH), regulation())
    assert offer.modes == {"verify", "query"} and set(offer.channels) <= {"interface"}
    Service.objects.filter(resource=BIRTH).delete()
    Resource.objects.filter(pk=BIRTH).update(modes=["bulk"])
    with pytest.raises(FormRefused, match="modes: kept_at_node"):
        keep_at_node(kept.viewer("chen"), BIRTH)


def report(since=NOW - timedelta(days=1), until=NOW, **found: list[uuid.UUID]) -> None:
    """What the loader found when it compared a stretch."""
    kinds = {"missing": [], "unknown": [], "other": []} | found
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.node_report (department, resource_id, since, until, calls, missing,"
            ' "unknown", other, line, head, digest, compared_at)'
            " VALUES (%s, %s, %s, %s, 5, %s, %s, %s, 5, '', '', %s)",
            [
                HEALTH,
                BIRTH,
                since,
                until,
                *(kinds[kind] for kind in ("missing", "unknown", "other")),
                NOW,
            ],
        )


@pytest.mark.requirement("ING-09")
@pytest.mark.parametrize("kind", ["missing", "unknown", "other"])
def test_a_difference_between_the_two_logs_is_an_alarm(kept, kind):
    report(**{kind: [uuid.uuid4(), uuid.uuid4()]})
    assert (watch_node_logs(), watch_node_logs()) == (1, 0)
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.provider_id, alarm.resource_id, alarm.measured) == ("log", HEALTH, BIRTH, 2)
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    page = client.get(f"/alarms/{alarm.number}/").content.decode()
    assert "两边留痕不符" in page and re.search(r"\b2\b", page)


def test_logs_that_agree_raise_nothing(kept):
    report()
    assert watch_node_logs() == 0


@pytest.mark.requirement("ING-09")
def test_a_log_that_does_not_come_is_an_alarm(kept):
    day = NOW.date()
    use = UsageDay.objects.create(
        day=day - timedelta(days=2), department=HEALTH, application="a", resource=BIRTH, calls=1
    )
    assert watch_node_logs() == 0
    UsageDay.objects.filter(pk=use.pk).update(day=day - timedelta(days=4))
    assert watch_node_logs() == 1
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.measured, alarm.limit) == ("log", 4, 2)
    report()
    Alarm.objects.all().delete()
    assert watch_node_logs() == 0


@pytest.mark.requirement("ING-09")
def test_what_comes_after_a_gap_does_not_make_up_for_it(kept):
    day = NOW.date()
    UsageDay.objects.create(
        day=day - timedelta(days=4), department=HEALTH, application="a", resource=BIRTH, calls=1
    )
    report(NOW - timedelta(days=20), NOW - timedelta(days=10))
    report(NOW - timedelta(days=10), NOW - timedelta(days=6))
    report(NOW - timedelta(days=1), NOW)
    assert watch_node_logs() == 1
    Alarm.objects.all().delete()
    report(NOW - timedelta(days=6), NOW - timedelta(days=1))
    assert watch_node_logs() == 0


def test_a_grant_says_that_the_data_stay(offered):
    asked = wanted(offered, mode="query", channels=("interface",), rows=(), unmask={})
    document, client = issued(offered, asked, mode="query"), Client()
    client.force_login(Account.objects.get(username="lin"))
    assert "数据留存提供方" not in client.get(f"/grants/{document.id}/").content.decode()
    Service.objects.filter(resource=BIRTH).delete()
    keep_at_node(offered.viewer("chen"), BIRTH)
    assert "数据留存提供方" in client.get(f"/grants/{document.id}/").content.decode()


def test_a_node_gives_no_pseudonyms(kept):
    asked = wanted(kept, mode="query", channels=("interface",), unmask={})
    assert refused(kept, asked, mode="query", pseudonyms=True) >= {("pseudonyms", "kept_at_node")}
