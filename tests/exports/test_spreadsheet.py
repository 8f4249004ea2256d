"""Tables as CSV and XLSX: nothing in them is a formula, and a large one needs no more memory."""

import csv
import io
import tracemalloc

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from shuqiao.control.exports import spreadsheet
from shuqiao.control.exports.spreadsheet import csv_file, looks_like_formula, xlsx_file

HEADER = ["名称", "数"]


def workbook(rows, header=HEADER):
    """The workbook of some rows, as another library reads it."""
    content = b"".join(xlsx_file("目录", header, rows))
    return openpyxl.load_workbook(io.BytesIO(content))


def values(sheet) -> list[list]:
    """What the cells of a sheet show; an empty cell is an empty text."""
    rows = sheet.iter_rows(values_only=True)
    return [[unescape(cell) if isinstance(cell, str) else cell or "" for cell in row] for row in rows]


FORMULAS = [
    "=1+1",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1",
    "  =1+1",
    "＝1+1",
    "－1",
    "＋1",
    "＠SUM(A1)",
    '=HYPERLINK("http://example.invalid","x")',
]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_looks_like_a_formula_is_shown_and_never_computed(text):
    assert looks_like_formula(text)
    [row] = csv.reader(io.StringIO(b"".join(csv_file([[text, "x"]])).decode("utf-8-sig"), newline=""))
    assert row == ["'" + text, "x"]
    cell = workbook([[text, 1]]).active["A2"]
    assert (cell.data_type, cell.quotePrefix) == ("s", True)
    assert unescape(cell.value) == text


@pytest.mark.parametrize("text", ["", "出生登记", "A-1", "1=1", "a@b", "’=", "3－5 岁"])
def test_ordinary_texts_stay_as_they_are(text):
    assert not looks_like_formula(text)
    [row] = csv.reader(io.StringIO(b"".join(csv_file([[text, 7]])).decode("utf-8-sig"), newline=""))
    assert row == [text, "7"]


PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=40)


# Which characters there are is worked out when the first text is drawn.
PATIENT = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@PATIENT
@given(st.lists(st.tuples(PLAIN, st.integers(0, 10**9)), max_size=8))
def test_every_text_comes_back_from_a_workbook(rows):
    found = values(workbook([list(row) for row in rows]).active)
    assert found == [HEADER, *([text, number or ""] for text, number in rows)]


@PATIENT
@given(st.lists(st.lists(st.text(max_size=20), min_size=3, max_size=3), max_size=8))
def test_csv_has_as_many_rows_and_columns_as_were_given(rows):
    content = b"".join(csv_file(rows)).decode("utf-8-sig")
    found = list(csv.reader(io.StringIO(content, newline=""), strict=True))
    assert [len(row) for row in found] == [3] * len(rows)
    assert not any(looks_like_formula(cell) for row in found for cell in row)


@pytest.mark.parametrize("text", ["a\x00b", "a\x0bb", "a\ud800b", "a\uffffb"])
def test_characters_that_xml_cannot_hold_are_left_out(text):
    assert workbook([[text, 1]]).active["A2"].value == "ab"


@pytest.mark.parametrize("text", ["_x0041_", "<b>&amp;</b>", " x ", "a\nb", '"', "]]>"])
def test_texts_that_look_like_markup_are_texts(text):
    assert unescape(workbook([[text, 1]]).active["A2"].value) == text


def test_a_table_too_long_for_one_sheet_goes_on_in_the_next(monkeypatch):
    monkeypatch.setattr(spreadsheet, "MAX_SHEET_ROWS", 1001)
    book = workbook([[f"n{number}", number] for number in range(2500)])
    assert book.sheetnames == ["目录", "目录 2", "目录 3"]
    assert [sheet.max_row for sheet in book] == [1001, 1001, 501]
    assert all(values(sheet)[0] == HEADER for sheet in book)
    assert [cell for sheet in book for cell, _ in values(sheet)[1:]] == [f"n{n}" for n in range(2500)]


def test_an_empty_table_is_a_workbook_with_its_header():
    assert values(workbook([]).active) == [HEADER]


@pytest.mark.parametrize("write", [csv_file, lambda rows: xlsx_file("目录", HEADER, rows)])
def test_a_large_table_needs_no_more_memory_than_a_small_one(write):
    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            for _ in write([f"名称 {number}", number] for number in range(count)):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1000)
    assert peak(60_000) < 1.5 * peak(3000) + 200_000
