"""Lists in a folder: read whole or not at all, once each, and what changed in them found."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.connectors.folder import STILL_S
from shuqiao.edge.connectors.kept import Keeping, KeptSource
from shuqiao.edge.connectors.lists import read_list
from shuqiao.edge.connectors.opening import open_source
from shuqiao.edge.cover import Cover
from shuqiao.edge.disk import DiskFull
from shuqiao.edge.mapping import ColumnSource, TableMapping, Way

SECRET = "张样例"
SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">{}'
    "</row></sheetData></worksheet>"
)
HEADER = ("编号", "姓名", "日期", "金额")
LINES: list[tuple[Any, ...]] = [
    ("0001", SECRET, date(1999, 2, 28), Decimal("10.50")),
    ("0002", "李样例", date(2000, 2, 29), Decimal(3)),
]


def mapping(**changed: Any) -> TableMapping:
    """The mapping of the sample list, with what a test changes."""
    items = {"name": ColumnSource("姓名"), "born": ColumnSource("日期")}
    named = {"system": "s", "table": "births*", "key": "编号", "changed": "", "version": "1"}
    named |= {"resource": "r440100aaaaaaaaaa", "items": items, "path": Path("births.yaml")}
    return TableMapping(**(named | changed))


def put(path: Path, content: bytes) -> None:
    """Put a file that has lain still for a while."""
    path.write_bytes(content)
    old = time.time() - STILL_S - 1
    os.utime(path, (old, old))


def as_csv(lines: Sequence[Sequence[Any]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    """Write lines as the text of a file."""
    return "\r\n".join(delimiter.join(str(cell) for cell in line) for line in (HEADER, *lines)).encode(
        encoding
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The department's folder of lists."""
    made = tmp_path / "导出 1"
    made.mkdir()
    return made


@pytest.fixture
def source(folder: Path, tmp_path: Path) -> KeptSource:
    """The connector of the folder."""
    made = open_source(f"folder://{folder}", Keeping(tmp_path / "home", Cover(tmp_path / "cover.key")))
    assert isinstance(made, KeptSource)
    return made


async def rows_of(source: KeptSource, table: TableMapping) -> list[SourceRow]:
    """Take the files in, then read everything in pages of two."""
    await source.clock(table)
    rows: list[SourceRow] = []
    while page := await source.read_all(table, rows[-1].key if rows else None, 2):
        rows += page
    return rows


def _xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    for line in (HEADER, *LINES):
        book.active.append(list(line))
    book.save(path)


def _parquet(path: Path) -> None:
    columns = dict(zip(HEADER, (list(column) for column in zip(*LINES, strict=True)), strict=True))
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize("kind", ["csv", "gb", "tabs", "xlsx", "parquet"])
def test_each_kind_of_file_gives_the_same_rows(tmp_path: Path, kind: str) -> None:
    made = {
        "csv": ("a.csv", lambda path: path.write_bytes(b"\xef\xbb\xbf" + as_csv(LINES))),
        "gb": ("a.csv", lambda path: path.write_bytes(as_csv(LINES, encoding="gb18030"))),
        "tabs": ("a.TXT", lambda path: path.write_bytes(as_csv(LINES, "\t"))),
        "xlsx": ("a.xlsx", _xlsx),
        "parquet": ("a.parquet", _parquet),
    }
    name, write = made[kind]
    write(tmp_path / name)
    names, rows = read_list(tmp_path / name)
    found = list(rows)
    assert tuple(names) == HEADER
    assert [row[:2] for row in found] == [["0001", SECRET], ["0002", "李样例"]]
    # A spreadsheet knows moments only.
    assert [str(row[2])[:10] for row in found] == ["1999-02-28", "2000-02-29"]
    assert [float(str(row[3])) for row in found] == [10.5, 3.0]


def test_numbers_of_a_spreadsheet_and_times_come_as_people_write_them(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["a", "b", "c", None])
    book.active.append([440105199103089910 // 1000, 2.5, datetime(2026, 1, 1, 8, 30), None])
    book.active.append([None, None, None, None])
    book.active.append([True, "  ", "", None])
    book.save(tmp_path / "a.xlsx")
    names, rows = read_list(tmp_path / "a.xlsx")
    assert [*names] == ["a", "b", "c"]
    assert list(rows) == [[440105199103089, 2.5, "2026-01-01T08:30:00"], [1, "  ", None]]


async def test_odd_cells_of_a_workbook_stop_nothing_but_their_file(folder: Path, source: KeptSource) -> None:
    book = openpyxl.Workbook()
    book.active.append(list(HEADER))
    book.active.append(["0001", 1e20, None, -(10**25)])
    book.save(folder / "births.xlsx")
    put(folder / "births.xlsx", (folder / "births.xlsx").read_bytes())
    assert (await rows_of(source, mapping()))[0].values[0] == str(10**20)
    book.active.append(["0002", timedelta(hours=30), None, None])
    book.save(folder / "births.xlsx")
    put(folder / "births.xlsx", (folder / "births.xlsx").read_bytes())
    with pytest.raises(SourceError, match=r"births\.xlsx: row 3 has a cell"):
        await source.clock(mapping())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", "编号,,姓名\n".encode(), "must name"),
        ("a.csv", "编号,编号\n".encode(), "one name"),
        ("a.csv", f"a,b\n1,{SECRET},3\n".encode(), "row 2 has more cells"),
        ("a.csv", f'a,b\n1,"{SECRET}\n'.encode(), "can't be read behind row 1 (Error)"),
        ("a.csv", b"a,b\n1,\xff\xff\xff\xff\n", "can't be read (ValueError)"),
        ("a.xlsx", b"PK\x03\x04 nothing", "can't be read"),
        ("a.parquet", b"PAR1 nothing", "can't be read"),
        ("a.doc", b"x", "a list is one of"),
    ],
)
def test_a_bad_file_is_told_without_a_cell_of_it(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as told:
        list(read_list(tmp_path / name)[1])
    assert said in str(told.value) and name in str(told.value)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row><c t='s'><v>9</v></c></row></sheetData>"),
        ("xl/worksheets/sheet1.xml", SHEET.format("<c r='A1' t='s'><v>99</v></c>").encode()),
        ("xl/worksheets/sheet1.xml", b"no xml"),
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/styles.xml", None),
    ],
)
def test_a_damaged_workbook_is_refused_whatever_its_library_raises(
    tmp_path: Path, part: str, content: bytes | None
) -> None:
    _xlsx(tmp_path / "whole.xlsx")
    with ZipFile(tmp_path / "whole.xlsx") as whole, ZipFile(tmp_path / "a.xlsx", "w", ZIP_DEFLATED) as made:
        for one in whole.infolist():
            if one.filename != part:
                made.writestr(one, whole.read(one))
            elif content is not None:
                made.writestr(one, content)
    try:
        list(read_list(tmp_path / "a.xlsx")[1])
    except SourceError as error:
        assert "a.xlsx" in str(error) and SECRET not in str(error)
    else:
        assert content is None, "without styles its values can be read all the same"


def test_a_line_without_end_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,2\n" + b"," * 5_000)
    monkeypatch.setattr("shuqiao.edge.connectors.lists.MAX_FIELD", 1_000)
    with pytest.raises(SourceError, match=r"can't be read behind row 2 \(ValueError\)"):
        list(read_list(tmp_path / "a.csv")[1])


async def test_a_name_that_is_made_to_forge_a_line_of_the_log_stays_on_its_line(
    folder: Path, source: KeptSource
) -> None:
    put(folder / "births\n2026-11-23 INFO x.csv", b"")
    with pytest.raises(SourceError, match=r"births\\n2026-11-23 INFO x\.csv: the file is empty") as told:
        await source.clock(mapping())
    assert str(told.value).isprintable()


async def test_a_row_counts_as_changed_when_a_file_says_something_new(
    folder: Path, source: KeptSource
) -> None:
    put(folder / "births.csv", as_csv(LINES))
    before = await rows_of(source, mapping())
    assert sorted(str(row.values[0]) for row in before) == sorted([SECRET, "李样例"])
    seen = await source.clock(mapping())
    assert [row.key for row in await source.read_changed(mapping(), seen, None, 10)] == []
    put(
        folder / "births.csv",
        as_csv([LINES[0], ("0002", "李改名", *LINES[1][2:]), ("0003", "王样例", "", "")]),
    )
    await source.clock(mapping())
    changed = await source.read_changed(mapping(), seen, None, 1)
    changed += await source.read_changed(mapping(), seen, changed[-1], 10)
    assert sorted(str(row.values[0]) for row in changed) == ["李改名", "王样例"]
    assert len(await rows_of(source, mapping())) == 3
    # A further node finds in the same file what this one had read.
    assert await source.read_changed(mapping(), await source.clock(mapping()), None, 10) == []


async def test_later_files_win_in_the_order_of_their_names(folder: Path, source: KeptSource) -> None:
    put(folder / "births_02.csv", as_csv([("0001", "新", "", "")]))
    put(folder / "births_01.csv", as_csv(LINES))
    put(folder / "deaths.csv", as_csv([("0009", "别", "", "")]))
    assert sorted(str(row.values[0]) for row in await rows_of(source, mapping())) == ["新", "李样例"]
    put(folder / "births_01.csv", as_csv([*LINES, ("0003", "王样例", "", "")]))
    assert sorted(str(row.values[0]) for row in await rows_of(source, mapping())) == [
        "新",
        "李样例",
        "王样例",
    ]


@pytest.mark.parametrize("way", [Way(), Way(compare_every_s=60.0)])
async def test_no_row_of_a_long_list_is_left_out(folder: Path, source: KeptSource, way: Way) -> None:
    put(folder / "births.csv", as_csv([(f"{number:04}", "甲", "", "") for number in range(2_500)]))
    await source.clock(mapping(way=way))
    assert len(await source.read_all(mapping(way=way), None, 10_000)) == 2_500


async def test_a_file_that_is_being_written_waits(folder: Path, source: KeptSource) -> None:
    (folder / "births.csv").write_bytes(as_csv(LINES[:1]))
    assert await rows_of(source, mapping()) == []
    put(folder / "births.csv", as_csv(LINES))
    assert len(await rows_of(source, mapping())) == 2


@pytest.mark.parametrize("bad", ["0003,x,,,,zuviel", ",x,,", '0003,"x'])
async def test_a_file_with_a_fault_is_taken_over_as_a_whole_or_not_at_all(
    folder: Path, source: KeptSource, bad: str
) -> None:
    put(folder / "births.csv", as_csv([*LINES, bad.split("\n")]))
    with pytest.raises(SourceError, match=r"births\.csv"):
        await source.clock(mapping())
    assert await source.read_all(mapping(), None, 10) == []
    put(folder / "births.csv", as_csv(LINES))
    assert len(await rows_of(source, mapping())) == 2


async def test_a_full_disk_is_waited_for_and_nothing_is_taken_over_meanwhile(
    folder: Path, source: KeptSource
) -> None:
    put(folder / "births-1.csv", as_csv(LINES))
    assert len(await rows_of(source, mapping())) == 2
    put(folder / "births-2.csv", as_csv([(f"1{number:03}", "样" * 500, 1, 1) for number in range(300)]))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (96 * 1024, before[1]))
    try:
        with pytest.raises(DiskFull):
            await source.clock(mapping())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(await source.read_all(mapping(), None, 10)) == 2
    assert len(await rows_of(source, mapping())) == 302


async def test_another_mapping_reads_its_files_again(folder: Path, source: KeptSource) -> None:
    put(folder / "births.csv", as_csv(LINES))
    await rows_of(source, mapping())
    other = mapping(version="2", items={"sum": ColumnSource("金额")})
    assert sorted(str(row.values[0]) for row in await rows_of(source, other)) == ["10.50", "3"]


async def test_what_the_node_keeps_of_a_list_names_nobody(
    folder: Path, source: KeptSource, tmp_path: Path
) -> None:
    put(folder / "births.csv", as_csv(LINES))
    await rows_of(source, mapping())
    for file in (tmp_path / "home").iterdir():
        content = file.read_bytes()
        assert SECRET.encode() not in content and b"0001" not in content
        assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"table": "deaths.csv"}, "no file 'deaths.csv'"),
        ({"table": "../births.csv"}, "name of a file"),
        ({"table": "**/births.csv"}, "name of a file"),
        ({"key": "号码"}, "no column '号码'"),
        ({"items": {"name": ColumnSource("名")}}, "no column '名'"),
    ],
)
async def test_a_wrong_mapping_is_told_by_name(
    folder: Path, source: KeptSource, changed: dict[str, Any], said: str
) -> None:
    put(folder / "births.csv", as_csv(LINES))
    with pytest.raises(SourceError, match=said):
        await source.check(mapping(**changed))


async def test_a_folder_that_is_gone_is_told_and_read_again_when_it_is_back(
    folder: Path, source: KeptSource
) -> None:
    away = folder.with_name("away")
    await asyncio.to_thread(folder.rename, away)
    with pytest.raises(SourceError, match="folder of lists is not there"):
        await source.clock(mapping())
    await asyncio.to_thread(away.rename, folder)
    put(folder / "births.csv", as_csv(LINES))
    assert len(await rows_of(source, mapping())) == 2
