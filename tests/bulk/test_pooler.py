"""Copies, feeds and browsing with the database behind pgbouncer in transaction mode, for both processes."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from shuqiao.client.bulk import CopyRefused
from tests.bulk.conftest import NO_CONTEXT, PERMITS, READER, CopyCity, running_copy_city
from tests.bulk.test_copies import read_arrow, rows_of
from tests.bulk.test_feeds import fetched, merge, waiting_part
from tests.plane.bouncer import running_pooler, through
from tests.plugins.server import TestServer

ROWS = 5_000
CONNECTIONS = 3
"""Two copies under way take two, and what tells their progress the third."""


@pytest.fixture(scope="module")
def pooled_city(pg_server: TestServer, hub_template: str) -> Iterator[CopyCity]:
    """A city whose workers and process for copies know only the pooler's address."""
    direct = CopyCity.environment
    with (
        pytest.MonkeyPatch.context() as patch,
        running_pooler(pg_server, "shuqiao_plane", "shuqiao_bulk", size=CONNECTIONS) as port,
    ):

        def through_the_pooler(city: CopyCity) -> dict[str, str]:
            city.extra = {
                "BULK_DATABASE_URL": through(port, city.hub, "shuqiao_bulk"),
                "BULK_DATABASE_POOLER": "transaction",
            }
            pooled = {
                "PLANE_DATABASE_URL": through(port, city.hub, "shuqiao_plane"),
                "PLANE_DATABASE_POOLER": "transaction",
            }
            return direct(city) | pooled

        patch.setattr(CopyCity, "environment", through_the_pooler)
        with running_copy_city(pg_server, hub_template) as city:
            yield city
            for log in ("plane.log", "bulk.log"):
                written = (city.folder / log).read_text()
                assert "prepared statement" not in written and "Traceback" not in written


def emptied(city: CopyCity) -> CopyCity:
    """The city without grants and permits."""
    city.admin.execute('DELETE FROM exchange."grant"')
    city.empty_permits()
    return city


@pytest.mark.requirement("MOD-04")
def test_several_copies_at_once_go_through_a_pooler(pooled_city: CopyCity, tmp_path: Path) -> None:
    city = emptied(pooled_city)
    city.fill_permits(ROWS)
    grant = city.bulk_grant()
    with city.bulk() as bulk:
        jobs = [bulk.ask(PERMITS, "arrow", context=NO_CONTEXT) for _ in range(3)]
        for job in jobs:
            bulk.wait(job, NO_CONTEXT, timeout_s=60)
            copy = bulk.fetch(job, tmp_path / job, NO_CONTEXT)
            # The written form of a day and a moment doesn't depend on the connection that the pooler lends.
            read = read_arrow(copy.files).sort_by("permit_no")
            assert [tuple(row.values()) for row in read.to_pylist()] == rows_of(city)
        assert len(rows_of(city)) == ROWS
        city.revoke(grant)
        with pytest.raises(CopyRefused, match="grant_revoked"):
            bulk.ask(PERMITS, "csv", context=NO_CONTEXT)


@pytest.mark.requirement("MOD-14")
def test_feeds_and_browsing_go_through_a_pooler(pooled_city: CopyCity, tmp_path: Path) -> None:
    city = emptied(pooled_city)
    city.bulk_grant()
    merge(city, 1, [(uuid.uuid4(), "P1", "1")])
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        first = fetched(bulk, waiting_part(bulk, feed, 1), 1, tmp_path)
        merge(city, 2, [(uuid.uuid4(), "P2", "2")])
        second = fetched(bulk, waiting_part(bulk, feed, 2), 2, tmp_path)
        assert [row["permit_no"] for row in (*first, *second)] == ["P1", "P2"]
        bulk.take(feed, 2, NO_CONTEXT)
    with city.pages() as bulk:
        page = bulk.browse(PERMITS, {"sort": "permit_no"}, READER)
        assert [row[0] for row in page.body["records"]] == ["P1", "P2"]
