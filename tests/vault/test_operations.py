"""What is recorded of each operation, bounds of a search, and a database that goes away."""

import asyncio
import hashlib
from uuid import uuid4

import psycopg
import pytest

from shuqiao.vault.store import ASSIGN_LOCK
from shuqiao.wire.vault import MAX_FOUND, CompareCall, RevealCall, VaultError

from .births import (
    DEPARTMENT,
    HOUSEHOLD,
    HOUSEHOLD_RESOURCE,
    RESOURCE,
    Row,
    birth,
    certificate,
    citizen_number,
)
from .conftest import Vault


async def test_operations_carry_the_digest_of_the_entries_they_serve(vault: Vault) -> None:
    await vault.assign([birth(1)])
    entries = [uuid4(), uuid4()]
    plane = vault.client("plane")
    numbers = [certificate(1), certificate(2)]
    await plane.resolve(RESOURCE, numbers, entries)
    await plane.compare(RESOURCE, [CompareCall(number, {}) for number in numbers], entries)
    calls = [RevealCall(number, ("mother_name",), "G-2026-0001") for number in numbers]
    await plane.reveal(RESOURCE, calls, entries)
    await plane.reveal(RESOURCE, [RevealCall(c.number, c.fields, "G-2026-0002") for c in calls], entries)
    await plane.close()
    with psycopg.connect(vault.url) as connection:
        rows = connection.execute(
            "SELECT op, count, entries_digest FROM vault.operation WHERE client = 'plane' ORDER BY id"
        ).fetchall()
    served = hashlib.sha256(b"".join(entry.bytes for entry in entries)).digest()
    assert rows[:2] == [("resolve", 2, served), ("compare", 2, served)]
    # A disclosure is bound to the grants it was made under.
    assert [row[:2] for row in rows[2:]] == [("reveal", 2), ("reveal", 2)]
    assert len({served, rows[2][2], rows[3][2]}) == 3


async def test_search_is_bounded(vault: Vault) -> None:
    people: list[Row] = [
        {"citizen_id_number": citizen_number(serial), "name": "样例同名"} for serial in range(MAX_FOUND + 1)
    ]
    stored = await vault.assign(people, resource=HOUSEHOLD_RESOURCE, spec=HOUSEHOLD, department=DEPARTMENT)
    control = vault.client("control")
    found = await control.find_by_name(HOUSEHOLD_RESOURCE, "name", " 样例 同名", "核查", [])
    await control.close()
    assert len(found.records) == MAX_FOUND and found.more
    assert set(found.records) < {row.record for row in stored.rows}


@pytest.mark.parametrize(
    "claim",
    ["样例母亲1", " 样例母亲1 ", "样例 母亲１", "样例母亲\u20601"],
    ids=["same", "blanks", "full", "invisible"],
)
async def test_claims_agree_in_whatever_form_they_are_written(vault: Vault, claim: str) -> None:
    await vault.assign([birth(1)])
    plane = vault.client("plane")
    call = CompareCall(certificate(1).lower(), {"mother_name": claim})
    assert (await plane.compare(RESOURCE, [call], []))[0].matches == {"mother_name": True}
    await plane.close()


async def test_survives_losing_its_database_connections(vault: Vault) -> None:
    stored = await vault.assign([birth(1)])
    plane = vault.client("plane")
    with psycopg.connect(vault.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'shuqiao-vault' AND datname = current_database()"
        )
    for _ in range(20):
        try:
            ids = await plane.resolve(RESOURCE, [certificate(1)], [])
            break
        except VaultError:
            await asyncio.sleep(0.1)
    assert ids == (stored.rows[0].record,)
    await plane.close()


async def test_waiting_batches_do_not_hold_up_verifications(vault: Vault) -> None:
    """More batches wait than the vault has connections, and calls are still answered."""
    with psycopg.connect(vault.url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [ASSIGN_LOCK])
        batches = [asyncio.create_task(vault.assign([birth(serial)])) for serial in range(1, 17)]
        for _ in range(500):
            await asyncio.sleep(0.02)
            if holder.execute(
                "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
            ).fetchone():
                break
        await asyncio.sleep(0.3)
        plane = vault.client("plane", timeout_s=5)
        calls = [plane.resolve(RESOURCE, [certificate(1)], []) for _ in range(20)]
        assert len(await asyncio.gather(*calls)) == 20
        await plane.close()
        holder.execute("SELECT pg_advisory_unlock(%s)", [ASSIGN_LOCK])
        stored = await asyncio.gather(*batches)
    assert len({answer.rows[0].record for answer in stored}) == 16
