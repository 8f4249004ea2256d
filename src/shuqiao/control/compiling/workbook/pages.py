"""What the pages show of uploaded workbooks."""

from dataclasses import dataclass
from datetime import datetime

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.compiling.workbook.access import access_import, visible
from shuqiao.control.compiling.workbook.columns import DATA_SHEETS, MAX_ENTRIES
from shuqiao.control.compiling.workbook.faults import MAX_FAULTS
from shuqiao.control.compiling.workbook.models import CatalogueImport, ImportFault, ImportState
from shuqiao.control.documents.models import MAX_BYTES
from shuqiao.control.documents.spreadsheet import cell_name
from shuqiao.control.texts import Text

LISTED = 20
FAULTS_A_PAGE = 50
_STATES = {
    ImportState.WAITING: (Text("正在核对", "Being checked"), "info", "hourglass"),
    ImportState.CHECKED: (Text("可以纳入", "Ready"), "ok", "circle-check"),
    ImportState.TAKING: (Text("正在纳入", "Being taken over"), "info", "hourglass"),
    ImportState.TAKEN: (Text("已纳入草稿", "In the drafts"), "ok", "circle-check"),
    ImportState.DISCARDED: (Text("已放弃", "Discarded"), "", "archive"),
}
_FAULTY = (Text("有错误", "Has faults"), "bad", "alert-circle")
_EMPTY = (Text("没有变化", "No changes"), "", "circle-check")
_HEADINGS = {(sheet.name, one.name): one.label for sheet in DATA_SHEETS for one in sheet.columns}


@dataclass(frozen=True)
class ImportRow:
    """One workbook in the list, and at the head of its page."""

    key: int
    name: str
    size_bytes: int
    who: str
    uploaded_at: datetime
    label: Text
    chip: str
    icon: str


@dataclass(frozen=True)
class FaultRow:
    """One fault: where it is, in the sheet's and in the form's words, and what to do."""

    sheet: str
    cell: str
    column: Text | None
    said: Text
    article: str


@dataclass(frozen=True)
class ImportPage:
    """A workbook with its progress or its result."""

    row: ImportRow
    works: bool
    percent: int
    read_rows: int
    new: int
    changed: int
    same: int
    fault_count: int
    faults: tuple[FaultRow, ...]
    page: int
    pages: int
    kept: int
    may_take: bool
    may_discard: bool
    has_marked: bool
    is_taken: bool
    checked_again: bool


@dataclass(frozen=True)
class UploadPage:
    """The way in: limits, and the department's latest workbooks."""

    rows: tuple[ImportRow, ...]
    max_mib: int = MAX_BYTES // 1024 // 1024
    max_entries: int = MAX_ENTRIES


def upload_page(viewer: Viewer) -> UploadPage:
    """The latest workbooks of the viewer's department."""
    found = visible(viewer).select_related("account").order_by("-pk")[:LISTED]
    return UploadPage(tuple(_row(one) for one in found))


def import_page(viewer: Viewer, key: int, page: int) -> ImportPage:
    """One workbook with a page of its faults."""
    found = access_import(viewer, key)
    is_checked = found.state == ImportState.CHECKED
    kept = min(found.fault_count, MAX_FAULTS)
    pages = max(1, -(-kept // FAULTS_A_PAGE))
    at = min(page, pages)
    first = (at - 1) * FAULTS_A_PAGE
    faults = ImportFault.objects.filter(source=found)[first : first + FAULTS_A_PAGE]
    changes = found.new_entries + found.changed_entries
    return ImportPage(
        row=_row(found),
        works=found.state in (ImportState.WAITING, ImportState.TAKING),
        percent=found.percent,
        read_rows=found.read_rows,
        new=found.new_entries,
        changed=found.changed_entries,
        same=found.same_entries,
        fault_count=found.fault_count,
        faults=tuple(_fault(one) for one in faults) if is_checked else (),
        page=at,
        pages=pages,
        kept=kept,
        may_take=is_checked and not found.fault_count and changes > 0,
        may_discard=found.state in (ImportState.WAITING, ImportState.CHECKED),
        has_marked=is_checked and found.fault_count > 0 and not found.refused,
        is_taken=found.state == ImportState.TAKEN,
        checked_again=is_checked and found.checked_again,
    )


def _row(found: CatalogueImport) -> ImportRow:
    label, chip, icon = _STATES[ImportState(found.state)]
    if found.state == ImportState.CHECKED and found.fault_count:
        label, chip, icon = _FAULTY
    elif found.state == ImportState.CHECKED and not found.new_entries + found.changed_entries:
        label, chip, icon = _EMPTY
    return ImportRow(
        found.pk,
        found.file_name,
        found.size_bytes,
        found.account.display_name,
        found.uploaded_at,
        label,
        chip,
        icon,
    )


def _fault(fault: ImportFault) -> FaultRow:
    cell = cell_name(fault.column, fault.row) if fault.row and fault.column else ""
    heading = _HEADINGS.get((fault.sheet, fault.name))
    return FaultRow(fault.sheet, cell, heading, Text(fault.said_zh, fault.said_en), fault.article)
