"""Feeds: each batch makes the next part, no gaps; what leaves the grant is told; the position is kept."""

import re
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from pyarrow import ipc

from shuqiao.client.bulk import BulkClient, CopyRefused
from shuqiao.plane.bulk import serving
from shuqiao.wire.bulk import FeedState
from shuqiao.wire.grant import Row
from tests.bulk.conftest import ITEMS, NO_CONTEXT, PERMITS, PORTAL, PROVIDER, READER, CopyCity


def merge(
    city: CopyCity,
    sequence: int,
    rows: list[tuple[uuid.UUID, str, str]],
    removed: Sequence[uuid.UUID] = (),
) -> None:
    """Stage and merge a batch (record, permit number, kind) as the loader does."""
    with city.admin.transaction():
        for record, permit, kind in rows:
            city.admin.execute(
                f"INSERT INTO staging.{PERMITS} (record_id, subject_id, identity_version, permit_no,"
                " kind_code) VALUES (%s, %s, 1, %s, %s)",
                [record, record, permit, kind],
            )
        city.admin.execute(
            f"SELECT * FROM exchange.merge_{PERMITS}"
            "(%s, %s, '{}', decode(repeat('00', 32), 'hex'), '[]', 's', %s)",
            [PROVIDER, sequence, list(removed)],
        )


def waiting_part(bulk: BulkClient, feed: str, number: int) -> FeedState:
    """Wait until a part is ready."""
    until = time.monotonic() + 90
    while True:
        state = bulk.feed(feed, NO_CONTEXT)
        if any(part.number == number and part.state == "ready" for part in state.parts):
            return state
        assert time.monotonic() < until, state
        time.sleep(0.1)


def fetched(bulk: BulkClient, state: FeedState, number: int, folder: Path) -> list[dict[str, str]]:
    """The rows of a part."""
    part = next(part for part in state.parts if part.number == number)
    copy = bulk.fetch(str(part.job), folder / str(number), NO_CONTEXT)
    assert (copy.manifest.number, copy.manifest.after) == (number, part.after)
    tables = [ipc.open_stream(file.read_bytes()).read_all() for file in copy.files]
    return pa.concat_tables(tables).to_pylist()


@pytest.mark.requirement("MOD-14")
def test_each_batch_reaches_a_subscriber_in_order(city: CopyCity, tmp_path: Path) -> None:
    city.bulk_grant(rows=(Row(field="kind_code", op="in", values=("1", "2")),))
    one, two, three = (uuid.uuid4() for _ in range(3))
    merge(city, 1, [(one, "P1", "1"), (two, "P2", "3")])
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        assert bulk.subscribe(PERMITS, context=NO_CONTEXT) == feed
        first = fetched(bulk, waiting_part(bulk, feed, 1), 1, tmp_path)
        assert [(row["_op"], row["permit_no"]) for row in first] == [("upsert", "P1")]
        # One record leaves the grant, one enters it, one is new; a batch without a change of ours is one too.
        merge(city, 2, [(one, "P1", "3"), (two, "P2", "2"), (three, "P3", "1")])
        second = fetched(bulk, waiting_part(bulk, feed, 2), 2, tmp_path)
        keys = {row["_key"]: (row["_op"], row["permit_no"]) for row in second}
        assert keys.pop(first[0]["_key"]) == ("gone", None)
        assert sorted(keys.values()) == [("upsert", "P2"), ("upsert", "P3")]
        bulk.take(feed, 2, NO_CONTEXT)
        bulk.take(feed, 1, NO_CONTEXT)
        merge(city, 3, [(three, "P3b", "1")])
        state = waiting_part(bulk, feed, 3)
        assert (state.taken_number, [part.number for part in state.parts]) == (2, [3])
        third = fetched(bulk, state, 3, tmp_path)
        assert [(row["_op"], row["permit_no"]) for row in third] == [("upsert", "P3b")]
        assert third[0]["_key"] in keys
        with pytest.raises(CopyRefused, match="not_available"):
            bulk.take(feed, 9, NO_CONTEXT)
    events = [row["event"] for row in city.logged("feed_subscribed", "feed_taken")]
    assert events == ["feed_subscribed", "feed_subscribed", "feed_taken", "feed_taken"]


@pytest.mark.requirement("MOD-14")
def test_a_feed_ends_with_its_grant(city: CopyCity) -> None:
    grant = city.bulk_grant()
    merge(city, 1, [(uuid.uuid4(), "P1", "1")])
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        state = waiting_part(bulk, feed, 1)
        city.revoke(grant)
        merge(city, 2, [(uuid.uuid4(), "P2", "1")])
        with pytest.raises(CopyRefused, match="grant_revoked"):
            for _ in range(600):
                # Links are no data: they end when the worker hears of it, and a fetch at once.
                bulk.state(str(state.parts[0].job), NO_CONTEXT)
                time.sleep(0.1)
        time.sleep(2)
        made = city.admin.execute("SELECT count(*) FROM exchange.bulk_job WHERE number > 1").fetchone()
        assert made == (0,)


def test_browsing_shows_filtered_pages_and_records_each(city: CopyCity) -> None:
    city.fill_permits(120)
    city.bulk_grant(items=(*ITEMS, "phone"))
    body = {
        "filters": [{"field": "kind_code", "op": "eq", "values": ["2"]}],
        "sort": "permit_no",
        "descending": True,
        "limit": 10,
    }
    with city.pages() as bulk:
        answer = bulk.browse(PERMITS, body, READER)
        assert answer.status == 200, answer.body
        fields = answer.body["fields"]
        assert answer.body["total"] == 30
        numbers = [row[fields.index("permit_no")] for row in answer.body["records"]]
        assert numbers == [f"P{serial:08d}" for serial in range(117, 77, -4)]
        assert all("****" in row[fields.index("phone")] for row in answer.body["records"])
        for wrong in ({"sort": "phone"}, {"filters": [{"field": "phone", "op": "eq", "values": ["1"]}]}):
            refused = bulk.browse(PERMITS, wrong, READER)
            assert (refused.status, refused.code) == (403, "item_not_granted")
    (seen,) = city.logged("browse_viewed")
    assert len(seen["seen"].pop("versions")) == 10
    assert seen["seen"] == {"count": 10, "offset": 0, "filters": ["kind_code"], "sort": "permit_no"}
    assert '"2"' not in seen["body"]


def test_browsing_needs_its_channel(city: CopyCity) -> None:
    city.fill_permits(3)
    city.bulk_grant(channels=("download",))
    with city.pages() as bulk:
        assert bulk.browse(PERMITS, {}, READER).code == "channel_not_granted"


@pytest.mark.requirement("MOD-06")
def test_what_is_for_persons_on_the_pages_no_system_gets(city: CopyCity) -> None:
    city.fill_permits(3)
    grant = city.bulk_grant(channels=("download", "browse"))
    with city.bulk() as system, city.pages() as pages:
        for client, context in ((system, NO_CONTEXT), (system, READER), (pages, NO_CONTEXT)):
            assert client.browse(PERMITS, {}, context).code == "pages_only"
            with pytest.raises(CopyRefused, match="pages_only"):
                client.ask(PERMITS, "csv", context=context, channel="download")
        assert pages.browse(PERMITS, {}, READER).status == 200
        job = pages.ask(PERMITS, "csv", context=READER, channel="download")
        pages.wait(job, READER, timeout_s=60)
    assert {(row["outcome"], row["grant"]) for row in city.logged("call_refused")} == {
        ("pages_only", grant.id)
    }
    (viewed,) = city.logged("browse_viewed")
    assert viewed["actor"] == f"{PORTAL}/{READER.end_user}"


def test_every_route_of_copies_is_described(city: CopyCity) -> None:
    described = httpx.get(city.url + "/openapi.json", trust_env=False).json()
    marks = {"job": str(uuid.uuid4()), "feed": str(uuid.uuid4()), "resource": PERMITS, "part": "1"} | {
        "recall": "L-2026-0001"
    }
    paths = {re.sub(r"{(\w+)}", lambda mark: marks.get(mark[1], ""), path) for path in described["paths"]}
    for pattern in (*serving.ROUTES.values(), serving.PART_ROUTE):
        assert any(pattern.fullmatch(path) for path in paths), pattern.pattern
    references = set(re.findall(r"#/components/schemas/(\w+)", str(described)))
    assert references <= set(described["components"]["schemas"])


def test_a_removed_record_is_told_as_gone_once_and_comes_back_as_itself(
    city: CopyCity, tmp_path: Path
) -> None:
    city.bulk_grant(rows=(Row(field="kind_code", op="in", values=("1", "2")),))
    one, two, never = (uuid.uuid4() for _ in range(3))
    merge(city, 1, [(one, "P1", "1"), (two, "P2", "1"), (never, "P3", "3")])
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        first = fetched(bulk, waiting_part(bulk, feed, 1), 1, tmp_path)
        keys = {row["permit_no"]: row["_key"] for row in first}
        # A record the grant was never about leaves without a word, and so does one that nobody knows.
        merge(city, 2, [], removed=[one, never, uuid.uuid4()])
        second = fetched(bulk, waiting_part(bulk, feed, 2), 2, tmp_path)
        bulk.take(feed, 2, NO_CONTEXT)
        assert [(row["_op"], row["_key"]) for row in second] == [("gone", keys["P1"])]
        merge(city, 3, [(two, "P2b", "1")])
        third = fetched(bulk, waiting_part(bulk, feed, 3), 3, tmp_path)
        bulk.take(feed, 3, NO_CONTEXT)
        assert [(row["_op"], row["permit_no"]) for row in third] == [("upsert", "P2b")]
        # Back, but outside of the grant, and never told before: nothing.
        merge(city, 4, [(one, "P1b", "3")])
        assert fetched(bulk, waiting_part(bulk, feed, 4), 4, tmp_path) == []
        bulk.take(feed, 4, NO_CONTEXT)
        merge(city, 5, [(one, "P1c", "1")])
        fifth = fetched(bulk, waiting_part(bulk, feed, 5), 5, tmp_path)
        assert [(row["_op"], row["_key"]) for row in fifth] == [("upsert", keys["P1"])]
    versions = city.admin.execute(
        f"SELECT array_agg(version ORDER BY version) FROM (SELECT version FROM base.{PERMITS}"
        f" WHERE record_id = %s UNION ALL SELECT version FROM base_history.{PERMITS} WHERE record_id = %s) v",
        [one, one],
    ).fetchone()
    assert versions == ([1, 2, 3],)
    said = city.admin.execute(
        "SELECT accepted, unchanged, removed FROM exchange.batch WHERE resource_id = %s AND sequence = 2",
        [PERMITS],
    ).fetchone()
    assert said == (3, 1, 2)
    # Evidence says in which parts the record was, and which one said that it is gone.
    found = city.admin.execute(
        "SELECT number, contained, gone FROM exchange.deliveries(%s, ARRAY[%s]::uuid[], NULL, 100)"
        " WHERE event = 'bulk_prepared' ORDER BY number",
        [PERMITS, one],
    ).fetchall()
    assert found == [(1, True, False), (2, False, True), (5, True, False)]


def test_what_comes_while_two_parts_wait_goes_into_one(city: CopyCity, tmp_path: Path) -> None:
    city.bulk_grant()
    records = [uuid.uuid4() for _ in range(5)]
    merge(city, 1, [(records[0], "P0", "1")])
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        waiting_part(bulk, feed, 1)
        merge(city, 2, [(records[1], "P1", "1")])
        waiting_part(bulk, feed, 2)
        for sequence in (3, 4, 5):
            merge(city, sequence, [(records[sequence - 1], f"P{sequence - 1}", "1")])
            begun = city.admin.execute("SELECT exchange.next_feeds()").fetchone()
            assert begun == (0,)
        bulk.take(feed, 1, NO_CONTEXT)
        third = fetched(bulk, waiting_part(bulk, feed, 3), 3, tmp_path)
    assert {row["permit_no"] for row in third} == {"P2", "P3", "P4"}
