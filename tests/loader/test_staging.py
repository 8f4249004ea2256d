"""What is staged arrives as it was, whatever a text holds; what changed goes to the history once."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import msgspec
import pyarrow as pa
import pytest

from shuqiao.loader.ledger import Counts, Merge, stage_and_merge
from shuqiao.loader.prepare import with_ids
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, arrow_schema, plain_items

RESOURCE, PROVIDER = "r440100stagedabc2", "440100-health"
SPEC = ResourceSpec(
    record_key="number",
    modes=("bulk",),
    items=(
        ItemSpec("number", "号码", "Number", "string", True, "document", 2, True),
        ItemSpec("remark", "备注", "Remark", "text"),
        ItemSpec("day", "日", "Day", "date"),
        ItemSpec("place", "地点", "Place", "string"),
        ItemSpec("moment", "时刻", "Moment", "datetime"),
    ),
)
NAMES = tuple(item.field for item in plain_items(SPEC))
MOMENT = datetime(1899, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
TEXTS = (
    "",
    None,
    "\\.",
    "\\N",
    'a"b""',
    "a,b;c",
    "两\r\n行",
    "\\.\n\\.\n",
    " x ",
    "NULL",
    "\t",
    "'",
    "\x01",
    "😀",
)


async def merged(
    connection: asyncpg.Connection,
    sequence: int,
    rows: Sequence[tuple[Any, ...]],
    records: list[uuid.UUID],
    *,
    new: bool = False,
) -> Counts:
    """Merge one batch of plain rows."""
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    plain = pa.RecordBatch.from_pydict(columns, arrow_schema(plain_items(SPEC)))
    ids = b"".join(record.bytes for record in records)
    staged = with_ids(plain, ids, ids, [1] * len(records))
    digest = hashlib.sha256(str(sequence).encode()).digest()
    async with connection.transaction():
        return await stage_and_merge(
            connection,  # type: ignore[arg-type]
            Merge(PROVIDER, RESOURCE, sequence, "{}", digest, "test", staged, (), new=new),
        )


async def test_every_text_arrives_and_a_change_is_kept_once(hub_database: Any) -> None:
    owner = await asyncpg.connect(hub_database.superuser)
    loader = await asyncpg.connect(hub_database.role("shuqiao_loader"))
    records = [uuid.uuid4() for _ in TEXTS]
    rows = [(text, date(1800, 1, 1), text, MOMENT) for text in TEXTS]
    changed = [(*row[:2], "moved", None) if n % 2 else row for n, row in enumerate(rows)]
    names = ", ".join(NAMES)
    held = f"SELECT record_id, version, {names} FROM {{}}.{RESOURCE} ORDER BY array_position($1, record_id)"
    try:
        await owner.execute(
            "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
            " VALUES ($1, 'S/1', '样例', 'Sample', $2, $3::text::jsonb)",
            RESOURCE,
            PROVIDER,
            msgspec.json.encode(SPEC).decode(),
        )
        await owner.execute("SELECT exchange.create_list($1)", RESOURCE)
        assert await merged(loader, 1, rows, records) == Counts(14, 14, 0, 0, 0)
        found = await owner.fetch(held.format("base"), records)
        assert [tuple(row) for row in found] == [
            (record, 1, *row) for record, row in zip(records, rows, strict=True)
        ]
        assert await merged(loader, 2, changed, records) == Counts(14, 0, 7, 7, 0)
        found = await owner.fetch(held.format("base"), records)
        assert [tuple(row) for row in found] == [
            (record, 1 + n % 2, *row) for n, (record, row) in enumerate(zip(records, changed, strict=True))
        ]
        kept = await owner.fetch(held.format("base_history"), records)
        assert [tuple(row) for row in kept] == [
            (record, 1, *row) for record, row in zip(records[1::2], rows[1::2], strict=True)
        ]
        assert await owner.fetchval(f"SELECT count(*) FROM staging.{RESOURCE}") == 0

        others = [uuid.uuid4() for _ in TEXTS]
        assert await merged(loader, 3, rows, others, new=True) == Counts(14, 14, 0, 0, 0)
        found = await owner.fetch(held.format("base") + " LIMIT 14", others)
        assert [tuple(row) for row in found] == [
            (record, 1, *row) for record, row in zip(others, rows, strict=True)
        ]
        with pytest.raises(asyncpg.UniqueViolationError):
            await merged(loader, 4, rows, records, new=True)
        assert await merged(loader, 4, changed, records) == Counts(14, 0, 0, 14, 0), "nothing of it was left"
    finally:
        await owner.close()
        await loader.close()
