"""Changes reach the consumer's own table: put in, changed, gone, appended, replaced."""

import uuid

import pytest

from shuqiao.wire.grant import Row
from tests.receive.conftest import Receiver, merged

pytestmark = pytest.mark.timeout(180)


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
