"""What a node received is called back: it deletes, and signs for it once; a feed is ended and begun anew."""

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from shuqiao.cli import main as shuqiao
from shuqiao.client.fetching import CopyRefused
from shuqiao.security import keys
from shuqiao.wire import node_home
from shuqiao.wire.grant import Grant
from shuqiao.wire.recalls import is_signed, read_deletion, sign_deletion
from tests.bulk.conftest import NO_CONTEXT, PERMITS, PROVIDER
from tests.plane import conftest as plane
from tests.receive.conftest import CONSUMER, NAME, Receiver, merged

pytestmark = pytest.mark.timeout(120)
quickly = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def node_in_use(receiver: Receiver) -> Iterator[None]:
    """The hub knows the consumer's node; recalls of other tests are gone."""
    admin = receiver.city.admin
    admin.execute("TRUNCATE exchange.recall, exchange.deletion")
    key = keys.public_der(node_home.load_key(receiver.home).public_key())
    admin.execute(
        "INSERT INTO exchange.node (department, name, public_key, nats_user, active)"
        " VALUES (%s, 'sample', %s, %s, true)",
        [CONSUMER, key, "U" + uuid.uuid4().hex],
    )
    yield
    admin.execute("DELETE FROM exchange.node WHERE department = %s", [CONSUMER])


def feed_of(receiver: Receiver) -> str:
    """The feed that goes on now."""
    found = receiver.city.admin.execute("SELECT id::text FROM exchange.subscription WHERE ended_at IS NULL")
    return str(found.fetchall()[-1][0])


def recalled(receiver: Receiver, grant: Grant, number: str = "L-2026-0001") -> str:
    """The grant ends and what was given under it is called back, as control writes it in one transaction."""
    feed = feed_of(receiver)
    admin = receiver.city.admin
    with admin.transaction():
        receiver.city.revoke(grant)
        admin.execute(
            "INSERT INTO exchange.recall (number, grant_id, resource_id, department, provider, application,"
            " kind, reason, regulation, held, called_at, ended_on, due_on, entry)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'feed', 'revoke',"
            " 'guangzhou-2016', %s, now(), '2026-11-23', '2026-12-07', gen_random_uuid())",
            [
                number,
                grant.id,
                PERMITS,
                CONSUMER,
                PROVIDER,
                plane.APP,
                msgspec.json.encode([{"way": "feed", "id": feed, "rows": 2, "parts": 1}]).decode(),
            ],
        )
    return feed


def receipts(receiver: Receiver) -> list[tuple[Any, ...]]:
    """What the hub holds of receipts."""
    sql = "SELECT recall, by, statement, signature, node_key, entry FROM exchange.deletion"
    return receiver.city.admin.execute(sql).fetchall()


def command(receiver: Receiver, *words: str) -> int:
    """A technician's command at the node."""
    return shuqiao(["node", "receive", *words, NAME, "--home", str(receiver.home), "--yes"])


def filled(receiver: Receiver, **changes: Any) -> Grant:
    """A subscription that has applied two rows and set one apart."""
    receiver.write(**changes)
    grant = receiver.city.bulk_grant()
    merged(
        receiver.city,
        1,
        (uuid.uuid4(), "P1", "1"),
        (uuid.uuid4(), "P2", "1"),
        (uuid.uuid4(), "far too long a number", "1"),
    )
    receiver.start()
    receiver.wait_permits(("P1", "1"), ("P2", "1"))
    receiver.wait(lambda: len(receiver.city.logged("feed_taken")) == 1, "the receipt of the part")
    return grant


def test_a_node_deletes_what_is_called_back_and_signs_for_it(receiver: Receiver) -> None:
    database = receiver.database
    grant = filled(receiver, recalled="delete")
    feed = recalled(receiver, grant)
    receiver.wait(lambda: receipts(receiver), "the receipt")
    assert (database.permits(), database.dead()) == (set(), [])
    ((number, by, statement, signature, node_key, entry),) = receipts(receiver)
    assert (number, by) == ("L-2026-0001", "node")
    assert is_signed(statement, signature, bytes(node_key))
    (deleted,) = read_deletion(statement).deleted
    assert (deleted.id, deleted.rows, deleted.dead, deleted.part, deleted.up_to) == (feed, 2, 1, 1, 1)
    made = receiver.city.admin.execute(
        "SELECT encode(sha256(convert_to(manifest, 'UTF8')), 'hex') FROM exchange.bulk_job"
        " WHERE subscription = %s AND number = 1",
        [feed],
    ).fetchone()
    assert made == (deleted.manifest_digest,)
    (logged,) = receiver.city.logged("copies_deleted")
    assert (logged["id"], logged["case"], logged["outcome"]) == (entry, "L-2026-0001", "deleted")
    receiver.wait(lambda: receiver.status().state == "signed", "the rest")


@quickly
def test_a_receipt_sent_twice_counts_once(receiver: Receiver) -> None:
    city, grant = receiver.city, filled(receiver, recalled="delete")
    recalled(receiver, grant)
    receiver.wait(lambda: receipts(receiver), "the receipt")
    # As if the node had died after the hub kept its receipt, and before it noted so.
    receiver.child.kill()
    receiver.database.run("UPDATE shuqiao_receive SET state = 'deleted'")
    city.admin.execute("TRUNCATE exchange.deletion")
    receiver.start()
    receiver.wait(lambda: receipts(receiver), "the receipt")
    ((_, _, statement, signature, _, entry),) = receipts(receiver)
    with city.bulk() as bulk:
        assert bulk.recalls(NO_CONTEXT) == ()
        again = bulk.sign_for("L-2026-0001", statement, signature, NO_CONTEXT)
        other = bulk.sign_for("L-2026-0001", "{}", "", NO_CONTEXT)
    assert again.entry == other.entry == entry
    assert len(receipts(receiver)) == 1
    assert len(city.logged("copies_deleted")) == 2, "one of each time that the hub had none"


@quickly
def test_without_the_word_in_its_file_a_node_waits_for_a_person(receiver: Receiver, capsys: Any) -> None:
    grant = filled(receiver)
    recalled(receiver, grant)
    receiver.wait(lambda: receiver.status().state == "recalled", "the recall in the status")
    assert receiver.status().fault == "L-2026-0001 2026-12-07"
    assert receiver.database.permits() == {("P1", "1"), ("P2", "1")} and not receipts(receiver)
    assert command(receiver, "delete") == 0
    assert "receipt is signed and sent" in capsys.readouterr().out
    assert receiver.database.permits() == set()
    assert len(receipts(receiver)) == 1


@quickly
def test_a_receipt_that_says_too_little_or_is_not_the_nodes_is_refused(receiver: Receiver) -> None:
    city, grant = receiver.city, filled(receiver)
    feed = recalled(receiver, grant)
    said = {
        "recall": "L-2026-0001",
        "deleted_at": "2026-11-23T00:00:00Z",
        "deleted": [{"way": "feed", "id": feed, "rows": 2}],
    }
    stranger = keys.generate_signing_key()
    for change, signed in (
        ({"deleted": [{"way": "feed", "id": str(uuid.uuid4())}]}, False),
        ({"deleted": []}, False),
        ({"recall": "L-2026-0002"}, False),
        ({"more": 1}, False),
        ({"note": "a\x00b"}, False),
        ({"deleted": [{"way": "feed", "id": feed, "rows": -1}]}, False),
        ({}, True),
    ):
        text = msgspec.json.encode(said | change).decode()
        signature = sign_deletion(text, stranger) if signed else ""
        with city.bulk() as bulk, pytest.raises(CopyRefused) as refused:
            bulk.sign_for("L-2026-0001", text, signature, NO_CONTEXT)
        assert refused.value.code == "deletion_unfit", change
    text = msgspec.json.encode(said).decode()
    with city.bulk() as bulk:
        # Another system's recall, and one that isn't there, are one refusal.
        answers = []
        with city.pages() as other:
            for one in ("L-2026-0001", "L-2026-9999"):
                with pytest.raises(CopyRefused) as refused:
                    other.sign_for(one, text, "", NO_CONTEXT)
                answers.append((refused.value.code, str(refused.value)))
        assert answers[0] == answers[1] and answers[0][0] == "not_available"
        assert other.recalls is not None
        assert not receipts(receiver)
        bulk.sign_for("L-2026-0001", text, "", NO_CONTEXT)
    assert [row[1] for row in receipts(receiver)] == ["system"]
    with pytest.raises(Exception, match="stay as they are"):
        city.admin.execute("UPDATE exchange.deletion SET statement = 'x'")


def test_a_database_that_was_restored_begins_anew_exactly_once(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    filled(receiver)
    receiver.child.kill()
    kept = database.rows("SELECT * FROM shuqiao_receive")
    one = uuid.uuid4()
    merged(city, 2, (one, "P3", "1"))
    receiver.start()
    receiver.wait_permits(("P1", "1"), ("P2", "1"), ("P3", "1"))
    receiver.wait(lambda: len(city.logged("feed_taken")) == 2, "the receipt of the second part")
    receiver.child.kill()
    # The backup of before: the second part is signed for and not there.
    database.run("DELETE FROM permits WHERE number = 'P3'")
    database.run(
        f"UPDATE shuqiao_receive SET part = 1, up_to = {kept[0][3]}, manifest_digest = '{kept[0][4]}'"
    )
    receiver.start()
    receiver.wait(lambda: receiver.status().state == "out_of_step", "the difference")
    receiver.child.kill()
    old = feed_of(receiver)
    assert command(receiver, "restart") == 0
    merged(city, 3, (one, "P3", "2"))
    receiver.start()
    receiver.wait_permits(("P1", "1"), ("P2", "1"), ("P3", "2"))
    new = feed_of(receiver)
    assert new != old
    (ended,) = city.logged("feed_ended")
    assert (ended["outcome"], ended["seen"]["subscription"]) == ("feed_begins_anew", old)
    merged(city, 4, (one, "P3", "3"))
    receiver.wait_permits(("P1", "1"), ("P2", "1"), ("P3", "3"))
    assert len(database.rows("SELECT * FROM permits")) == 3


@quickly
def test_a_feed_that_is_ended_rests_until_it_begins_anew(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    filled(receiver)
    receiver.child.kill()
    assert command(receiver, "end") == 0
    receiver.start()
    receiver.wait(lambda: receiver.status().state == "ended", "the end")
    assert database.permits() == {("P1", "1"), ("P2", "1")}, "what was received stays"
    with city.bulk() as bulk, pytest.raises(CopyRefused) as refused:
        bulk.subscribe(PERMITS, context=NO_CONTEXT)
    assert refused.value.code == "feed_rests"
    merged(city, 2, (uuid.uuid4(), "P3", "1"))
    receiver.child.kill()
    assert command(receiver, "restart") == 0
    receiver.start()
    receiver.wait_permits(("P1", "1"), ("P2", "1"), ("P3", "1"))


@quickly
def test_what_did_not_fit_stands_in_the_receipt_row_by_row(receiver: Receiver) -> None:
    """Accepted and rejected rows of a part are told to the hub, the rejected ones with their reasons."""
    filled(receiver)
    found = receiver.city.admin.execute("SELECT applied, dead, unfit FROM exchange.subscription_receipt")
    ((applied, dead, unfit),) = found.fetchall()
    assert (applied, dead) == (2, 1)
    ((row, reason),) = unfit
    assert 1 <= row <= 3 and reason == receiver.database.dead()[0][1]
