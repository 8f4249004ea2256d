"""What all calls of a batch share is sent once; each entry says it, and what differs stays different."""

import uuid
from datetime import UTC, datetime

import pytest

from shuqiao.plane.database import Database, ReadRow
from shuqiao.wire.messages import new_entry_id
from tests.plane.conftest import RESOURCE, City

NOW = datetime.now(UTC)


def row(actor: str, *, case: str | None = None, grant: str = "G-2026-0001", event: str = "verify") -> ReadRow:
    """A call about a record that is not there."""
    entry = new_entry_id(NOW)
    return ReadRow(
        entry, NOW, event, f"440100-{actor}", f"app-{actor}", grant, case, "answered", uuid.uuid4(), None,
        f'{{"id":"{entry}"}}', None, entry.bytes, '{"mother_name":true}', True,
    )  # fmt: skip


BATCHES = {
    "one": [row("a")],
    "all alike": [row("a") for _ in range(5)],
    "actors differ": [row("a"), row("b"), row("a")],
    "grants differ": [row("a"), row("a", grant="G-2026-0002")],
    "one has a case": [row("a"), row("a", case="GZF-7"), row("a")],
    "queries": [row("a", event="query")._replace(mark=None, identity=None) for _ in range(3)],
}


@pytest.mark.parametrize("name", BATCHES)
async def test_entries_say_what_each_call_said(city: City, name: str) -> None:
    rows = BATCHES[name]
    database = Database(city.hub.role("shuqiao_plane"), lanes=1)
    await database.open()
    try:
        epoch = await database.current_epoch()
        seen = await database.read(RESOURCE, epoch, rows)
    finally:
        await database.close()
    assert [one.ordinal for one in seen] == list(range(1, len(rows) + 1))
    assert all(one.written and not one.found for one in seen)
    written = city.admin.execute(
        "SELECT id, occurred_at, event, department, actor, grant_id, case_no, outcome, record_id"
        " FROM audit.entry WHERE id = ANY (%s) ORDER BY id",
        [[one.id for one in rows]],
    ).fetchall()
    assert written == sorted([one[:9] for one in rows], key=lambda one: one[0].int)
