"""Messages of PostgreSQL's output plugin: read as they are, and refused whatever else they are."""

from __future__ import annotations

import struct
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shuqiao.edge.connectors.pgoutput import (
    UNCHANGED,
    Begin,
    Column,
    Commit,
    Delete,
    Insert,
    MalformedMessage,
    Relation,
    Truncate,
    Update,
    column_of,
    parse_message,
    value_of,
)
from shuqiao.edge.connectors.postgresql_log import read_place, read_snapshot

Values = list[bytes | None]


def row(values: Values) -> bytes:
    """Write a row as the plugin does."""
    parts = [b"n" if one is None else b"t" + struct.pack(">i", len(one)) + one for one in values]
    return struct.pack(">h", len(values)) + b"".join(parts)


rows = st.lists(st.none() | st.binary(max_size=40), max_size=20)


@given(rows, rows, st.integers(0, 2**32 - 1))
def test_changes_read_back_as_they_were_written(old: Values, new: Values, number: int) -> None:
    head = struct.pack(">I", number)
    assert parse_message(b"I" + head + b"N" + row(new)) == Insert(number, tuple(new))
    assert parse_message(b"U" + head + b"N" + row(new)) == Update(number, None, False, tuple(new))
    whole = parse_message(b"U" + head + b"O" + row(old) + b"N" + row(new))
    assert whole == Update(number, tuple(old), True, tuple(new))
    part = parse_message(b"U" + head + b"K" + row(old) + b"N" + row(new))
    assert part == Update(number, tuple(old), False, tuple(new))
    assert parse_message(b"D" + head + b"K" + row(old)) == Delete(number, tuple(old))


def test_the_frame_of_a_transaction_is_read() -> None:
    assert parse_message(b"B" + struct.pack(">QqI", 7, 0, 12)) == Begin(7, 12)
    assert parse_message(b"C" + struct.pack(">bQQq", 0, 7, 9, 0)) == Commit(9)
    column = b"\x01" + "编号".encode() + b"\0" + struct.pack(">Ii", 1043, -1)
    relation = b"R" + struct.pack(">I", 3) + b"public\0t\0d" + struct.pack(">h", 1) + column
    assert parse_message(relation) == Relation(3, "public", "t", (Column("编号", True, 1043),))
    assert parse_message(b"T" + struct.pack(">IbII", 2, 0, 3, 4)) == Truncate((3, 4))
    assert parse_message(b"I" + struct.pack(">I", 3) + b"N" + struct.pack(">h", 1) + b"u") == Insert(
        3, (UNCHANGED,)
    )
    assert parse_message(b"Y anything") is None


@given(st.sampled_from(b"BCRIUDTYOMZ"), st.binary(max_size=200))
def test_whatever_the_bytes_are_they_are_read_or_refused(kind: int, data: bytes) -> None:
    with suppress(MalformedMessage):
        parse_message(bytes([kind]) + data)


@given(rows, st.data())
def test_a_message_cut_short_or_longer_is_refused(values: Values, data: st.DataObject) -> None:
    whole = b"I" + struct.pack(">I", 3) + b"N" + row(values)
    with pytest.raises(MalformedMessage):
        parse_message(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(MalformedMessage):
        parse_message(whole + b"n")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (16, b"t", True),
        (23, b"-5", -5),
        (1700, b"1.50", Decimal("1.50")),
        (1082, b"2024-02-29", date(2024, 2, 29)),
        (1082, b"infinity", date.max),
        (1082, b"0044-03-15 BC", "0044-03-15 BC"),
        (1184, b"2024-02-29 12:00:00.5+00", datetime(2024, 2, 29, 12, 0, 0, 500000, UTC)),
        (17, b"\\x00ff", b"\x00\xff"),
        (25, "文".encode(), "文"),
        (25, b"\xff", b"\xff"),
        (25, None, None),
    ],
)
def test_values_are_what_other_reads_give(kind: int, text: bytes | None, value: object) -> None:
    assert value_of(kind, text) == value


@given(st.integers(0, 2**64 - 1), st.integers(0, 10**9))
def test_positions_sort_as_the_log_runs(end: int, count: int) -> None:
    here = read_place(f"{end:016X}/{count:010d}")
    assert read_place(here.text()) == here
    later = [read_place(f"{end:016X}/{count + 1:010d}"), read_place(f"{end + 1:016X}/{0:010d}")]
    assert all(here.text() < one.text() for one in later if one.end < 2**64)


def test_a_snapshot_sees_what_was_over_when_it_was_taken() -> None:
    """The numbers of transactions come round after four thousand million."""
    turn = 2**32
    seen = read_snapshot(f"{turn - 2}:{turn + 3}:{turn - 2},{turn + 1}")
    sight = {number: seen.sees(str(number % turn)) for number in range(turn - 4, turn + 6)}
    assert [number - turn for number, sees in sight.items() if sees] == [-4, -3, -1, 0, 2]


@pytest.mark.parametrize("kind", [0, 25, 16, 1082, 1184])
def test_a_column_is_read_as_its_values_are(kind: int) -> None:
    column = [b"t", b"2026-11-23", b"2026-11-23 08:00:00+08", b"infinity", None, b"", "样".encode()]
    assert column_of(kind, column) == [value_of(kind, data) for data in column]
    broken = [*column, b"\xff"]
    assert column_of(kind, broken) == [value_of(kind, data) for data in broken]
