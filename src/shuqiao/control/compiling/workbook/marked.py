"""The workbook as it was uploaded, with every fault marked at its cell and listed, to be mended."""

from collections.abc import Iterator
from datetime import date
from io import BytesIO

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.workbook.access import visible
from shuqiao.control.compiling.workbook.choices import read_choices
from shuqiao.control.compiling.workbook.columns import DATA_SHEETS, Column, Form, Sheet
from shuqiao.control.compiling.workbook.export import front_of
from shuqiao.control.compiling.workbook.models import ImportFault, ImportState
from shuqiao.control.compiling.workbook.template import Mark, Values, WorkbookWriter
from shuqiao.control.documents.spreadsheet import MAX_CELL_CHARS, Cell, Kind, Row, Spreadsheet
from shuqiao.control.texts import Text


def marked_file(viewer: Viewer, key: int) -> bytes:
    """Write a checked workbook that has faults once more, in the columns of the template, with its marks.

    Raises `NotFound` where there is none, or it can't be read at all.
    """
    found = visible(viewer).defer(None).filter(pk=key, state=ImportState.CHECKED, refused=False).first()
    if found is None or not found.fault_count:
        raise NotFound
    department = viewer.department.code
    marks = tuple(_mark(fault) for fault in ImportFault.objects.filter(source=found).iterator())
    out = BytesIO()
    choices = read_choices(department, rules_for(department))
    writer = WorkbookWriter(out, choices, front_of(viewer), marks)
    with Spreadsheet(BytesIO(found.content or b"")) as book:
        for sheet in DATA_SHEETS:
            if sheet.name in book.sheets:
                for number, values in _rows(book, sheet):
                    writer.write(sheet, values, number)
    writer.finish()
    return out.getvalue()


def _mark(fault: ImportFault) -> Mark:
    """A mark in the columns of the template; what is not in one of them is only listed."""
    sheet = next((one for one in DATA_SHEETS if one.name == fault.sheet), None)
    has_place = sheet is not None and fault.row and fault.name
    column = sheet.place(fault.name) if sheet is not None and has_place else 0
    said = str(Text(fault.said_zh, fault.said_en))
    return Mark(fault.sheet, fault.row if column else 0, column, said)


def _rows(book: Spreadsheet, sheet: Sheet) -> Iterator[tuple[int, Values]]:
    """The rows below the heading in the order of the template, as they were filled in."""
    rows = book.rows(sheet.name)
    first = next(rows, Row(1, {}))
    names = {cell.text.strip().casefold(): at for at, cell in reversed(first.cells.items())}
    places = [
        names.get(one.label.zh.casefold()) or names.get(one.label.en.casefold()) for one in sheet.columns
    ]
    for row in rows:
        if row.number > sheet.max_rows + 1:
            return
        yield (
            row.number,
            [
                _value(column, row.cells.get(at) if at else None)
                for column, at in zip(sheet.columns, places, strict=True)
            ],
        )


def _value(column: Column, cell: Cell | None) -> str | int | date | None:
    """What was filled in; what a formula or an error showed is text now."""
    if cell is None:
        return None
    if column.form is Form.DATE and cell.kind is Kind.DATE and len(cell.text) == 10:
        return date.fromisoformat(cell.text)
    if column.form is Form.NUMBER and cell.kind is Kind.NUMBER and cell.text.isdigit():
        return int(cell.text)
    if cell.kind is Kind.BOOLEAN:
        return "是" if cell.text == "1" else "否"
    return cell.text[:MAX_CELL_CHARS]
