"""Appended, replaced, marked as gone, and a target that takes no table of ours."""

import sqlite3
import uuid
from pathlib import Path

import pytest

from shuqiao.cli import main as shuqiao
from tests.receive.conftest import NAME, Database, Receiver, merged


def test_what_is_appended_stays_as_it_came(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    database.run("CREATE TABLE story (number varchar(20), kind varchar(10), what varchar(10), part integer)")
    columns = {"permit_no": "number", "kind_code": "kind", "_op": "what", "_part": "part"}
    receiver.write(
        mode="append",
        key="permit_no",
        columns=columns,
        target={"url": database.url, "table": "story"},
    )
    city.bulk_grant()
    one = uuid.uuid4()
    merged(city, 1, (one, "P1", "1"))
    receiver.start()
    receiver.wait(lambda: database.rows("SELECT * FROM story"), "the first row")
    merged(city, 2, (one, "P1", "2"))
    receiver.wait(lambda: len(database.rows("SELECT * FROM story")) == 2, "the second row")
    assert sorted(database.rows("SELECT number, kind, what, part FROM story")) == [
        ("P1", "1", "upsert", 1),
        ("P1", "2", "upsert", 2),
    ]


def test_the_first_part_replaces_what_was_there_in_one_step(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    database.run("INSERT INTO permits (shuqiao_key, number, kind) VALUES ('old', 'X1', '9')")
    receiver.write(mode="replace")
    city.bulk_grant()
    merged(city, 1, (uuid.uuid4(), "P1", "1"), (uuid.uuid4(), "P2", "1"))
    receiver.start()
    seen = set()

    def is_there() -> bool:
        seen.add(frozenset(database.permits()))
        return database.permits() == {("P1", "1"), ("P2", "1")}

    receiver.wait(is_there, "the new rows")
    assert seen <= {frozenset({("X1", "9")}), frozenset({("P1", "1"), ("P2", "1")})}


def test_a_new_feed_leaves_nothing_of_the_old_one(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    grant = city.bulk_grant()
    one, two = uuid.uuid4(), uuid.uuid4()
    merged(city, 1, (one, "P1", "1"), (two, "P2", "1"))
    database.run("INSERT INTO permits (shuqiao_key, number, kind) VALUES ('mine', 'X1', '9')")
    database.run("CREATE TABLE seen AS SELECT shuqiao_key FROM permits")
    receiver.start()
    # What has a key is the subscription's; the row of another hand had one, so it is taken for its own.
    receiver.wait_permits(("P1", "1"), ("P2", "1"))
    keys = set(database.rows("SELECT shuqiao_key FROM permits"))
    city.revoke(grant)
    receiver.wait(lambda: receiver.status().state == "refused", "the refusal")
    city.admin.execute("SELECT exchange.expire_bulk()")
    city.bulk_grant()
    receiver.child.kill()
    receiver.start()
    receiver.wait(lambda: set(database.rows("SELECT shuqiao_key FROM permits")).isdisjoint(keys), "new keys")
    assert database.permits() == {("P1", "1"), ("P2", "1")}


def test_what_is_gone_may_be_marked(receiver: Receiver) -> None:
    from shuqiao.wire.grant import Row

    city, database = receiver.city, receiver.database
    receiver.write(gone={"mark": "gone_at"})
    city.bulk_grant(rows=(Row(field="kind_code", op="eq", values=("1",)),))
    one = uuid.uuid4()
    merged(city, 1, (one, "P1", "1"))
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    merged(city, 2, (one, "P1", "3"))
    gone = "SELECT count(*) FROM permits WHERE gone_at IS NOT NULL"
    receiver.wait(lambda: database.rows(gone) == [(1,)], "the mark")
    merged(city, 3, (one, "P1", "1"))
    receiver.wait(lambda: database.rows(gone) == [(0,)], "the mark taken away")


def test_without_a_table_of_ours_the_position_is_at_the_node(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    receiver.write(position="node")
    city.bulk_grant()
    one = uuid.uuid4()
    merged(city, 1, (one, "P1", "1"))
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    receiver.wait(lambda: receiver.status().part == 1, "the status")
    assert receiver.status().guarantee == "at least once, idempotent by key"
    assert database.position() == (0, 0)
    # The position of before: the part comes once more, and changes nothing.
    receiver.wait(lambda: len(city.logged("feed_taken")) == 1, "the receipt")
    receiver.child.kill()
    merged(city, 2, (one, "P1", "2"))
    receiver.start()
    receiver.wait_permits(("P1", "2"))


def test_what_was_received_is_deleted_by_command(receiver: Receiver, capsys: pytest.CaptureFixture) -> None:
    city, database = receiver.city, receiver.database
    city.bulk_grant()
    merged(city, 1, (uuid.uuid4(), "P1", "1"), (uuid.uuid4(), "far too long a number", "1"))
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    words = ["node", "receive", "delete", NAME, "--home", str(receiver.home)]
    assert shuqiao(words) == 2
    assert database.permits() == {("P1", "1")}
    assert shuqiao([*words, "--yes"]) == 0
    assert "1 rows deleted" in capsys.readouterr().out
    assert (database.permits(), database.dead()) == (set(), [])
    merged(city, 2, (uuid.uuid4(), "P2", "1"))
    receiver.wait(lambda: receiver.status().state == "deleted", "the rest")
    assert database.permits() == set()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_table_that_is_not_as_the_file_says_is_named(receiver: Receiver, database: Database) -> None:
    receiver.write(columns={"_key": "shuqiao_key", "permit_no": "nowhere"})
    receiver.start()
    state = receiver.wait(
        lambda: (found := receiver.status()) and found.state == "settings_wrong" and found, "the fault"
    )
    assert "has no column nowhere" in state.fault
    receiver.write(key="permit_no", columns={"_key": "shuqiao_key", "permit_no": "kind"})
    receiver.child.kill()
    receiver.start()
    receiver.wait(lambda: "unique index" in receiver.status().fault, "the fault")
    path = Path(database.url.removeprefix("sqlite://"))
    assert sqlite3.connect(path).execute("SELECT count(*) FROM permits").fetchone() == (0,)
