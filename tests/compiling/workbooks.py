"""Making and reading workbooks in tests, with openpyxl: another program than the one that writes them."""

import io
import zipfile
from collections.abc import Callable

import openpyxl

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.workbook import actions, jobs
from shuqiao.control.compiling.workbook.choices import read_choices
from shuqiao.control.compiling.workbook.columns import DATA_SHEETS
from shuqiao.control.compiling.workbook.export import Keyed, export_file, front_of, write_entries
from shuqiao.control.compiling.workbook.models import CatalogueImport, ImportFault
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.documents.spreadsheet import cell_name

PLACES = {
    (sheet.name, column.name): at for sheet in DATA_SHEETS for at, column in enumerate(sheet.columns, 1)
}


def workbook_of(viewer: Viewer, *entries: Keyed) -> bytes:
    """A workbook as the platform writes it, with these entries."""
    department = viewer.department.code
    out = io.BytesIO()
    write_entries(out, entries, read_choices(department, rules_for(department)), front_of(viewer))
    return out.getvalue()


def exported(viewer: Viewer) -> bytes:
    """The department's export."""
    return export_file(viewer)


def edited(content: bytes, edit: Callable[[openpyxl.Workbook], object]) -> bytes:
    """A workbook opened, changed and saved by another program."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    edit(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def at(sheet: str, name: str, row: int = 2) -> str:
    """The cell of a field in the template."""
    return cell_name(PLACES[sheet, name], row)


def with_part(content: bytes, name: str, data: bytes) -> bytes:
    """A workbook with one part of its archive added or replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for one in old.namelist():
            if one != name:
                new.writestr(one, old.read(one))
        new.writestr(name, data)
    return out.getvalue()


def part(content: bytes, name: str) -> bytes:
    """One part of a workbook's archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name)


def checked(viewer: Viewer, content: bytes, name: str = "目录.xlsx") -> CatalogueImport:
    """Upload a workbook and let the worker check it."""
    key = actions.upload(viewer, FileInput(name, content))
    jobs.work_on(key)
    return CatalogueImport.objects.get(pk=key)


def taken(viewer: Viewer, content: bytes) -> CatalogueImport:
    """Upload a faultless workbook and bring it into the drafts."""
    found = checked(viewer, content)
    assert faults(found) == {}
    actions.take_over(viewer, found.pk)
    jobs.work_on(found.pk)
    return CatalogueImport.objects.get(pk=found.pk)


def faults(found: CatalogueImport) -> dict[str, str]:
    """The code of each fault by its cell, such as 目录!B2; a fault of the file or a sheet has none."""
    return {_place(one): one.code for one in ImportFault.objects.filter(source=found)}


def _place(fault: ImportFault) -> str:
    return f"{fault.sheet}!{cell_name(fault.column, fault.row)}" if fault.row else fault.sheet
