"""Rows that don't fit lie apart with their reason, the others go in; mended, they are tried again."""

import json
import uuid

import pytest

from shuqiao.cli import main as shuqiao
from tests.receive.conftest import NAME, Receiver, merged

LONG = "much too long a number"


def test_what_does_not_fit_lies_apart_and_may_be_tried_again(
    receiver: Receiver, capsys: pytest.CaptureFixture
) -> None:
    city, database = receiver.city, receiver.database
    city.bulk_grant()
    rows = [(uuid.uuid4(), f"P{serial}", "1") for serial in range(40)]
    late = uuid.uuid4()
    merged(city, 1, *rows[:20], (late, LONG, "1"), *rows[20:])
    receiver.start()
    receiver.wait_permits(*((number, kind) for _, number, kind in rows))
    ((part, reason, content),) = database.dead()
    assert (part, json.loads(content)["items"]["permit_no"]) == (1, LONG)
    assert reason in ("value_unfit", "constraint_broken")
    receiver.wait(lambda: city.logged("feed_taken"), "the receipt")
    assert city.logged("feed_taken")[0]["said"]["receipt"]["dead"] == 1
    receiver.wait(lambda: receiver.status().dead == 1, "the status")
    words = ["node", "receive", "replay", NAME, "--home", str(receiver.home)]
    assert shuqiao(words) == 1
    assert "0 rows went in, 1 still" in capsys.readouterr().out
    match database.kind:
        case "postgresql":
            database.run("ALTER TABLE permits ALTER COLUMN number TYPE text")
        case "mysql":
            database.run("ALTER TABLE permits MODIFY number varchar(100)")
        case _:
            database.run("PRAGMA ignore_check_constraints = ON")
            table = database.rows("SELECT sql FROM sqlite_master WHERE name = 'permits'")[0][0]
            database.run(
                "CREATE TABLE wider ("
                + table.partition("(")[2].replace("<= 12", "<= 99").replace("'permits'", "")
            )
            database.run("INSERT INTO wider SELECT * FROM permits")
            database.run("DROP TABLE permits")
            database.run("ALTER TABLE wider RENAME TO permits")
    assert shuqiao(words) == 0
    assert (LONG, "1") in database.permits()
    assert database.dead() == []


def test_a_later_part_makes_what_lay_apart_void(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    city.bulk_grant()
    one = uuid.uuid4()
    merged(city, 1, (one, LONG, "1"))
    receiver.start()
    receiver.wait(lambda: database.position() == (1, 1), "the part")
    merged(city, 2, (one, "P1", "1"))
    receiver.wait_permits(("P1", "1"))
    assert database.dead() == []


def test_a_unique_number_met_twice_is_a_conflict_of_one_row(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    city.bulk_grant()
    merged(city, 1, (uuid.uuid4(), "P1", "1"))
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    merged(city, 2, (uuid.uuid4(), "P1", "2"), (uuid.uuid4(), "P2", "1"))
    receiver.wait(lambda: database.position() == (2, 1), "the part")
    assert database.permits() == {("P1", "1"), ("P2", "1")}
    assert [(part, reason) for part, reason, _ in database.dead()] == [(2, "key_conflict")]


def test_too_many_that_do_not_fit_stop_the_subscription(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    receiver.write(faults={"most": "2"})
    city.bulk_grant()
    merged(city, 1, (uuid.uuid4(), "P1", "1"), *((uuid.uuid4(), f"{LONG} {n}", "1") for n in range(3)))
    receiver.start()
    receiver.wait(lambda: (found := receiver.status()) and found.state == "too_many_dead", "the stop")
    assert (database.permits(), database.position()[0]) == (set(), 0)
    receiver.child.kill()
    receiver.write(faults={"most": "3"})
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    assert len(database.dead()) == 3
