"""In which copies, parts of feeds and browsed pages a record was, and which version each of them held."""

import json
import uuid
from typing import Any

import psycopg
import pytest
from pyarrow import ipc

from shuqiao.wire.grant import Row
from tests.bulk.conftest import ITEMS, NO_CONTEXT, PERMITS, PROVIDER, READER, CopyCity
from tests.bulk.test_feeds import fetched, merge, waiting_part

CONSUMER = "440100-housing"
SOME = (Row(field="kind_code", op="in", values=("1", "2")),)


def deliveries(city: CopyCity, record: uuid.UUID, reader: str | None = PROVIDER) -> list[dict[str, Any]]:
    """What the database says of a record, oldest first."""
    rows = city.admin.execute(
        "SELECT to_jsonb(d) FROM exchange.deliveries(%s, %s, %s, 100) d ORDER BY at, job",
        [PERMITS, [record], reader],
    ).fetchall()
    return [row[0] for row in rows]


def copied(city: CopyCity) -> str:
    """Ask for a copy and wait until it is ready."""
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT)
    return job


def of_job(found: list[dict[str, Any]], job: str) -> list[dict[str, Any]]:
    return [one for one in found if one["job"] == job]


@pytest.mark.requirement("OBJ-08")
def test_each_copy_held_the_version_of_its_last_batch(city: CopyCity, tmp_path) -> None:
    city.bulk_grant(rows=SOME)
    record, later = uuid.uuid4(), uuid.uuid4()
    merge(city, 1, [(record, "P1", "1")])
    first = copied(city)
    merge(city, 2, [(record, "P1b", "2"), (later, "P2", "1")])
    second = copied(city)
    # A batch without the record, and one after which the grant's conditions leave it out.
    merge(city, 3, [(later, "P2b", "1")])
    third = copied(city)
    merge(city, 4, [(record, "P1c", "3")])
    fourth = copied(city)
    found = deliveries(city, record)
    assert [(one["job"], one["version"], one["up_to"], one["contained"]) for one in found] == [
        (first, 1, 1, True),
        (second, 2, 2, True),
        (third, 2, 3, True),
    ]
    assert [one["values"]["permit_no"] for one in found] == ["P1", "P1b", "P1b"]
    assert set(found[0]["values"]) == set(ITEMS)
    prepared = {row["said"]["job"]: str(row["id"]) for row in city.logged("bulk_prepared")}
    assert [one["entry"] for one in found] == [prepared[job] for job in (first, second, third)]
    assert not of_job(deliveries(city, later), first)
    assert [one["version"] for one in of_job(deliveries(city, later), fourth)] == [2]
    # Prepared is not fetched: the first download has its entry.
    assert [one["fetched"] for one in found] == [None] * 3
    with city.bulk() as bulk:
        bulk.fetch(second, tmp_path / "second", NO_CONTEXT)
    (delivered,) = city.logged("bulk_delivered")
    (fetched,) = of_job(deliveries(city, record), second)
    assert fetched["fetched"] == str(delivered["id"])


@pytest.mark.requirement("OBJ-08")
def test_a_batch_that_commits_while_a_copy_is_read_is_not_in_it(city: CopyCity) -> None:
    """The copy's snapshot is older than the batch, though the batch is committed before the copy is."""
    city.bulk_grant()
    record = uuid.uuid4()
    merge(city, 1, [(record, "P1", "1")])
    city.stop_copier()
    try:
        with city.bulk() as bulk:
            job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        with psycopg.connect(city.hub.superuser) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SELECT value FROM exchange.epoch")
            merge(city, 2, [(record, "P1b", "1")])
            claimed = connection.execute(
                "UPDATE exchange.bulk_job SET state = 'preparing', attempt = attempt + 1 WHERE id = %s"
                " RETURNING id, attempt",
                [job],
            ).fetchone()
            assert claimed is not None
            opened = connection.execute(
                "SELECT outcome, to_sequence, entry, at FROM exchange.open_bulk"
                "(%s, %s, (SELECT value FROM exchange.epoch))",
                claimed,
            ).fetchone()
            assert opened is not None and opened[0] == "done"
            read = connection.execute("SELECT permit_no FROM pg_temp.bulk_rows").fetchall()
            manifest = json.dumps({"entry": str(opened[2]), "items": [{"field": "permit_no"}]})
            connection.execute(
                "SELECT exchange.finish_bulk(%s, %s, 1, %s, '\\x00', %s, '\\x00', 'k', 60)",
                [*claimed, opened[1], manifest],
            )
    finally:
        city.start_copier()
    assert read == [("P1",)]
    merged = city.admin.execute(
        "SELECT received_at < %s FROM base." + PERMITS + " WHERE record_id = %s", [opened[3], record]
    ).fetchone()
    # By the clock the newer version was there when the entry was written.
    assert merged == (True,)
    (one,) = of_job(deliveries(city, record), job)
    assert (one["version"], one["values"]) == (1, {"permit_no": "P1"})


@pytest.mark.requirement("OBJ-08")
def test_a_feed_held_a_record_in_the_parts_in_which_it_changed(city: CopyCity) -> None:
    city.bulk_grant(rows=SOME)
    record, other = uuid.uuid4(), uuid.uuid4()
    merge(city, 1, [(record, "P1", "1")])
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        waiting_part(bulk, feed, 1)
        merge(city, 2, [(other, "P2", "1")])
        waiting_part(bulk, feed, 2)
        bulk.take(feed, 2, NO_CONTEXT)
        merge(city, 3, [(record, "P1", "3")])
        waiting_part(bulk, feed, 3)
        merge(city, 4, [(record, "P1b", "3"), (other, "P2b", "1")])
        waiting_part(bulk, feed, 4)
    found = deliveries(city, record)
    told = [(one["number"], one["version"], one["contained"], one["gone"], one["values"]) for one in found]
    assert [one[:4] for one in told] == [(1, 1, True, False), (3, 2, False, True)]
    assert told[0][4]["permit_no"] == "P1" and told[1][4] is None
    assert [one["number"] for one in deliveries(city, other)] == [2, 4]


@pytest.mark.requirement("OBJ-08")
def test_what_is_said_of_a_record_is_what_the_copies_and_parts_held(city: CopyCity, tmp_path) -> None:
    """A record's whole life, held against the files themselves: changed, out of the grant, removed, back."""
    city.bulk_grant(rows=SOME)
    record, never = uuid.uuid4(), uuid.uuid4()
    merge(city, 1, [(record, "P1", "1")])
    steps: list[tuple[list[tuple[uuid.UUID, str, str]], list[uuid.UUID]]] = [
        ([(record, "P1b", "2"), (never, "N1", "3")], []),
        ([], [record, never]),
        ([(record, "P1c", "3")], []),
        ([(record, "P1d", "1")], []),
        ([(record, "P1e", "4")], []),
        ([(record, "P1f", "2")], [never]),
        ([], [record]),
    ]
    held: dict[str, list[tuple[str, str | None]]] = {}
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        for number in range(1, len(steps) + 2):
            if number > 1:
                merge(city, number, *steps[number - 2])
            state = waiting_part(bulk, feed, number)
            part = next(one for one in state.parts if one.number == number)
            rows = fetched(bulk, state, number, tmp_path)
            bulk.take(feed, number, NO_CONTEXT)
            held[str(part.job)] = [(row["_op"], row["permit_no"]) for row in rows]
            job = bulk.ask(PERMITS, "arrow", context=NO_CONTEXT)
            bulk.wait(job, NO_CONTEXT)
            (file,) = bulk.fetch(job, tmp_path / job, NO_CONTEXT).files
            held[job] = [
                ("upsert", row["permit_no"])
                for row in ipc.open_stream(file.read_bytes()).read_all().to_pylist()
            ]
    said: dict[str, list[tuple[str, str | None]]] = {job: [] for job in held}
    for one in deliveries(city, record) + deliveries(city, never):
        value = ("gone", None) if one["gone"] else ("upsert", one["values"]["permit_no"])
        said[one["job"]].append(value)
        assert one["contained"] is not one["gone"]
    assert said == held
    assert sum(len(rows) for rows in held.values()) >= 10


@pytest.mark.requirement("OBJ-08")
def test_a_browsed_page_says_which_records_it_showed(city: CopyCity) -> None:
    city.bulk_grant()
    record, other = uuid.uuid4(), uuid.uuid4()
    merge(city, 1, [(record, "P1", "1"), (other, "P2", "2")])
    merge(city, 2, [(record, "P1b", "1")])
    with city.pages() as pages:
        asked = {"filters": [{"field": "kind_code", "op": "eq", "values": ["1"]}]}
        page = pages.browse(PERMITS, asked, READER)
    assert page.body["total"] == 1 and page.body["records"][0][0] == "P1b"
    (entry,) = city.logged("browse_viewed")
    assert entry["seen"]["versions"] == {str(record): 2}
    (one,) = deliveries(city, record)
    assert (one["event"], one["entry"], one["version"]) == ("browse_viewed", str(entry["id"]), 2)
    assert one["values"]["permit_no"] == "P1b"
    assert deliveries(city, other) == []
    (seen,) = deliveries(city, record, CONSUMER)
    assert seen["values"] is None


@pytest.mark.requirement("OBJ-08")
def test_a_reader_sees_what_it_gave_or_got_and_no_masked_item(city: CopyCity) -> None:
    city.bulk_grant(items=("permit_no", "phone"))
    record = uuid.uuid4()
    merge(city, 1, [(record, "P1", "1")])
    city.admin.execute(f"UPDATE base.{PERMITS} SET phone = '13900000000'")
    job = copied(city)
    (given,) = deliveries(city, record)
    assert given["values"] == {"permit_no": "P1", "phone": "13900000000"}
    (got,) = deliveries(city, record, CONSUMER)
    assert (got["job"], got["values"]) == (job, {"permit_no": "P1"})
    assert deliveries(city, record, "440100-police") == []
    (known,) = deliveries(city, record, None)
    assert known["values"] is None


def test_where_a_list_was_taken_over_it_is_said_that_it_cannot_be_said(city: CopyCity) -> None:
    city.bulk_grant()
    record = uuid.uuid4()
    merge(city, 1, [(record, "P1", "1")])
    job = copied(city)
    with city.admin.transaction():
        city.admin.execute(
            f"INSERT INTO base_history.{PERMITS} SELECT b.*, now() FROM base.{PERMITS} b"
            " WHERE record_id = %s",
            [record],
        )
        city.admin.execute(
            f"UPDATE base.{PERMITS} SET version = 2, source_department = '440100-police'"
            " WHERE record_id = %s",
            [record],
        )
    (one,) = of_job(deliveries(city, record), job)
    assert (one["contained"], one["gone"], one["values"]) == (None, False, None)
