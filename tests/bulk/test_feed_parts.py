"""A part of a feed reads what has changed, however long the list is: the plan, and the rows it touches."""

import json
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.bulk.conftest import NO_CONTEXT, PERMITS, CopyCity
from tests.bulk.test_feeds import fetched, merge, waiting_part

ROWS = 30_000


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """All steps of a plan."""
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


def plan_of_next_part(city: CopyCity) -> list[dict[str, Any]]:
    """Open the next part as the process for copies does, and run its query; then it is as if it died."""
    with psycopg.connect(city.hub.superuser) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT exchange.next_feeds()")
        claimed = connection.execute("SELECT id, attempt FROM exchange.claim_bulk(15)").fetchone()
        assert claimed is not None
        opened = connection.execute(
            "SELECT outcome, rows FROM exchange.open_bulk(%s, %s, (SELECT value FROM exchange.epoch))",
            claimed,
        ).fetchone()
        assert opened == ("done", 3)
        found = connection.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM pg_temp.bulk_rows"
        ).fetchone()
        connection.rollback()
    assert found is not None
    plan = found[0] if isinstance(found[0], list) else json.loads(found[0])
    return nodes(plan[0]["Plan"])


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
        steps = plan_of_next_part(city)
        assert not [step for step in steps if step["Node Type"] == "Seq Scan"]
        read = sum(
            step["Actual Rows"] + step.get("Rows Removed by Filter", 0)
            for step in steps
            if "Scan" in step["Node Type"]
        )
        assert 3 <= read <= 12
        city.start_copier()
        rows = fetched(bulk, waiting_part(bulk, feed, 2), 2, tmp_path)
        assert {row["permit_no"] for row in rows} == {"N0", "N1", "N2"}
