"""Rows become messages that hold every row once, within the limit, and read back as they were."""

from __future__ import annotations

import datetime
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.edge.batches import Sender, build_batches
from shuqiao.edge.connectors import SourceRow
from shuqiao.edge.convert import convert
from shuqiao.edge.mapping import ColumnSource, TableMapping
from shuqiao.edge.spool import Number
from shuqiao.security.keys import generate_signing_key
from shuqiao.security.sealing import open_sealed
from shuqiao.wire.package import (
    MAX_MESSAGE_BYTES,
    check_signature,
    decode_package,
    decode_part,
    read_manifest,
    sealing_context,
)
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, arrow_schema, identity_items, plain_items

RESOURCE, DEPARTMENT = "r440100aaaaaaaaaa", "440100-health"
SPEC = ResourceSpec(
    record_key="number",
    modes=("verify",),
    items=(
        ItemSpec("number", "号", "Number", "string", True, "document", 2, True),
        ItemSpec("note", "注", "Note", "text"),
        ItemSpec("day", "日", "Day", "date"),
        ItemSpec("moment", "时", "Moment", "datetime"),
        ItemSpec("photo", "相", "Photo", "image", True, "picture"),
    ),
)
MAPPING = TableMapping(
    RESOURCE,
    "his",
    "t",
    "number",
    "gxsj",
    {name: ColumnSource(name) for name in ("number", "note", "day", "moment", "photo")},
    "v1",
    Path("t.yaml"),
)
KEY, VAULT = generate_signing_key(), X25519PrivateKey.generate()
SENDER = Sender(DEPARTMENT, KEY, VAULT.public_key())
DAY = datetime.date(2024, 9, 20)
MOMENT = datetime.datetime(2024, 9, 25, 2, 30, 0, 123456, tzinfo=datetime.UTC)


def row(number: str, note: Any = "x", day: Any = DAY, moment: Any = MOMENT, photo: Any = None) -> SourceRow:
    return SourceRow(number, "t", (number, note, day, moment, photo))


def read(message: bytes) -> tuple[Any, list[dict[str, Any]]]:
    """Manifest and joined rows, through every check the hub makes."""
    package = decode_package(message)
    check_signature(package, KEY.public_key())
    manifest = read_manifest(package)
    plain = decode_part(package.plain, arrow_schema(plain_items(SPEC)), manifest.rows, "plain")
    context = sealing_context(DEPARTMENT, RESOURCE, manifest.generation, manifest.sequence)
    opened = open_sealed(VAULT, package.sealed, context)
    identity = decode_part(opened, arrow_schema(identity_items(SPEC)), manifest.rows, "sealed")
    joined = [a | b for a, b in zip(plain.to_pylist(), identity.to_pylist(), strict=True)]
    return manifest, joined


def test_values_arrive_as_they_were() -> None:
    photo = os.urandom(300)
    [batch] = build_batches(
        [row("A1", "注", photo=photo), row("A2", None)], MAPPING, SPEC, SENDER, Number(3, 4)
    )
    manifest, rows = read(batch.message)
    assert (manifest.generation, manifest.sequence) == (3, 4)
    assert (manifest.rows, manifest.source, manifest.faults) == (2, "his", ())
    assert rows[0] == {"number": "A1", "note": "注", "day": DAY, "moment": MOMENT, "photo": photo}
    assert rows[1]["note"] is None


@pytest.mark.parametrize(
    ("item", "value", "expected"),
    [
        ("note", 7, "7"),
        ("note", Decimal("1.50"), "1.50"),
        ("note", "", None),
        ("day", "20240920", DAY),
        ("day", "2024/09/20", DAY),
        ("day", datetime.datetime(2024, 9, 19, 17, 0, tzinfo=datetime.UTC), DAY),
        ("moment", "2024-09-25T10:30:00.123456", MOMENT),
        ("moment", datetime.datetime(2024, 9, 25, 10, 30, 0, 123456), MOMENT),
    ],
)
def test_values_are_brought_into_the_items_type(item: str, value: Any, expected: Any) -> None:
    columns = convert([row("A1", **{item: value})], MAPPING, SPEC)
    assert columns.faults == ()
    assert columns.plain.column(item).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("item", "value", "code"),
    [
        ("note", b"bytes", "item_type"),
        ("note", "x" * 100_000, "item_too_long"),
        ("day", "2024-02-30", "date_impossible"),
        ("day", datetime.date.max, "date_impossible"),
        ("day", "9999-12-31T23:59:59+00:00", "date_impossible"),
        ("day", datetime.datetime.min.replace(tzinfo=datetime.timezone.max), "date_impossible"),
        ("day", 20240920, "item_type"),
        ("moment", "soon", "date_impossible"),
        ("photo", "text", "item_type"),
    ],
)
def test_a_value_that_does_not_fit_is_a_fault_of_its_row(item: str, value: Any, code: str) -> None:
    columns = convert([row("A1"), row("A2", **{item: value})], MAPPING, SPEC)
    assert [(fault.row, fault.item, fault.code) for fault in columns.faults] == [(1, item, code)]


def test_too_many_bytes_are_split_in_order_without_losing_a_row() -> None:
    rows = [row(f"A{n}", photo=os.urandom(50_000)) for n in range(60)]
    batches = build_batches(rows, MAPPING, SPEC, SENDER, Number(3, 10))
    assert len(batches) > 1
    assert [batch.sequence for batch in batches] == list(range(10, 10 + len(batches)))
    assert all(len(batch.message) <= MAX_MESSAGE_BYTES for batch in batches)
    numbers = [item["number"] for batch in batches for item in read(batch.message)[1]]
    assert numbers == [f"A{n}" for n in range(60)]


def test_a_row_too_large_for_any_message_travels_as_a_fault() -> None:
    wide = ResourceSpec(
        record_key="number",
        modes=("verify",),
        items=(SPEC.items[0], *(ItemSpec(f"p{n}", "p", "p", "image", True, "picture") for n in range(5))),
    )
    items = {name: ColumnSource(name) for name in ("number", "p0", "p1", "p2", "p3", "p4")}
    mapping = TableMapping(RESOURCE, "his", "t", "number", "gxsj", items, "v1", Path("t.yaml"))
    big = SourceRow("A1", "t", ("A1", *(os.urandom(250_000 + n) for n in range(5))))
    [batch] = build_batches([big], mapping, wide, SENDER, Number(3, 1))
    manifest = read_manifest(decode_package(batch.message))
    assert [(fault.row, fault.item, fault.code) for fault in manifest.faults] == [
        (0, "p4", "item_too_long"),
        (0, "p3", "item_too_long"),
    ]
