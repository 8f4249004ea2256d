"""A part of a feed reads what has changed, however long the list is: the plan, and the rows it touches."""

import signal
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from tests.bulk.conftest import NO_CONTEXT, PERMITS, CopyCity
from tests.bulk.test_feeds import fetched, merge, waiting_part

ROWS = 30_000


def read_by_next_part(city: CopyCity) -> tuple[int, int, int]:
    """Open the next part as the process for copies does, and read it; then it is as if it died.

    Returns how many rows it has, how often the list was read whole, and how many of its rows were read.
    """
    with psycopg.connect(city.hub.superuser) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT exchange.next_feeds()")
        claimed = connection.execute("SELECT id, attempt FROM exchange.claim_bulk(15)").fetchone()
        assert claimed is not None
        opened = connection.execute(
            "SELECT outcome FROM exchange.open_part(%s, %s, (SELECT value FROM exchange.epoch))", claimed
        ).fetchone()
        assert opened == ("done",)
        rows = connection.execute(
            "SELECT * FROM exchange.part_rows(%s, %s, (SELECT value FROM exchange.epoch))"
            " AS part(_record uuid, _key text, _op text, permit_no text, kind_code text, issued_on date,"
            " changed_at timestamptz, remark text)",
            claimed,
        ).fetchall()
        found = connection.execute(
            "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables"
            " WHERE schemaname = 'base' AND relname = %s",
            [PERMITS],
        ).fetchone()
        connection.rollback()
    assert found is not None
    return len(rows), *found


@pytest.mark.requirement("MOD-14")
def test_a_part_reads_no_more_than_what_changed(city: CopyCity, tmp_path: Path) -> None:
    city.admin.execute(f"DROP INDEX IF EXISTS base.{PERMITS}_by_batch")
    city.fill_permits(ROWS)
    city.bulk_grant()
    there = "SELECT to_regclass(%s) IS NOT NULL"
    index = [f"base.{PERMITS}_by_batch"]
    assert city.admin.execute(there, index).fetchone() == (False,)
    city.stop_copier()
    city.start_copier()
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        waiting_part(bulk, feed, 1)
        until = time.monotonic() + 60
        # Without hands, and only because a feed follows the list.
        while city.admin.execute(there, index).fetchone() != (True,):
            assert time.monotonic() < until
            time.sleep(0.2)
        city.stop_copier(signal.SIGKILL)
        merge(city, 2, [(uuid.uuid4(), f"N{serial}", "1") for serial in range(3)])
        rows, whole, read = read_by_next_part(city)
        assert (rows, whole) == (3, 0) and 3 <= read <= 12
        city.start_copier()
        rows = fetched(bulk, waiting_part(bulk, feed, 2), 2, tmp_path)
        assert {row["permit_no"] for row in rows} == {"N0", "N1", "N2"}
