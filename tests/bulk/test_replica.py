"""Several workers, and a standby on which copies are read: never an older state than promised."""

import concurrent.futures
import csv
import io
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
import pytest

from shuqiao.client.bulk import CopyRefused
from tests.bulk.conftest import NO_CONTEXT, PERMITS, CopyCity, running_copy_city
from tests.bulk.test_feeds import fetched, merge, waiting_part
from tests.plane.conftest import PEOPLE, QUERY_ITEMS, RESOURCE
from tests.plugins.clusters import TEMPLATE
from tests.plugins.server import TestServer
from tests.plugins.standby import Standby, running_standby
from tests.vault import births

pytestmark = [pytest.mark.database, pytest.mark.timeout(240)]

ROWS = 20_000
WAIT_S = 4
WORKERS = 4


class Pair(NamedTuple):
    """The city, and the standby of its database."""

    city: CopyCity
    standby: Standby


@pytest.fixture(scope="module")
def pair_of_servers() -> Iterator[Pair]:
    """A city with four workers whose copies are read on a standby."""
    server = TestServer(None)
    server.superuser()
    try:
        with running_copy_city(server, TEMPLATE) as city, running_standby(server) as standby:
            city.stop()
            city.start(workers=WORKERS)
            city.stop_copier()
            city.extra = {
                "BULK_REPLICA_URL": standby.url(city.hub, "shuqiao_bulk"),
                "BULK_REPLICA_WAIT_S": str(WAIT_S),
            }
            city.start_copier()
            yield Pair(city, standby)
    finally:
        server.close()


@pytest.fixture
def pair(pair_of_servers: Pair) -> Pair:
    """The same, without grants and permits."""
    city = pair_of_servers.city
    city.admin.execute('DELETE FROM exchange."grant"')
    city.empty_permits()
    city.seen_before = {row[0] for row in city.admin.execute("SELECT id FROM audit.entry").fetchall()}
    return pair_of_servers


def copied(city: CopyCity, folder: Path) -> set[str]:
    """The numbers of the permits in a new copy."""
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT, timeout_s=60)
        copy = bulk.fetch(job, folder / job, NO_CONTEXT)
    found = csv.reader(io.StringIO(copy.files[0].read_text("utf-8-sig"), newline=""))
    return {row[0] for row in found} - {"permit_no"}


def read_on_replica(city: CopyCity) -> int:
    """How many copies were read on the standby."""
    return (city.folder / "bulk.log").read_text().count("bulk_read_on_replica")


def views(city: CopyCity) -> int:
    """Views of copies that are there."""
    found = city.admin.execute("SELECT count(*) FROM pg_views WHERE schemaname = 'copying'").fetchone()
    return int(found[0]) if found else -1


def test_a_copy_is_read_on_the_standby_and_recorded_on_the_primary(pair: Pair, tmp_path: Path) -> None:
    city = pair.city
    city.fill_permits(ROWS)
    grant = city.bulk_grant()
    # What passed over the standby before has left its views to housekeeping.
    city.admin.execute("SELECT exchange.expire_bulk()")
    assert views(city) == 0
    before = read_on_replica(city)
    assert len(copied(city, tmp_path)) == ROWS
    assert read_on_replica(city) == before + 1
    (prepared,) = city.logged("bulk_prepared")
    assert (prepared["grant"], prepared["said"]["rows"], prepared["said"]["to_sequence"]) == (
        grant.id,
        ROWS,
        1,
    )
    assert views(city) == 0
    # The standby gives this role no more than the primary does.
    with (
        psycopg.connect(pair.standby.url(city.hub, "shuqiao_bulk"), autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(f"SELECT count(*) FROM base.{PERMITS}")


@pytest.mark.requirement("MOD-05")
def test_a_standby_that_lags_serves_no_older_state(pair: Pair, tmp_path: Path) -> None:
    city = pair.city
    city.fill_permits(10)
    city.bulk_grant()
    before = read_on_replica(city)
    pair.standby.hold_up()
    try:
        merge(city, 2, [(uuid.uuid4(), "NEW", "1")])
        assert "NEW" in copied(city, tmp_path)
        assert read_on_replica(city) == before
    finally:
        pair.standby.go_on()
    assert "NEW" in copied(city, tmp_path)
    assert read_on_replica(city) == before + 1


@pytest.mark.requirement("MOD-05")
def test_a_revocation_while_the_standby_is_read_leaves_no_copy(pair: Pair) -> None:
    city = pair.city
    city.fill_permits(10)
    grant = city.bulk_grant()
    pair.standby.hold_up()
    try:
        with city.bulk() as bulk:
            job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
            until = time.monotonic() + WAIT_S
            while not views(city) and time.monotonic() < until:
                time.sleep(0.02)
            city.revoke(grant)
            pair.standby.go_on()
            with pytest.raises(CopyRefused, match=r"grant_revoked|grant_ended"):
                bulk.wait(job, NO_CONTEXT, timeout_s=60)
    finally:
        pair.standby.go_on()
    until = time.monotonic() + 60
    while not city.logged("bulk_prepared") and time.monotonic() < until:
        time.sleep(0.1)
    assert [row["outcome"] for row in city.logged("bulk_prepared")] == ["grant_ended"]


def waits_for(city: CopyCity, event: str) -> bool:
    """Whether the process that prepares copies waits for this, after a minute at the latest."""
    asked = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'shuqiao-bulk' AND %s IN (wait_event, wait_event_type)"
    )
    until = time.monotonic() + 60
    while city.admin.execute(asked, [event]).fetchone() == (0,):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_a_copy_that_was_finished_though_nobody_heard_of_it_keeps_its_files(
    pair: Pair, tmp_path: Path
) -> None:
    city = pair.city
    city.fill_permits(10)
    city.bulk_grant()
    city.stop_copier()
    # The last statement of a copy is made to wait for the standby to have it, and is broken off there.
    city.admin.execute("ALTER ROLE shuqiao_bulk SET synchronous_commit = 'remote_apply'")
    try:
        with city.bulk() as bulk, psycopg.connect(city.hub.superuser) as other:
            job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
            other.execute("LOCK TABLE audit.entry IN EXCLUSIVE MODE")
            city.start_copier()
            assert waits_for(city, "Lock")
            pair.standby.hold_up()
            city.admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            city.admin.execute("SELECT pg_reload_conf()")
            other.rollback()
            assert waits_for(city, "SyncRep")
            city.admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'shuqiao-bulk' AND wait_event = 'SyncRep'"
            )
            assert bulk.wait(job, NO_CONTEXT, timeout_s=60).state == "ready"
            city.admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            city.admin.execute("SELECT pg_reload_conf()")
            pair.standby.go_on()
            # What is done next shows that the process is past what went wrong.
            assert len(copied(city, tmp_path)) == 10
            assert bulk.fetch(job, tmp_path / "doubtful", NO_CONTEXT).manifest.rows == 10
    finally:
        pair.standby.go_on()
        city.admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        city.admin.execute("SELECT pg_reload_conf()")
        city.admin.execute("ALTER ROLE shuqiao_bulk RESET synchronous_commit")
        city.stop_copier()
        city.start_copier()


def test_feeds_miss_nothing_and_calls_go_on_beside_a_standby(pair: Pair, tmp_path: Path) -> None:
    city = pair.city
    city.bulk_grant()
    grant = city.issue(mode="query", items=QUERY_ITEMS)
    merge(city, 1, [(uuid.uuid4(), "P1", "1")])
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        first = fetched(bulk, waiting_part(bulk, feed, 1), 1, tmp_path)
        pair.standby.hold_up()
        merge(city, 2, [(uuid.uuid4(), "P2", "1")])
        second = fetched(bulk, waiting_part(bulk, feed, 2), 2, tmp_path)
        assert [row["permit_no"] for row in (*first, *second)] == ["P1", "P2"]

    def query(serial: int) -> int:
        body = json.dumps({"subject": births.certificate(serial % PEOPLE), "items": ["sex_code"]}).encode()
        headers = city.signed(body, operation="query")
        url = f"{city.url}/v1/resources/{RESOURCE}/query"
        return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30).status_code

    try:
        # Keyed calls ask the primary alone: a standby that stands still outlives no revocation.
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(query, range(80))) == {200}
        city.revoke(grant)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(query, range(16))) == {403}
    finally:
        pair.standby.go_on()
    assert len([row for row in city.entries() if row["outcome"] == "answered"]) == 80


def test_without_its_standby_copies_are_read_on_the_primary(pair: Pair, tmp_path: Path) -> None:
    city = pair.city
    city.fill_permits(10)
    city.bulk_grant()
    pair.standby.kill()
    before = read_on_replica(city)
    assert len(copied(city, tmp_path)) == 10
    assert read_on_replica(city) == before
    pair.standby.resume()
    assert len(copied(city, tmp_path)) == 10
    assert read_on_replica(city) == before + 1
