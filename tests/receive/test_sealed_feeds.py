"""Feeds sealed to the node's key: applied exactly once, opened nowhere else, refused where they can't be."""

import random
import signal
import time
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.plane.bulk.settings import open_spool
from shuqiao.security import keys
from shuqiao.security.at_rest import FileRefused, unwrap_key
from shuqiao.security.recipients import open_key, write_recipient
from shuqiao.wire.bulk import read_manifest, sealed_context
from tests.bulk.conftest import CopyCity
from tests.receive.conftest import Receiver, merged
from tests.receive.test_faults import SEED, Story
from tests.receive.test_recalls import command

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.parametrize("database", ["postgresql"], indirect=True),
]
ROWS = 60_000


def key_of(receiver: Receiver) -> X25519PrivateKey:
    """The node's key, which it has made by itself."""
    return keys.load_sealing_key(receiver.home / "receive" / "recipient.pem")


def parts_of(city: CopyCity) -> list[tuple[uuid.UUID, int, str, bytes]]:
    """Job, attempt, manifest and kept key of every part that is ready."""
    return city.admin.execute(
        "SELECT id, attempt, manifest, wrapped_key FROM exchange.bulk_job WHERE state = 'ready'"
        " ORDER BY ready_at"
    ).fetchall()


@pytest.mark.requirement("MOD-14")
def test_a_sealed_feed_is_applied_and_opens_with_the_nodes_key_alone(receiver: Receiver) -> None:
    city = receiver.city
    receiver.write(recipient_key="recipient.pem")
    city.bulk_grant()
    one, two = uuid.uuid4(), uuid.uuid4()
    merged(city, 1, (one, "P1", "1"), (two, "P2", "3"))
    receiver.start()
    receiver.wait_permits(("P1", "1"), ("P2", "3"))
    merged(city, 2, (one, "P1b", "2"))
    receiver.wait_permits(("P1b", "2"), ("P2", "3"))
    receiver.wait(lambda: len(city.logged("feed_taken")) == 2, "the receipts")
    assert [row["said"]["receipt"]["applied"] for row in city.logged("feed_taken")] == [2, 1]
    assert city.logged("feed_subscribed")[0]["said"]["recipient"] == keys.key_id(
        key_of(receiver).public_key()
    )
    secret = open_spool(city.spool, city.folder / "bulk.key").wrapping_secret
    parts = parts_of(city)
    assert len(parts) == 2
    for job, attempt, manifest, kept in parts:
        assert read_manifest(manifest).sealed_to == write_recipient(key_of(receiver).public_key())
        assert open_key(key_of(receiver), kept, sealed_context(job))
        for context in (f"{job}/{attempt}".encode(), sealed_context(job)):
            with pytest.raises(FileRefused):
                unwrap_key(secret, kept, context)
        stored = [file.read_bytes() for file in (city.spool / str(job)).rglob("part-*")]
        assert stored and not any(b"P1" in content or b"permit_no" in content for content in stored)


def test_whoever_is_killed_in_the_middle_a_sealed_feed_is_there_once(receiver: Receiver) -> None:
    """Node, process for copies and workers, each killed and started anew."""
    city, database, chance = receiver.city, receiver.database, random.Random(SEED)
    database.run("CREATE TABLE story (number varchar(20), kind varchar(10), what varchar(10), part integer)")
    receiver.write(
        mode="append",
        key="permit_no",
        columns={"permit_no": "number", "kind_code": "kind", "_op": "what", "_part": "part"},
        target={"url": database.url, "table": "story"},
        recipient_key="recipient.pem",
    )
    city.bulk_grant()
    receiver.start()
    source = Story(city, chance)
    for turn in range(12):
        source.go_on()
        time.sleep(chance.random() * 0.3)
        if turn % 3 == 0:
            receiver.child.kill()
            receiver.start()
        elif turn % 3 == 1:
            city.stop_copier(signal.SIGKILL)
            city.admin.execute("UPDATE exchange.bulk_progress SET lease_until = now()")
            city.start_copier()
        elif turn == 5:
            city.stop()
            city.start()
    receiver.wait(lambda: database.up_to() == source.sequence, "the last batch")
    lines = database.rows("SELECT number, kind, part FROM story ORDER BY part")
    assert len(lines) == len(set(lines))
    newest = {number: kind for number, kind, _ in lines}
    assert set(newest.items()) == source.wanted()
    given = city.admin.execute("SELECT sum(rows) FROM exchange.bulk_job WHERE state IN ('ready', 'expired')")
    assert (len(lines),) == given.fetchone()


def test_a_large_sealed_part_comes_whole_or_not_at_all(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    receiver.write(recipient_key="recipient.pem")
    city.fill_permits(ROWS)
    city.bulk_grant()
    receiver.start()
    receiver.wait(lambda: parts_of(city), "the first part")
    receiver.child.kill()
    assert database.rows("SELECT count(*) FROM permits")[0][0] in (0, ROWS)
    receiver.start()
    receiver.wait(lambda: database.position()[0] == 1, "the part")
    assert database.rows("SELECT count(*), count(DISTINCT number) FROM permits") == [(ROWS, ROWS)]
    assert database.rows("SELECT remark FROM permits WHERE number = 'P00000002'") == [('两\n行,"引"',)]


def test_another_key_stops_the_feed_with_words_and_it_can_be_begun_anew(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    receiver.write(recipient_key="recipient.pem")
    city.bulk_grant()
    merged(city, 1, (uuid.uuid4(), "P1", "1"))
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    receiver.child.kill()
    (receiver.home / "receive" / "recipient.pem").unlink()
    merged(city, 2, (uuid.uuid4(), "P2", "1"))
    receiver.start()
    receiver.wait(
        lambda: receiver.status() and receiver.status().state == "sealed_otherwise", "its word about the key"
    )
    mine = keys.key_id(key_of(receiver).public_key())
    assert receiver.status().fault.startswith("recipient_key_other") and mine in receiver.status().fault
    assert database.permits() == {("P1", "1")}
    assert command(receiver, "restart") == 0
    receiver.child.kill()
    receiver.start()
    receiver.wait_permits(("P1", "1"), ("P2", "1"))
    newest = read_manifest(parts_of(city)[-1][2])
    assert newest.sealed_to == write_recipient(key_of(receiver).public_key())


def test_a_feed_from_before_goes_on_and_is_never_taken_for_a_sealed_one(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    city.bulk_grant()
    merged(city, 1, (uuid.uuid4(), "P1", "1"))
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    receiver.child.kill()
    receiver.write(recipient_key="recipient.pem")
    merged(city, 2, (uuid.uuid4(), "P2", "1"))
    receiver.start()
    receiver.wait(
        lambda: receiver.status() and receiver.status().state == "sealed_otherwise", "its word about the feed"
    )
    assert receiver.status().fault.startswith("not_sealed")
    assert database.permits() == {("P1", "1")}
    receiver.child.kill()
    receiver.write()
    receiver.start()
    receiver.wait_permits(("P1", "1"), ("P2", "1"))


def test_a_sealed_part_that_was_changed_is_not_applied(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    receiver.write(recipient_key="recipient.pem")
    city.bulk_grant()
    merged(city, 1, (uuid.uuid4(), "P1", "1"))
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    receiver.child.kill()
    merged(city, 2, *((uuid.uuid4(), f"Q{n}", "1") for n in range(50)))
    receiver.wait(lambda: len(parts_of(city)) == 2, "the second part")
    job, attempt, *_ = parts_of(city)[1]
    for file in (city.spool / str(job) / str(attempt)).iterdir():
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    receiver.start()
    receiver.wait(lambda: (found := receiver.status()) and found.state == "untrusted", "the distrust")
    assert database.permits() == {("P1", "1")}
    assert len(city.logged("feed_taken")) == 1
