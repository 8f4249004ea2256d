"""DBF files that another library wrote: what is read of them, and what isn't."""

from __future__ import annotations

import gc
import struct
import warnings
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dbf
import pytest

from shuqiao.edge.connectors import SourceError, Unreadable
from shuqiao.edge.connectors.kept import Keeping
from shuqiao.edge.connectors.lists import read_list
from shuqiao.edge.connectors.opening import open_source, open_tables
from shuqiao.edge.cover import Cover
from shuqiao.edge.mapping import ColumnSource, TableMapping
from tests.edge.test_folder import put, rows_of

SECRET = "张样例"
FIELDS = "bh C(10); xm C(20); je N(12,2); rq D; jh L"
LINES = [
    ("0001", SECRET, 10.5, date(1880, 2, 28), True),
    ("0002", "李样例", None, None, None),
    ("0003", "王样例", -3, date(2000, 2, 29), False),
]
_CODE_PAGE_AT = 29


def written(
    path: Path, fields: str, lines: Sequence[Sequence[Any]], kind: str = "db3", gone: Sequence[int] = ()
) -> None:
    """Write a table; the records at `gone` are deleted, which leaves them in the file."""
    with warnings.catch_warnings():
        # The library leaves its file to the collector.
        warnings.simplefilter("ignore", ResourceWarning)
        table = dbf.Table(str(path), fields, codepage="cp936", dbf_type=kind)
        with table.open(mode=dbf.READ_WRITE):
            for line in lines:
                table.append(tuple(line))
            for number in gone:
                dbf.delete(table[number])
        del table
        gc.collect()


def changed(path: Path, place: int, content: bytes) -> None:
    """Write over a part of a file."""
    whole = bytearray(path.read_bytes())
    whole[place : place + len(content)] = content
    path.write_bytes(whole)


def mapping(**different: Any) -> TableMapping:
    """The mapping of the table."""
    items = {"name": ColumnSource("XM"), "sum": ColumnSource("JE")}
    named = {
        "resource": "r440100aaaaaaaaaa",
        "system": "s",
        "table": "births.dbf",
        "key": "BH",
        "changed": "",
    }
    named |= {"items": items, "version": "1", "path": Path("births.yaml")}
    return TableMapping(**(named | different))


def opened(url: str, home: Path) -> Any:
    """The connector of an address."""
    return open_source(url, Keeping(home / "home", Cover(home / "cover.key")))


def test_records_come_with_every_digit_and_without_those_deleted(tmp_path: Path) -> None:
    written(tmp_path / "a.dbf", FIELDS, [*LINES, ("0004", "别", 1, None, None)], gone=[3])
    columns, rows = read_list(tmp_path / "a.dbf")
    assert columns == {
        "BH": "char(10)",
        "XM": "char(20)",
        "JE": "numeric(12,2)",
        "RQ": "date",
        "JH": "logical",
    }
    assert list(rows) == [
        ["0001", SECRET, "10.50", "1880-02-28", 1],
        ["0002", "李样例", None, None, None],
        ["0003", "王样例", "-3.00", "2000-02-29", 0],
    ]


@pytest.mark.parametrize(
    ("page", "said", "is_read"),
    [(0x4D, "", True), (0x7A, "", True), (0x00, "", True), (0x57, "", False), (0x57, "gbk", True)],
)
def test_the_encoding_is_the_settings_the_files_or_gb_18030(
    tmp_path: Path, page: int, said: str, is_read: bool
) -> None:
    written(tmp_path / "a.dbf", FIELDS, LINES)
    changed(tmp_path / "a.dbf", _CODE_PAGE_AT, bytes([page]))
    names = [row[1] for row in read_list(tmp_path / "a.dbf", said).rows]
    assert (names[0] == SECRET) == is_read


def test_types_of_visual_foxpro_and_its_nulls(tmp_path: Path) -> None:
    fields = "bh C(10); n I null; b B; y Y; t T; v N(5,0) null"
    moment = datetime(2026, 1, 1, 8, 30)
    lines = [("1", -(2**31) + 2, 0.1, 12345.6789, moment, 7), ("2", dbf.Null, 1.0, 0, None, dbf.Null)]
    written(tmp_path / "a.dbf", fields, lines, "vfp")
    columns, rows = read_list(tmp_path / "a.dbf")
    assert [*columns] == ["BH", "N", "B", "Y", "T", "V"]
    assert list(rows) == [
        ["1", -(2**31) + 2, 0.1, "12345.6789", "2026-01-01T08:30:00", "7"],
        ["2", None, 1, "0.0000", None, None],
    ]


async def test_a_memo_that_is_mapped_is_refused_by_name_and_others_do_no_harm(tmp_path: Path) -> None:
    written(tmp_path / "births.dbf", "bh C(10); xm C(20); je N(9,2); bz M", [("1", SECRET, 1, SECRET)])
    put(tmp_path / "births.dbf", (tmp_path / "births.dbf").read_bytes())
    source = opened(f"file://{tmp_path}/births.dbf", tmp_path)
    rows = await rows_of(source, mapping())
    assert [row.values for row in rows] == [(SECRET, "1.00")]
    table = mapping(items={"note": ColumnSource("BZ")}, resource="r440100bbbbbbbbbb")
    with pytest.raises(SourceError, match=r"the column 'BZ' is of a kind that isn't read \(memo\)"):
        await source.check(table)
    await source.close()


async def test_one_file_alone_is_a_source_and_its_neighbours_are_not(tmp_path: Path) -> None:
    written(tmp_path / "births.dbf", FIELDS, LINES)
    written(tmp_path / "births2.dbf", FIELDS, [("0009", "别", 1, None, None)])
    for path in (tmp_path / "births.dbf", tmp_path / "births2.dbf"):
        put(path, path.read_bytes())
    source = opened(f"file://{tmp_path}/births.dbf", tmp_path)
    assert len(await rows_of(source, mapping(table="births*.dbf"))) == 3
    with pytest.raises(SourceError, match="no file"):
        await source.check(mapping(table="births2.dbf"))
    await source.close()


@pytest.mark.parametrize(
    ("place", "content", "said"),
    [
        (4, struct.pack("<I", 9), "behind row"),
        (4, struct.pack("<I", 2), "behind row"),
        (10, struct.pack("<H", 60_000), "can't be read"),
        (8, struct.pack("<H", 40), "can't be read"),
        (43, b"X", "a.dbf"),
    ],
)
def test_a_file_that_is_cut_off_or_says_what_is_not_so_is_refused(
    tmp_path: Path, place: int, content: bytes, said: str
) -> None:
    written(tmp_path / "a.dbf", FIELDS, LINES)
    changed(tmp_path / "a.dbf", place, content)
    if place == 43:
        # A type of field nobody knows: its values are told one by one, the rest is read.
        rows = list(read_list(tmp_path / "a.dbf").rows)
        assert rows[0][0] == Unreadable("item_type") and rows[0][1] == SECRET
        return
    with pytest.raises(SourceError, match=said) as told:
        list(read_list(tmp_path / "a.dbf").rows)
    assert SECRET not in str(told.value)


def test_a_file_of_a_few_bytes_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"\x03", b"\x03" + b"\0" * 31, b"\x03" * 40):
        (tmp_path / "a.dbf").write_bytes(content)
        with pytest.raises(SourceError, match="can't be read"):
            read_list(tmp_path / "a.dbf")


async def test_a_list_is_described_without_a_value(tmp_path: Path) -> None:
    lines = [(f"{number:04}", SECRET, number, date(2020, 1, 1), True) for number in range(30)]
    written(tmp_path / "births.dbf", FIELDS, lines)
    found = await open_tables(f"folder://{tmp_path}").describe("births.dbf")
    columns = {column.name: column for column in found.columns}
    assert [columns[name].data_type for name in ("BH", "JE", "RQ", "JH")] == ["C", "N", "D", "L"]
    assert (columns["JE"].length, columns["JE"].scale, columns["BH"].length) == (12, 2, 10)
    profile = columns["BH"].profile
    assert profile is not None and (profile.pattern, profile.longest, profile.distinct) == ("integer", 4, 30)
    assert SECRET not in str(found) and found.rows == 30
    with pytest.raises(SourceError, match=r"no file 'deaths\.dbf'"):
        await open_tables(f"folder://{tmp_path}").describe("deaths.dbf")
