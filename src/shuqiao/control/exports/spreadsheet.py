"""Tables as CSV and XLSX, written piece by piece so that a large one needs no more memory than a small one.

Texts come from many hands and are opened in spreadsheet programs: none of them is ever a formula. In CSV,
where a program has nothing but the text to go by, what looks like one gets an apostrophe before it; in XLSX
every text is stored as text and marked as quoted.
Source: our choice, decision 17.
"""

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

Cell = str | int
Row = Sequence[Cell]

_FORMULA_STARTS: Final = frozenset("=+-@\t\r\n＝＋－＠|%")
# The characters that XML 1.0 has no way to write, and the spelling that a reader would take for one of them.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff￾￿]")
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")

MAX_CELL_CHARS = 32_767
# A sheet holds 1,048,576 rows, and a part of the archive 2 GiB: a longer table goes on in a next sheet.
MAX_SHEET_ROWS = 1_000_000
MAX_SHEET_BYTES = 1_500_000_000
_CHUNK_ROWS = 500


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


class _Sink:
    """What the archive is written into: keeps what has not been sent yet, and can't go back."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self.pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to close."""

    def take(self) -> bytes:
        """Give what was written since the last time."""
        taken = b"".join(self.pieces)
        self.pieces.clear()
        return taken


def xlsx_file(name: str, header: Row, rows: Iterable[Row]) -> Iterator[bytes]:
    """Write a table as a workbook: one sheet, or several where one cannot hold it, each with the header.

    `name` is the sheet's; the caller keeps it within 25 characters and free of []:*?/ and backslashes.
    """
    sink = _Sink()
    archive = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=3)
    waiting = _Rows(rows)
    sheets: list[str] = []
    with archive:
        while waiting.more or not sheets:
            sheets.append(name if not sheets else f"{name} {len(sheets) + 1}")
            yield from _sheet(archive, sink, len(sheets), header, waiting)
        for path, content in _frame(sheets).items():
            archive.writestr(path, content)
            yield sink.take()
    yield sink.take()


class _Rows:
    """Rows still to be written; `more` looks one ahead."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)

    @property
    def more(self) -> bool:
        """Whether a row is left."""
        return self._next is not None

    def take(self) -> Row:
        """Give the next row."""
        if self._next is None:
            raise StopIteration
        row, self._next = self._next, next(self._rows, None)
        return row


def _sheet(
    archive: zipfile.ZipFile, sink: _Sink, number: int, header: Row, waiting: _Rows
) -> Iterator[bytes]:
    written = count = 0
    with archive.open(f"xl/worksheets/sheet{number}.xml", "w") as part:
        part.write(_SHEET_START.format(columns=len(header)).encode())
        part.write(_row_xml(header, _HEADER_STYLE).encode())
        while waiting.more and count < MAX_SHEET_ROWS - 1 and written < MAX_SHEET_BYTES:
            lines: list[str] = []
            while waiting.more and len(lines) < min(_CHUNK_ROWS, MAX_SHEET_ROWS - 1 - count):
                lines.append(_row_xml(waiting.take(), _TEXT_STYLE))
            piece = "".join(lines).encode()
            written, count = written + len(piece), count + len(lines)
            part.write(piece)
            yield sink.take()
        part.write(_SHEET_END.encode())
    yield sink.take()


_TEXT_STYLE, _HEADER_STYLE, _QUOTED_STYLE = 0, 1, 2


def _row_xml(row: Row, style: int) -> str:
    return "<row>" + "".join(_cell_xml(cell, style) for cell in row) + "</row>"


def _cell_xml(cell: Cell, style: int) -> str:
    if isinstance(cell, int):
        return f"<c><v>{cell}</v></c>"
    if not cell:
        return "<c/>"
    quoted = _QUOTED_STYLE if style == _TEXT_STYLE and looks_like_formula(cell) else style
    marked = f' s="{quoted}"' if quoted else ""
    return f'<c t="inlineStr"{marked}><is><t xml:space="preserve">{_xml_text(cell)}</t></is></c>'


def _xml_text(text: str) -> str:
    plain = _NOT_XML.sub("", text[:MAX_CELL_CHARS])
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return _LOOKS_ESCAPED.sub("_x005F_", plain)


_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_SHEET_START = (
    f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    '<cols><col min="1" max="{columns}" width="18" customWidth="1"/></cols><sheetData>'
)
_SHEET_END = "</sheetData></worksheet>"
_STYLES = (
    f'{_XML}<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Arial"/></font>'
    '<font><b/><sz val="11"/><name val="Arial"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)


def _frame(sheets: Sequence[str]) -> dict[str, str]:
    """The parts of a workbook beside its sheets."""
    numbers = range(1, len(sheets) + 1)
    listed = "".join(
        f'<sheet name="{_xml_text(name)}" sheetId="{n}" r:id="rId{n}"/>'
        for n, name in zip(numbers, sheets, strict=True)
    )
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in numbers
    )
    typed = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        for n in numbers
    )
    styles = f'<Relationship Id="rId{len(sheets) + 1}" Type="{_OFFICE}/styles" Target="styles.xml"/>'
    return {
        "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
        f"{related}{styles}</Relationships>",
        "xl/styles.xml": _STYLES,
        "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1"'
        f' Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>{typed}</Types>',
    }
