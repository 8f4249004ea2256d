"""A grant ends: whoever holds copies is called on to delete them, signs for it, and is told of when late."""

import hashlib
import uuid
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from django.db import connection
from django.db.utils import DatabaseError

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.exchange.subscriptions import end_feed
from shuqiao.control.grants.actions import expire_grants, resume_grant, revoke_grant, suspend_grant
from shuqiao.control.grants.ending import call_back_late, end_withdrawn
from shuqiao.control.grants.models import Grant, Handover
from shuqiao.control.operations.waiting import waiting_for_viewer
from shuqiao.control.recalls import ledger
from shuqiao.control.recalls.pages import recall_list, recall_page
from shuqiao.control.recalls.receipts import Stated, state_deletion, verdicts
from shuqiao.control.recalls.watching import watch_recalls
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.security import keys
from shuqiao.wire.recalls import Deleted, Deletion, read_deletion, sign_deletion, write_deletion

from .conftest import BIRTH, NOW, audit_entries, beyond_control, rows

HEALTH, HOUSING = "440100-health", "440100-housing"
RENTAL, PORTAL = "app-housing-rental", "app-housing-portal"
WORDS = "已粉碎全部文件并清空回收站"


def granted(city) -> str:
    """A grant of the birth list to housing."""
    number = submit_request(city.viewer("lin"), city.wanted())
    return answer_request(city.viewer("chen"), number, city.answer())


def copied(grant: str, application: str = PORTAL, *, rows_given: int = 7) -> str:
    """A system has fetched a whole copy."""
    key = str(uuid.uuid4())
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.bulk_job (id, grant_id, resource_id, department, provider, application,"
            " actor, channel, format, asked_at, rows, to_sequence, manifest) VALUES"
            " (%s, %s, %s, %s, %s, %s, %s, 'download', 'csv', now(), %s, 3, '{}')",
            [key, grant, BIRTH, HOUSING, HEALTH, application, application, rows_given],
        )
        cursor.execute(
            "INSERT INTO exchange.bulk_delivery VALUES (%s, 1, %s, now())", [key, str(uuid.uuid4())]
        )
    return key


def fed(grant: str, *, taken: int = 1) -> str:
    """A system follows the list by a feed, whose first part it has taken."""
    key = str(uuid.uuid4())
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.subscription (id, grant_id, resource_id, department, provider, application,"
            " format, started_at, last_number, taken_number) VALUES"
            " (%s, %s, %s, %s, %s, %s, 'arrow', now(), %s, %s)",
            [key, grant, BIRTH, HOUSING, HEALTH, RENTAL, taken, taken],
        )
        cursor.execute(
            "INSERT INTO exchange.bulk_job (id, grant_id, resource_id, department, provider, application,"
            " actor, channel, format, subscription, number, from_sequence, to_sequence, rows, manifest,"
            " asked_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, 'interface', 'arrow', %s, 1, 0, 5, 40, '{}', now())",
            [str(uuid.uuid4()), grant, BIRTH, HOUSING, HEALTH, RENTAL, RENTAL, key],
        )
    return key


def recalls(grant: str) -> dict[str, ledger.RecallRow]:
    """The recalls of a grant, by what they are about."""
    found = ledger.recalls("r.grant_id = %(grant)s", {"grant": grant})
    return {row.kind: row for row in found}


def signed_by_node(row: ledger.RecallRow, key: keys.SigningKey) -> None:
    """The plane kept the receipt of the holder's node."""
    gone = tuple(Deleted(one.way, one.id, 40) for one in row.held)
    text = write_deletion(Deletion(row.number, datetime.now(UTC), gone))
    entry, public = uuid.uuid4(), keys.public_der(key.public_key())
    body = msgspec.json.encode({"event": "copies_deleted", "statement": text}).decode()
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT audit.append(%s, now(), 'copies_deleted', %s, %s, %s, NULL, NULL, NULL, NULL, 'deleted',"
            " %s)",
            [entry, HOUSING, HEALTH, RENTAL, body],
        )
        cursor.execute(
            "INSERT INTO exchange.deletion VALUES (%s, %s, now(), 'node', %s, %s, %s, %s)",
            [row.number, entry, RENTAL, text, sign_deletion(text, key), public],
        )
        cursor.execute(
            "INSERT INTO exchange.node (department, name, public_key, nats_user) VALUES (%s, 'x', %s, %s)",
            [HOUSING, public, "U" + uuid.uuid4().hex],
        )


def test_every_holder_is_called_on_when_a_grant_ends(city):
    grant = granted(city)
    feed, copy = fed(grant), copied(grant)
    copied(grant, RENTAL)
    Handover.objects.create(
        grant_id=grant,
        handed_over_at=NOW - timedelta(days=1),
        handed_over_by="样例甲",
        receiver="样例乙",
        medium="usb",
        medium_mark="U-1",
        content="全量",
        recorded_by=Account.objects.get(username="chen"),
        recorded_at=NOW,
        entry_id=uuid.uuid4(),
    )
    revoke_grant(city.viewer("chen"), grant, "不再需要")
    found = ledger.recalls("r.grant_id = %(grant)s", {"grant": grant})
    assert {(row.application, row.kind) for row in found} == {
        (RENTAL, "feed"),
        (RENTAL, "files"),
        (PORTAL, "files"),
        ("", "medium"),
    }
    by = {(row.application, row.kind): row for row in found}
    (held,) = by[RENTAL, "feed"].held
    assert (held.id, held.rows, held.up_to, held.parts) == (feed, 40, 5, 1)
    (held,) = by[PORTAL, "files"].held
    assert (held.id, held.rows, held.up_to) == (copy, 7, 3)
    # Ten working days after the eleventh of November, by the calendar of the sample.
    assert {row.due_on for row in found} == {date(2026, 11, 25)}
    assert len(audit_entries("copies_recalled")) == 4
    assert Notification.objects.filter(code="copies_recalled", department_id=HOUSING).count() >= 4
    tasks = [one.task.reference for one in waiting_for_viewer(city.viewer("lin"))]
    assert {row.number for row in found} <= set(tasks)
    assert not {row.number for row in found} & {
        one.task.reference for one in waiting_for_viewer(city.viewer("chen"))
    }
    # Done again, as after a crash or by the worker, it changes nothing.
    assert call_back_late() == 0
    assert len(audit_entries("copies_recalled")) == 4


def test_what_was_on_its_way_is_named_too(city):
    grant = granted(city)
    revoke_grant(city.viewer("chen"), grant, "不再需要")
    assert recalls(grant) == {}, "nobody holds anything"
    first = copied(grant)
    assert call_back_late() == 1
    second = copied(grant)
    assert (call_back_late(), call_back_late()) == (1, 0)
    assert {one.id for one in recalls(grant)["files"].held} == {first, second}


@pytest.mark.parametrize("way", ["expiry", "suspension_runs_out", "entry_taken_out"])
def test_copies_are_called_back_however_a_grant_ends(city, way):
    grant = granted(city)
    copied(grant)
    if way == "suspension_runs_out":
        suspend_grant(city.viewer("chen"), grant, "核查")
        assert recalls(grant) == {}, "a suspended grant may be resumed"
        resume_grant(city.viewer("chen"), grant)
        suspend_grant(city.viewer("chen"), grant, "核查")
    if way == "entry_taken_out":
        Resource.objects.filter(pk=BIRTH).update(state="withdrawn")
        assert (end_withdrawn(), end_withdrawn()) == (1, 0)
        assert Grant.objects.get(number=grant).phase == "closed"
        plane = rows('SELECT revoked_at IS NOT NULL FROM exchange."grant" WHERE id = %s', grant)
        assert plane == [(True,)]
    else:
        with clock.fixed(NOW + timedelta(days=400)):
            assert expire_grants() == 1
    assert set(recalls(grant)) == {"files"}


def renewed(city, grant: str, decisions: dict[str, bool]) -> str:
    """A grant that takes the place of another from today on."""
    wanted = city.wanted(renews=grant, wanted_until=date(2028, 6, 1))
    number = submit_request(city.viewer("lin"), wanted)
    answer = city.answer(decisions=decisions, refusal_reason="" if all(decisions.values()) else "不再需要")
    return answer_request(city.viewer("chen"), number, answer)


def test_what_a_renewal_covers_stays_and_is_called_back_with_it(city):
    grant = granted(city)
    old = copied(grant)
    later = renewed(city, grant, {"mother_name": True, "mother_citizen_id_number": True})
    assert Grant.objects.get(number=grant).ended_by == "renew"
    assert recalls(grant) == {} and call_back_late() == 0
    new = copied(later)
    revoke_grant(city.viewer("chen"), later, "不再需要")
    assert recalls(grant) == {}
    assert {one.id for one in recalls(later)["files"].held} == {old, new}


def test_a_renewal_that_covers_less_keeps_no_copies(city):
    grant = granted(city)
    copied(grant)
    later = renewed(city, grant, {"mother_name": True, "mother_citizen_id_number": False})
    assert recalls(grant)["files"].reason == "renew"
    revoke_grant(city.viewer("chen"), later, "不再需要")
    assert recalls(later) == {}, "they were called back with their own grant"


def test_a_named_person_states_that_copies_are_deleted_once(city, client):
    grant = granted(city)
    copy = copied(grant)
    revoke_grant(city.viewer("chen"), grant, "不再需要")
    number = recalls(grant)["files"].number
    for stranger in ("chen", "zheng"):
        with pytest.raises(NotFound):
            state_deletion(city.viewer(stranger), number, Stated(confirmed=True, note=WORDS))
    with pytest.raises(NotFound):
        state_deletion(city.viewer("lin"), "L-2026-9999", Stated(confirmed=True, note=WORDS))
    for wrong in (Stated(confirmed=False, note=WORDS), Stated(confirmed=True, note="<b>x" * 9)):
        with pytest.raises(FormRefused):
            state_deletion(city.viewer("lin"), number, wrong)
    with pytest.raises(FormRefused):
        state_deletion(city.viewer("lin"), number, Stated(confirmed=True, note="x" * 501))
    client.force_login(Account.objects.get(username="lin"))
    assert "签署删除回执" in client.get(f"/exchange/recalls/{number}/").content.decode()
    assert client.post(f"/exchange/recalls/{number}/", {"note": WORDS}).status_code == 422
    assert client.post(f"/exchange/recalls/{number}/", {"note": WORDS, "confirmed": "yes"}).status_code == 302
    row = recalls(grant)["files"]
    assert row.receipt is not None and (row.receipt.by, row.receipt.actor) == ("person", "account:lin")
    said = read_deletion(row.receipt.statement)
    assert said.note == WORDS and [one.id for one in said.deleted] == [copy]
    assert verdicts([row]) == {number: "holds"}
    with pytest.raises(NotFound):
        state_deletion(city.viewer("lin"), number, Stated(confirmed=True, note=WORDS))
    assert [one[-1] for one in audit_entries("copies_deleted")] == ["deletion_stated"]
    shown = client.get(f"/exchange/recalls/{number}/").content.decode()
    assert "具名人员说明" in shown and "核验通过" in shown and WORDS in shown
    client.force_login(Account.objects.get(username="chen"))
    assert WORDS in client.get(f"/exchange/recalls/{number}/").content.decode()
    with pytest.raises(DatabaseError), beyond_control(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM exchange.deletion")


def test_where_a_system_should_have_signed_a_person_says_why_it_did_not(city):
    grant = granted(city)
    fed(grant)
    revoke_grant(city.viewer("chen"), grant, "不再需要")
    number = recalls(grant)["feed"].number
    with pytest.raises(FormRefused) as refused:
        state_deletion(city.viewer("lin"), number, Stated(confirmed=True, note=" "))
    assert [one.field for one in refused.value.faults] == ["note"]
    state_deletion(city.viewer("lin"), number, Stated(confirmed=True, note="系统已停用"))


def test_however_many_are_watched_the_calendar_is_read_once(city, django_assert_max_num_queries):
    grant = granted(city)
    copied(grant)
    copied(grant, RENTAL)
    fed(grant)
    revoke_grant(city.viewer("chen"), grant, "不再需要")
    assert len(ledger.recalls("r.grant_id = %(grant)s", {"grant": grant})) == 3
    with django_assert_max_num_queries(3):
        assert watch_recalls() == 0


def test_an_overdue_recall_is_told_once_to_holder_provider_and_data_bureau(city):
    grant = granted(city)
    copied(grant)
    revoke_grant(city.viewer("chen"), grant, "不再需要")
    assert watch_recalls() == 0
    with clock.fixed(NOW + timedelta(days=15)):
        assert (watch_recalls(), watch_recalls()) == (1, 0)
        assert recall_list(city.viewer("zheng"), 1).over == 1
        [row] = recall_list(city.viewer("chen"), 1).rows
        # No text sets the term, and the list says so beside the day.
        assert row.is_over and str(row.article.cite.zh) == "平台设定"
    told = set(
        Notification.objects.filter(code="recall_overdue").values_list("department_id", flat=True).distinct()
    )
    assert {HOUSING, HEALTH, "440100-data"} <= told
    assert [one[-1] for one in audit_entries("recall_overdue")] == ["overdue"]


def test_who_signs_in_time_is_never_told_to_be_late(city):
    grant = granted(city)
    copied(grant)
    revoke_grant(city.viewer("chen"), grant, "不再需要")
    state_deletion(city.viewer("lin"), recalls(grant)["files"].number, Stated(confirmed=True, note=WORDS))
    with clock.fixed(NOW + timedelta(days=40)):
        assert watch_recalls() == 0


def test_a_nodes_receipt_is_shown_with_whether_it_verifies(city, client, django_assert_num_queries):
    grant = granted(city)
    fed(grant)
    revoke_grant(city.viewer("chen"), grant, "不再需要")
    row = recalls(grant)["feed"]
    signed_by_node(row, keys.generate_signing_key())
    row = recalls(grant)["feed"]
    with django_assert_num_queries(2):
        assert verdicts([row, row, row]) == {row.number: "holds"}
    page = recall_page(city.viewer("chen"), row.number)
    assert page.row.receipt is not None and page.ways[0][2].rows == 40 and not page.may_state
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute("UPDATE exchange.node SET public_key = '\\x00' WHERE department = %s", [HOUSING])
    assert verdicts([row]) == {row.number: "key_replaced"}
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE exchange.deletion DISABLE TRIGGER keep_recall")
        cursor.execute("UPDATE exchange.deletion SET statement = replace(statement, '40', '41')")
        cursor.execute("ALTER TABLE exchange.deletion ENABLE TRIGGER keep_recall")
    row = recalls(grant)["feed"]
    assert verdicts([row]) == {row.number: "broken"}
    client.force_login(Account.objects.get(username="chen"))
    assert "核验不通过" in client.get(f"/exchange/recalls/{row.number}/").content.decode()


def test_others_find_neither_recall_nor_feed(city, client):
    grant = granted(city)
    feed = fed(grant)
    revoke_grant(city.viewer("chen"), grant, "不再需要")
    number = recalls(grant)["feed"].number
    client.force_login(Account.objects.get(username="zhao"))
    for address in (f"/exchange/recalls/{number}/", f"/exchange/feeds/{feed}/"):
        missing = address.replace(number, "L-2026-9999").replace(feed, str(uuid.uuid4()))
        assert client.get(address).status_code == client.get(missing).status_code == 404
    assert number not in client.get("/exchange/recalls/").content.decode()
    for reader in ("lin", "chen", "zheng"):
        client.force_login(Account.objects.get(username=reader))
        assert number in client.get("/exchange/recalls/").content.decode()
        assert "L-2026-9999" not in client.get("/exchange/recalls/?page=9").content.decode()
    assert client.get("/exchange/recalls/x/").status_code == 404


def test_the_page_of_a_feed_shows_parts_receipts_and_reasons(city, client):
    grant = granted(city)
    feed, entry = fed(grant), uuid.uuid4()
    said = {"manifest_digest": rows("SELECT encode(sha256('{}'), 'hex')")[0][0], "applied": 38, "gone": 0}
    body = msgspec.json.encode({"event": "feed_taken", "receipt": said | {"dead": 2}}).decode()
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT audit.append(%s, now(), 'feed_taken', %s, %s, %s, NULL, NULL, NULL, NULL, 'taken', %s)",
            [entry, HOUSING, HEALTH, RENTAL, body],
        )
        cursor.execute(
            "INSERT INTO exchange.subscription_receipt VALUES"
            " (%s, 1, %s, now(), now(), 38, 0, 2, sha256('{}'), %s)",
            [feed, entry, '[[3, "value_unfit"], [9, "value_unfit"]]'],
        )
        cursor.execute(
            "INSERT INTO exchange.batch (department, resource_id, sequence, manifest, manifest_digest,"
            " accepted, inserted, updated, unchanged, rejected, merged_at)"
            " VALUES (%s, %s, 8, '{}', sha256('x'), 9, 9, 0, 0, '[]', now())",
            [HEALTH, BIRTH],
        )
    for reader in ("lin", "chen", "zheng"):
        client.force_login(Account.objects.get(username=reader))
        assert "1/1" in client.get("/exchange/feeds/").content.decode()
        shown = client.get(f"/exchange/feeds/{feed}/").content.decode()
        assert "值放不进该列" in shown and "核验通过" in shown and "第 9 条" in shown
    client.force_login(Account.objects.get(username="chen"))
    assert "重新开始" not in client.get(f"/exchange/feeds/{feed}/").content.decode()
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute("UPDATE exchange.subscription_receipt SET applied = 40, dead = 0")
    assert "核验不通过" in client.get(f"/exchange/feeds/{feed}/").content.decode()


def test_the_consumers_technician_ends_a_feed_and_begins_it_anew(city, client):
    feed = uuid.UUID(fed(granted(city)))
    for stranger in ("lin", "chen", "zheng"):
        with pytest.raises(NotFound):
            end_feed(city.viewer(stranger), feed, rests=True)
    client.force_login(Account.objects.get(username="tan"))
    assert "重新开始" in client.get(f"/exchange/feeds/{feed}/").content.decode()
    assert client.post(f"/exchange/feeds/{feed}/end").status_code == 302
    assert client.post(f"/exchange/feeds/{feed}/end").status_code == 302
    sql = "SELECT ended_at IS NOT NULL, rests FROM exchange.subscription WHERE id = %s"
    assert rows(sql, feed) == [(True, True)]
    assert client.post(f"/exchange/feeds/{feed}/restart").status_code == 302
    assert rows(sql, feed) == [(True, False)]
    assert {one[-1] for one in audit_entries("feed_ended")} == {"feed_rests", "feed_begins_anew"}
    assert client.post(f"/exchange/feeds/{feed}/stop").status_code == 404


def test_the_newest_part_handed_out_stands_for_a_feed(city):
    grant = granted(city)
    feed = fed(grant, taken=2)
    more = (
        "INSERT INTO exchange.bulk_job (id, grant_id, resource_id, department, provider, application, actor,"
        " channel, format, subscription, number, from_sequence, to_sequence, rows, manifest, asked_at)"
        " SELECT gen_random_uuid(), grant_id, resource_id, department, provider, application, actor, channel,"
        " format, subscription, number + %s, 5, to_sequence + %s, 2, %s, now() FROM exchange.bulk_job"
        " WHERE subscription = %s AND number = 1 RETURNING 1"
    )
    with beyond_control():
        rows(more, 1, 1, '{"n":2}', feed)
        rows(more, 2, 2, '{"n":3}', feed)
    revoke_grant(city.viewer("chen"), grant, "样例")
    (held,) = recalls(grant)["feed"].held
    assert (held.id, held.parts, held.rows, held.up_to) == (feed, 2, 42, 6), "the third was never taken"
    assert held.manifest_digest == hashlib.sha256(b'{"n":2}').hexdigest()


def test_names_with_other_ends_of_lines_leave_a_receipt_readable():
    body = '{"case":"L-2026-0001"}\n{"held":[{"name":"a\u2028b\u0085c"}],"statement":"said"}'
    assert ledger._stated(body) == "said"
