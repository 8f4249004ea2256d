"""Workbooks as other programs write them: every kind of cell is told apart, whatever the file looks like."""

import io
import zipfile

import pytest

from shuqiao.control.documents.spreadsheet import (
    MAX_CELL_CHARS,
    Kind,
    Spreadsheet,
    WorkbookRefused,
    cell_name,
    column_number,
)

BOOK = """<x:workbook xmlns:x="http://purl.oclc.org/ooxml/spreadsheetml/main"
 xmlns:r="http://purl.oclc.org/ooxml/officeDocument/relationships"><x:workbookPr date1904="{since_1904}"/>
<x:sheets><x:sheet name="甲" sheetId="1" r:id="rId1"/></x:sheets></x:workbook>"""
RELATIONS = """<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="t" Target="/xl/worksheets/one.xml"/>
<Relationship Id="rId2" Type="t" Target="http://127.0.0.1/" TargetMode="External"/></Relationships>"""
STYLES = """<styleSheet><numFmts><numFmt numFmtId="164" formatCode='yyyy"年"m"月"d"日"'/>
<numFmt numFmtId="165" formatCode='0.00"日"'/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>
<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/>
<xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>"""
STRINGS = """<sst><si><t>一</t></si><si><r><t xml:space="preserve"> 二</t></r><r><t>三</t></r>
<rPh sb="0" eb="1"><t>èr</t></rPh></si><si><t/></si><si><t>_x000D_x_x005F_x0041_</t></si></sst>"""


def workbook(rows: str, *, since_1904: int = 0, after: str = "") -> Spreadsheet:
    """A workbook with one sheet, written by hand in the strict edition of the standard, with prefixes."""
    parts = {
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.xml": BOOK.format(since_1904=since_1904),
        "xl/_rels/workbook.xml.rels": RELATIONS,
        "xl/styles.xml": STYLES,
        "xl/sharedStrings.xml": STRINGS,
        "xl/worksheets/one.xml": f"<x:worksheet><x:sheetData>{rows}</x:sheetData>{after}</x:worksheet>",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return Spreadsheet(out)


def cells(rows: str, **more: int) -> list[tuple[str, Kind]]:
    """The cells of the first row."""
    with workbook(f"<x:row r='1'>{rows}</x:row>", **more) as book:
        [row] = book.rows("甲")
        return [tuple(cell) for _, cell in sorted(row.cells.items())]


@pytest.mark.parametrize(
    ("xml", "text", "kind"),
    [
        ("<x:c r='A1' t='s'><x:v>0</x:v></x:c>", "一", Kind.TEXT),
        ("<x:c r='A1' t='s'><x:v>1</x:v></x:c>", " 二三", Kind.TEXT),
        ("<x:c r='A1' t='s'><x:v>3</x:v></x:c>", "\rx_x0041_", Kind.TEXT),
        ("<x:c r='A1' t='inlineStr'><x:is><x:t>甲&amp;乙</x:t></x:is></x:c>", "甲&乙", Kind.TEXT),
        ("<x:c r='A1'><x:v>1.0E+3</x:v></x:c>", "1000", Kind.NUMBER),
        ("<x:c r='A1'><x:v>1.5</x:v></x:c>", "1.5", Kind.NUMBER),
        ("<x:c r='A1' s='3'><x:v>46387</x:v></x:c>", "46387", Kind.NUMBER),
        ("<x:c r='A1' s='1'><x:v>46387</x:v></x:c>", "2026-12-31", Kind.DATE),
        ("<x:c r='A1' s='2'><x:v>46387.5</x:v></x:c>", "2026-12-31T12:00:00", Kind.DATE),
        ("<x:c r='A1' t='d'><x:v>2026-12-31</x:v></x:c>", "2026-12-31", Kind.DATE),
        ("<x:c r='A1' t='b'><x:v>1</x:v></x:c>", "1", Kind.BOOLEAN),
        ("<x:c r='A1' t='e'><x:v>#REF!</x:v></x:c>", "#REF!", Kind.ERROR),
        ("<x:c r='A1' t='str'><x:f>1+1</x:f><x:v>2</x:v></x:c>", "2", Kind.FORMULA),
        ("<x:c r='A1'><x:f t='shared' si='0'/></x:c>", "", Kind.FORMULA),
    ],
)
def test_kinds_of_cells(xml, text, kind):
    assert cells(xml) == [(text, kind)]


def test_days_counted_from_1904():
    assert cells("<x:c r='A1' s='1'><x:v>44925</x:v></x:c>", since_1904=1) == [("2026-12-31", Kind.DATE)]


def test_empty_cells_are_left_out_and_places_without_names_counted():
    first = "<x:row><x:c/><x:c t='s'><x:v>2</x:v></x:c><x:c><x:v>7</x:v></x:c></x:row>"
    rows = f"{first}<x:row r='9'><x:c><x:v>1</x:v></x:c></x:row>"
    with workbook(rows) as book:
        assert [(row.number, list(row.cells)) for row in book.rows("甲")] == [(1, [3]), (9, [1])]


def test_merged_cells_are_known_at_the_end():
    merged = "<x:mergeCells><x:mergeCell ref='B2:C4'/></x:mergeCells>"
    with workbook("<x:row r='1'><x:c r='A1'><x:v>1</x:v></x:c></x:row>", after=merged) as book:
        list(book.rows("甲"))
        assert book.merged("甲") == ("B2:C4",)
        assert book.share_read("甲") == 1.0


def test_a_text_is_kept_to_one_character_past_its_limit():
    [(text, _)] = cells(f"<x:c r='A1' t='inlineStr'><x:is><x:t>{'长' * 100_000}</x:t></x:is></x:c>")
    assert len(text) == MAX_CELL_CHARS + 1


@pytest.mark.parametrize(
    "rows",
    [
        "<x:row r='1'><x:c r='A2'><x:v>1</x:v></x:c></x:row>",
        "<x:row r='1'><x:c r='B1'><x:v>1</x:v></x:c><x:c r='A1'><x:v>1</x:v></x:c></x:row>",
        "<x:row r='1'><x:c r='a1'><x:v>1</x:v></x:c></x:row>",
        "<x:row r='1'><x:c r='A1' t='s'><x:v>99</x:v></x:c></x:row>",
        "<x:row r='1'><x:c r='A1'><x:v>one</x:v></x:c></x:row>",
        "<x:row r='1'><x:c r='A1'><x:v>1</x:c></x:row>",
        "<x:row r='99999999'><x:c r='A99999999'><x:v>1</x:v></x:c></x:row>",
    ],
)
def test_what_contradicts_the_standard_is_refused(rows):
    with workbook(rows) as book, pytest.raises(WorkbookRefused) as refused:
        list(book.rows("甲"))
    assert refused.value.code == "workbook_malformed"


@pytest.mark.parametrize(
    ("column", "letters"), [(1, "A"), (26, "Z"), (27, "AA"), (702, "ZZ"), (16384, "XFD")]
)
def test_names_of_columns(column, letters):
    assert cell_name(column, 7) == f"{letters}7"
    assert column_number(letters) == column
