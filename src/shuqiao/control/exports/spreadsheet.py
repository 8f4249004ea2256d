"""Tables as CSV and XLSX, written row by row so that a large one needs no more memory than a small one.

Texts come from many hands and are opened in spreadsheet programs: none of them is ever a formula. In CSV,
where a program has nothing but the text to go by, what looks like one gets an apostrophe before it; in XLSX
every text is stored as text and marked as quoted.
Source: our choice, decision 17.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Final

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

Cell = str | int
Row = Sequence[Cell]

_FORMULA_STARTS: Final = frozenset("=+-@\t\r\n＝＋－＠|%")
# The characters that XML 1.0 has no way to write.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff￾￿]")

MAX_CELL_CHARS = 32_767
# A sheet holds 1,048,576 rows: a longer table goes on in a next sheet.
MAX_SHEET_ROWS = 1_000_000
_CHUNK_ROWS = 500
_CHUNK_BYTES = 64 * 1024


def looks_like_formula(text: str) -> bool:
    """Tell whether a spreadsheet program might compute a text instead of showing it."""
    return text.lstrip(" ")[:1] in _FORMULA_STARTS and text != ""


def csv_file(rows: Iterable[Row]) -> Iterator[bytes]:
    """Write rows as CSV (RFC 4180) in UTF-8, with the mark by which spreadsheet programs know it."""
    yield b"\xef\xbb\xbf"
    lines: list[str] = []
    for row in rows:
        lines.append(",".join(map(_csv_cell, row)) + "\r\n")
        if len(lines) == _CHUNK_ROWS:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join(lines).encode()


def _csv_cell(cell: Cell) -> str:
    if isinstance(cell, int):
        return str(cell)
    text = "'" + cell if looks_like_formula(cell) else cell
    return '"' + text.replace('"', '""').replace("\x00", "") + '"'


def xlsx_file(name: str, header: Row, rows: Iterable[Row]) -> Iterator[bytes]:
    """Write a table as a workbook: one sheet, or several where one cannot hold it, each with the header.

    Rows go to a temporary file as they come; the workbook is given in pieces when it is whole. `name` is the
    sheet's; the caller keeps it within 25 characters and free of []:*?/ and backslashes.
    """
    with tempfile.TemporaryFile() as file:
        _write_book(file, name, header, rows)
        file.seek(0)
        while piece := file.read(_CHUNK_BYTES):
            yield piece


def _write_book(file: IO[bytes], name: str, header: Row, rows: Iterable[Row]) -> None:
    with xlsxwriter.Workbook(file, {"constant_memory": True}) as book:
        heading = book.add_format({"bold": True, "num_format": "@"})
        text = book.add_format({"num_format": "@"})
        # So marked, a text stays one when somebody edits its cell.
        quoted = book.add_format({"num_format": "@", "quote_prefix": True})
        waiting, sheets = iter(rows), 0
        row = next(waiting, None)
        while row is not None or not sheets:
            sheets += 1
            sheet = book.add_worksheet(name if sheets == 1 else f"{name} {sheets}")
            sheet.freeze_panes(1, 0)
            sheet.set_column(0, len(header) - 1, 18)
            for column, title in enumerate(header):
                sheet.write_string(0, column, _cell_text(str(title)), heading)
            at = 1
            while row is not None and at < MAX_SHEET_ROWS:
                _write_row(sheet, at, row, (text, quoted))
                row, at = next(waiting, None), at + 1


def _write_row(sheet: Worksheet, at: int, row: Row, formats: tuple[Format, Format]) -> None:
    text, quoted = formats
    for column, cell in enumerate(row):
        if isinstance(cell, int):
            sheet.write_number(at, column, cell)
        elif cell:
            sheet.write_string(at, column, _cell_text(cell), quoted if looks_like_formula(cell) else text)


def _cell_text(text: str) -> str:
    """A text as a cell can hold it."""
    return _NOT_XML.sub("", text[:MAX_CELL_CHARS])
