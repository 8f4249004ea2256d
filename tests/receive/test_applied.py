"""Changes reach the consumer's own table: put in, changed, gone, appended, replaced."""

import uuid

import pytest

from shuqiao.wire.grant import Row
from tests.receive.conftest import ALL_KINDS, Receiver, merged

ROWS = 60_000


@pytest.mark.requirement("MOD-14")
@pytest.mark.parametrize("database", ALL_KINDS, indirect=True)
def test_what_changes_at_the_source_changes_in_the_table(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    city.bulk_grant(rows=(Row(field="kind_code", op="in", values=("1", "2")),))
    one, two, three = (uuid.uuid4() for _ in range(3))
    merged(city, 1, (one, "P1", "1"), (two, "P2", "3"))
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    database.run("UPDATE permits SET local = 'kept'")
    merged(city, 2, (one, "P1b", "2"), (two, "P2", "2"), (three, "P3", "1"))
    receiver.wait_permits(("P1b", "2"), ("P2", "2"), ("P3", "1"))
    assert ("P1b", "kept") in database.rows("SELECT number, local FROM permits")
    # A record that no longer is what the grant is about has gone.
    merged(city, 3, (two, "P2", "3"))
    receiver.wait_permits(("P1b", "2"), ("P3", "1"))
    assert database.position() == (3, 0)
    receiver.wait(lambda: len(city.logged("feed_taken")) == 3, "the receipts")
    taken = city.logged("feed_taken")
    assert [(row["said"]["receipt"]["applied"], row["said"]["receipt"]["gone"]) for row in taken] == [
        (1, 0),
        (3, 0),
        (0, 1),
    ]
    kept = city.admin.execute(
        "SELECT number, applied, gone, dead FROM exchange.subscription_receipt ORDER BY number"
    ).fetchall()
    assert kept == [(1, 1, 0, 0), (2, 3, 0, 0), (3, 0, 1, 0)]
    receiver.wait(lambda: receiver.status().state == "up" and receiver.status().part == 3, "the status")
    assert receiver.status().guarantee == "exactly once"


@pytest.mark.parametrize("database", ALL_KINDS, indirect=True)
def test_a_large_part_goes_through_in_one_step_and_flat_memory(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    if database.kind == "mysql":
        database.run("ALTER TABLE permits MODIFY number varchar(20), MODIFY kind varchar(20)")
    city.fill_permits(ROWS)
    city.bulk_grant()
    receiver.start()
    counts = set()

    def is_there() -> bool:
        counts.add(database.rows("SELECT count(*) FROM permits")[0][0])
        return counts >= {ROWS}

    receiver.wait(is_there, "all rows")
    assert counts <= {0, ROWS}
    assert len({number for (number,) in database.rows("SELECT number FROM permits")}) == ROWS
    remark = database.rows("SELECT remark FROM permits WHERE number = 'P00000002'")
    assert remark == [('两\n行,"引"',)]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_receipts_do_not_disturb_the_part_that_is_made_meanwhile(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    city.bulk_grant()
    merged(city, 1, (uuid.uuid4(), "P1", "1"))
    receiver.start()
    receiver.wait(lambda: database.up_to() == 1, "the first part")
    for sequence in range(2, 80):
        merged(city, sequence, (uuid.uuid4(), f"P{sequence}", "1"))
    receiver.wait(lambda: database.up_to() == 79, "the last part")
    # A part that has to be made anew waits for the lease of its first attempt.
    assert city.admin.execute("SELECT max(attempt) FROM exchange.bulk_job").fetchone() == (1,)
