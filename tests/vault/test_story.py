"""The vault as the others meet it: real process, real socket, real database."""

from uuid import uuid4

from shuqiao.wire.vault import CompareCall, RevealCall, find_by_name_sync

from .births import RESOURCE, birth, certificate
from .conftest import Vault


async def test_assign_resolve_compare_reveal_find(vault: Vault) -> None:
    assigned = await vault.assign([birth(1), birth(2)])
    assert [row.row for row in assigned.rows] == [0, 1]
    assert [row.version for row in assigned.rows] == [1, 1]
    assert assigned.faults == ()
    plane = vault.client("plane")
    ids = await plane.resolve(RESOURCE, [certificate(2), certificate(1)], [uuid4()])
    assert list(ids) == [assigned.rows[1].record, assigned.rows[0].record]

    right = {"mother_name": "样例母亲1", "mother_citizen_id_number": birth(1)["mother_citizen_id_number"]}
    wrong = {"mother_name": "样例母亲2"}
    calls = [CompareCall(certificate(1), right), CompareCall(certificate(1), wrong)]
    compared = await plane.compare(RESOURCE, calls, [uuid4(), uuid4()])
    assert [result.matches for result in compared] == [
        {"mother_name": True, "mother_citizen_id_number": True},
        {"mother_name": False},
    ]
    assert compared[0].record == assigned.rows[0].record and compared[0].version == 1

    revealed = await plane.reveal(
        RESOURCE, [RevealCall(certificate(2), ("newborn_name", "absent"), "G-2026-0001")], [uuid4()]
    )
    assert revealed[0].values == {"newborn_name": "样例新生2", "absent": None}
    await plane.close()

    control = vault.client("control")
    found = await control.find_by_name(RESOURCE, "mother_name", "样例母亲2", "更正核查", [uuid4()])
    assert found.records == (assigned.rows[1].record,) and not found.more
    assert (await control.find_by_name(RESOURCE, "father_name", "样例母亲2", "更正核查", [])).records == ()
    await control.close()


def test_sync_search(vault: Vault) -> None:
    found = find_by_name_sync(
        vault.socket,
        vault.key_of("control"),
        resource=RESOURCE,
        field="mother_name",
        name="样例母亲1",
        reason="更正核查",
        entries=[uuid4()],
    )
    assert found.records == ()
