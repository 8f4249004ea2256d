"""Storing batches: ids, versions, subjects, order, and what a crash leaves behind."""

import asyncio
import contextlib
import uuid

import psycopg
import pytest

from shuqiao.vault.store import ASSIGN_LOCK
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from shuqiao.wire.vault import Assigned, RevealCall, RowFault, VaultError, VaultRefused

from .births import (
    BIRTH,
    DEPARTMENT,
    HOUSEHOLD,
    HOUSEHOLD_RESOURCE,
    KEY,
    RESOURCE,
    Row,
    birth,
    certificate,
    citizen_number,
    sealed_rows,
)
from .conftest import Vault


def counts(vault: Vault) -> dict[str, int]:
    """Rows per table."""
    with psycopg.connect(vault.url) as connection:
        return {
            table: (connection.execute(f"SELECT count(*) FROM vault.{table}").fetchone() or (0,))[0]
            for table in ("identifier", "record", "name_index")
        }


async def value_of(vault: Vault, serial: int, field: str) -> str | None:
    """A stored value, as the plane would reveal it."""
    plane = vault.client("plane")
    try:
        calls = [RevealCall(certificate(serial), (field,), "G-2026-0001")]
        return (await plane.reveal(RESOURCE, calls, []))[0].values[field]
    finally:
        await plane.close()


async def names(vault: Vault, name: str, field: str = "mother_name") -> int:
    """How many records bear a name."""
    control = vault.client("control")
    try:
        return len((await control.find_by_name(RESOURCE, field, name, "核查", [])).records)
    finally:
        await control.close()


async def test_same_batch_again_changes_nothing(vault: Vault) -> None:
    rows = [birth(serial) for serial in range(1, 6)]
    first = await vault.assign(rows)
    before = counts(vault)
    assert before == {"identifier": 10, "record": 5, "name_index": 15}
    again = await vault.assign(rows)
    assert (again.rows, again.faults) == (first.rows, first.faults)
    assert (first.new, again.new) == (True, False)
    assert counts(vault) == before
    mixed = await vault.assign([*rows, birth(6)], sequence=2)
    assert mixed.rows[:5] == first.rows and not mixed.new, "not all of its records are"


async def test_version_rises_only_when_the_content_changed(vault: Vault) -> None:
    await vault.assign([birth(1), birth(2)])
    changed = await vault.assign([birth(1), birth(2, mother_name="样例改名")], sequence=2)
    assert [row.version for row in changed.rows] == [1, 2]
    assert await value_of(vault, 2, "mother_name") == "样例改名"
    assert await names(vault, "样例改名") == 1
    assert await names(vault, "样例母亲2") == 0
    assert await names(vault, "样例母亲1") == 1


async def test_late_batch_does_not_overwrite_newer_content(vault: Vault) -> None:
    old, new = birth(1, mother_name="样例旧"), birth(1, mother_name="样例新")
    await vault.assign([new], sequence=5)
    late = await vault.assign([old], sequence=4)
    assert late.rows[0].version == 1 and late.faults == ()
    assert await value_of(vault, 1, "mother_name") == "样例新"
    await vault.assign([new], sequence=9)
    await vault.assign([old], sequence=7)
    assert await value_of(vault, 1, "mother_name") == "样例新"
    assert (await vault.assign([old], sequence=10)).rows[0].version == 2


async def test_a_later_generation_is_newer_whatever_its_sequence(vault: Vault) -> None:
    """After the hub was restored its node begins anew with a lower sequence."""
    old, new = birth(1, mother_name="样例旧"), birth(1, mother_name="样例新")
    await vault.assign([old], generation=3, sequence=9)
    assert (await vault.assign([new], generation=4, sequence=2)).rows[0].version == 2
    for generation, sequence in ((3, 10), (4, 1), (3, 9)):
        late = await vault.assign([old], generation=generation, sequence=sequence)
        assert late.rows[0].version == 2
    assert await value_of(vault, 1, "mother_name") == "样例新"


async def test_bad_rows_are_told_and_good_ones_stored(vault: Vault) -> None:
    rows = [birth(1), birth(2, mother_citizen_id_number="440103199001010000"), birth(3), birth(1), birth(5)]
    answer = await vault.assign(rows, skip=[4])
    assert [row.row for row in answer.rows] == [2, 3]
    assert answer.faults == (
        RowFault(0, KEY, "duplicate_key"),
        RowFault(1, "mother_citizen_id_number", "identifier_check_digit"),
    )
    assert counts(vault)["record"] == 2


async def test_one_person_is_one_subject_in_every_list(vault: Vault) -> None:
    number = citizen_number(1, "19850505")
    siblings = [birth(serial, mother_citizen_id_number=number, father_name=None) for serial in (1, 2)]
    for row in siblings:
        row["father_citizen_id_number"] = None
    born = await vault.assign(siblings)
    assert born.rows[0].subject != born.rows[1].subject
    person: Row = {"citizen_id_number": number.lower(), "name": "样例母亲", "photo": b"\x89PNG"}
    household = await vault.assign(
        [person], resource=HOUSEHOLD_RESOURCE, spec=HOUSEHOLD, department="440100-police"
    )
    with psycopg.connect(vault.url) as connection:
        mothers = connection.execute(
            "SELECT DISTINCT related_subjects FROM vault.record WHERE resource = %s", [RESOURCE]
        ).fetchall()
    assert mothers == [([household.rows[0].subject],)]


async def test_corrected_number_moves_the_record_to_the_right_subject(vault: Vault) -> None:
    """The record key stays; the own number, first wrong, then right, decides the subject."""
    own = ItemSpec("id_document_number", "身份证件号码", "Document", "string", True, "document", 3)
    spec = ResourceSpec(KEY, ("verify",), (*BIRTH.items, own))

    async def store(sequence: int, number: str | None) -> object:
        row = birth(1, id_document_number=number)
        return (await vault.assign([row], sequence=sequence, spec=spec)).rows[0].subject

    unnamed = await store(1, None)
    named = await store(2, citizen_number(1))
    assert named == unnamed
    other = await store(3, citizen_number(2))
    assert other != named
    assert await store(4, citizen_number(1)) == named
    assert await store(5, None) == named


async def test_batch_of_another_department_or_sequence_does_not_open(vault: Vault) -> None:
    sealed = sealed_rows(vault.sealing_key(), [birth(1)], sequence=1)
    loader = vault.client("loader")
    for department, generation, sequence in ((DEPARTMENT, 1, 2), (DEPARTMENT, 2, 1), ("440100-police", 1, 1)):
        with pytest.raises(VaultRefused, match="batch_malformed"):
            await loader.assign(
                RESOURCE,
                BIRTH,
                department=department,
                generation=generation,
                sequence=sequence,
                sealed=sealed,
            )
    await loader.close()
    assert counts(vault)["record"] == 0


async def test_two_batches_at_once_agree_on_subjects(vault: Vault) -> None:
    """Batches that name the same persons and are stored at the same time find one subject each."""
    rows = [birth(serial) for serial in range(1, 301)]
    turned = [
        birth(
            serial + 1000,
            mother_citizen_id_number=str(birth(serial)["mother_citizen_id_number"]),
            father_citizen_id_number=str(birth(serial)["father_citizen_id_number"]),
        )
        for serial in range(300, 0, -1)
    ]
    await asyncio.gather(vault.assign(rows), vault.assign(turned, sequence=2))
    assert counts(vault) == {"identifier": 600, "record": 600, "name_index": 1800}


async def test_two_lists_at_once_agree_on_subjects(vault: Vault) -> None:
    """A batch that meets a person another list's batch is just entering takes that one's subject."""
    person, theirs = citizen_number(1), uuid.uuid4()
    household: Row = {"citizen_id_number": person, "name": "样例", "photo": None}
    await vault.assign([birth(1, mother_citizen_id_number=person, father_citizen_id_number=None)])
    with psycopg.connect(vault.url) as other:
        entered = other.execute("DELETE FROM vault.identifier RETURNING kind, blind, key_version").fetchone()
        assert entered is not None
        other.execute("DELETE FROM vault.record")
        other.commit()
        other.execute(
            "INSERT INTO vault.identifier (kind, blind, subject_id, key_version) VALUES (%s, %s, %s, %s)",
            [*entered[:2], theirs, entered[2]],
        )
        ours = asyncio.create_task(
            vault.assign([household], resource=HOUSEHOLD_RESOURCE, spec=HOUSEHOLD, department="440100-police")
        )
        with psycopg.connect(vault.url, autocommit=True) as watching:
            while not watching.execute(
                "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
            ).fetchone():
                assert not ours.done()
                await asyncio.sleep(0.02)
        other.commit()
    assert [row.subject for row in (await ours).rows] == [theirs]
    assert counts(vault)["identifier"] == 1


async def test_a_list_is_stored_while_another_waits(vault: Vault) -> None:
    """Each list has a line of its own."""
    with psycopg.connect(vault.url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [ASSIGN_LOCK, RESOURCE])
        held = asyncio.create_task(vault.assign([birth(1)]))
        household: Row = {"citizen_id_number": citizen_number(5), "name": "样例", "photo": None}
        other = await vault.assign(
            [household], resource=HOUSEHOLD_RESOURCE, spec=HOUSEHOLD, department="440100-police"
        )
        assert len(other.rows) == 1
        assert not held.done()
    assert len((await held).rows) == 1


@pytest.mark.parametrize("delay_s", [0.02, 0.1, 0.2, 0.35])
async def test_nothing_is_doubled_or_lost_by_a_kill(vault: Vault, delay_s: float) -> None:
    rows = [birth(serial) for serial in range(1, 4001)]
    sealed = sealed_rows(vault.sealing_key(), rows)
    loader = vault.client("loader", timeout_s=30)

    async def send() -> Assigned:
        return await loader.assign(
            RESOURCE, BIRTH, department=DEPARTMENT, generation=1, sequence=1, sealed=sealed
        )

    sending = asyncio.create_task(send())
    await asyncio.sleep(delay_s)
    vault.kill()
    survived: Assigned | None = None
    with contextlib.suppress(VaultError):
        survived = await sending
    vault.start()
    answer = await send()
    await loader.close()
    assert survived is None or survived.rows == answer.rows
    assert [row.row for row in answer.rows] == list(range(4000))
    assert {row.version for row in answer.rows} == {1}
    assert counts(vault) == {"identifier": 8000, "record": 4000, "name_index": 12000}
