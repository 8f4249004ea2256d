"""Copies with large cells: pictures that no single answer of the vault could hold come all the same."""

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from pyarrow import ipc

from shuqiao.client.bulk import CopyRefused
from shuqiao.wire.vault import MAX_FRAME_BYTES, MAX_REVEALED_BYTES, RevealCall
from tests.bulk.conftest import NO_CONTEXT, CopyCity
from tests.vault import births

PEOPLE = births.HOUSEHOLD_RESOURCE
COUNT, SIZE, AT_ONCE = 30, 400_000, 10


def picture(serial: int) -> bytes:
    """An invented picture: bytes that follow from the serial number."""
    return b"\x89PNG\r\n\x1a\n" + hashlib.shake_256(str(serial).encode()).digest(SIZE)


@pytest.fixture
def photographed(city: CopyCity) -> Iterator[CopyCity]:
    """A list of invented persons with photos, and a grant of a copy of it."""
    spec = msgspec.structs.replace(births.HOUSEHOLD, modes=("bulk",))
    city.admin.execute(
        "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
        " VALUES (%s, '样例/9', '人员', 'Persons', %s, %s) ON CONFLICT DO NOTHING",
        [PEOPLE, births.DEPARTMENT, msgspec.json.encode(spec).decode()],
    )
    city.admin.execute("SELECT exchange.create_list(%s)", [PEOPLE])
    for sequence, begin in enumerate(range(0, COUNT, AT_ONCE), 1):
        people: list[births.Row] = [
            {
                "citizen_id_number": births.citizen_number(serial),
                "name": f"样例{serial}",
                "photo": picture(serial),
            }
            for serial in range(begin, begin + AT_ONCE)
        ]
        assigned = asyncio.run(
            city.vault.assign(people, sequence=sequence, resource=PEOPLE, spec=births.HOUSEHOLD)
        )
        assert len(assigned.rows) == AT_ONCE
        with city.admin.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO base.{PEOPLE} (record_id, subject_id, identity_version, version,"
                " source_department, source_system, batch_sequence, first_received_at, received_at)"
                " VALUES (%s, %s, %s, 1, %s, 'sample', 1, now(), now())",
                [(row.record, row.subject, row.version, births.DEPARTMENT) for row in assigned.rows],
            )
    items = ("citizen_id_number", "name", "photo")
    city.bulk_grant(resource=PEOPLE, items=items, unmasked=items)
    yield city
    city.admin.execute("DELETE FROM exchange.bulk_job WHERE resource_id = %s", [PEOPLE])
    city.admin.execute(f"DELETE FROM base.{PEOPLE}".encode())


def test_pictures_of_more_than_a_frame_are_copied(photographed: CopyCity, tmp_path: Path) -> None:
    assert COUNT * SIZE > MAX_FRAME_BYTES
    with photographed.bulk() as bulk:
        job = bulk.ask(PEOPLE, "arrow", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT, timeout_s=60)
        copy = bulk.fetch(job, tmp_path, NO_CONTEXT)
    assert copy.manifest.rows == COUNT
    table = ipc.open_stream(copy.files[0].read_bytes()).read_all()
    found = {
        row["name"]: (row["citizen_id_number"], base64.b64decode(row["photo"])) for row in table.to_pylist()
    }
    assert found == {
        f"样例{serial}": (births.citizen_number(serial), picture(serial)) for serial in range(COUNT)
    }


def test_a_workbook_holds_no_pictures_and_says_so(photographed: CopyCity) -> None:
    with photographed.bulk() as bulk:
        job = bulk.ask(PEOPLE, "xlsx", context=NO_CONTEXT)
        with pytest.raises(CopyRefused, match="copy_too_large"):
            bulk.wait(job, NO_CONTEXT, timeout_s=60)


def test_the_vault_answers_for_as_many_as_fit_and_counts_only_those(photographed: CopyCity) -> None:
    records = [
        row[0]
        for row in photographed.admin.execute(f"SELECT record_id FROM base.{PEOPLE}".encode()).fetchall()
    ]
    call = RevealCall("", ("name", "photo"), "G-2026-0001")

    async def asked() -> tuple[int, int]:
        client = photographed.vault.client("bulk")
        try:
            count, columns = await client.reveal_some(PEOPLE, records, call, [])
            small = RevealCall("", ("name",), "G-2026-0001")
            names = await client.reveal_records(PEOPLE, records, small, [])
        finally:
            await client.close()
        assert len(columns[0]) == len(columns[1]) == count
        assert sum(len(value or "") for value in columns[1]) <= MAX_REVEALED_BYTES
        return count, len(set(names[0]))

    with psycopg.connect(photographed.vault.url) as connection:
        [(before,)] = connection.execute("SELECT coalesce(max(id), 0) FROM vault.operation").fetchall()
        count, names = asyncio.run(asked())
        assert 0 < count < COUNT and names == COUNT
        # What was looked at is counted, not what was asked for and left out.
        counted = connection.execute("SELECT sum(count) FROM vault.operation WHERE id > %s", [before])
        assert counted.fetchone() == (count + COUNT,)
