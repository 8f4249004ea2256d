"""The names of the fields of a form: from pasted words, a CSV file or a workbook, bounded and never run.

Only names are taken; cells with numbers, such as what somebody has filled in, are passed over and the file
itself is not kept.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO, StringIO

from shuqiao.control.accounts.access import Fault, FormRefused
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.documents.content import plain_name
from shuqiao.control.documents.spreadsheet import Spreadsheet, cell_name
from shuqiao.control.documents.spreadsheet_parts import Kind, WorkbookRefused
from shuqiao.control.onesource.models import MAX_NAME_CHARS
from shuqiao.control.texts import Text
from shuqiao.rules.datum_names import name_key
from shuqiao.rules.entry_faults import is_plain

MAX_BYTES = 5 * 1024 * 1024
MAX_FIELDS = 2000
MAX_CELLS = 200_000
MAX_LABEL_CHARS = 40
"""What is longer is an explanation, not the name of a field."""

_LIST_HEADS = frozenset(
    {"字段", "字段名", "字段名称", "数据项", "数据项名称", "项", "项名称", "项目", "项目名称", "名称", "指标",
     "指标名称", "填报项", "填报项目", "表单项", "采集项", "field", "fieldname", "item", "label"}
)  # fmt: skip
_NUMBERING = re.compile(
    r"^\s*(?:[*＊★]\s*)?(?:[(（]?[0-9一二三四五六七八九十]{1,3}[)）]?\s*[.、．)）]\s*)?[*＊★]?\s*"
)
_DIGITS = re.compile(r"[0-9０-９]{6,}")
_BETWEEN = re.compile(r"[\n\r\t,，、;；|]+")


@dataclass(frozen=True)
class Labels:
    """Names of fields in their order, each once, and where they come from: paste, csv or xlsx."""

    origin: str
    names: tuple[str, ...]


def labels_of_text(text: str, field: str = "text") -> Labels:
    """Take the names out of pasted words: one a line, or with commas between; faults name `field`."""
    if len(text) > MAX_BYTES:
        raise _refused(field, "too_long", f"不超过 {MAX_FIELDS} 个字段", f"At most {MAX_FIELDS} fields")
    if not is_plain(text.replace("\r", "\n")):
        raise _refused(field, "text_not_plain", "只能填写纯文本，不得含有标记", "Plain text only, no markup")
    return _labels("paste", _BETWEEN.split(text), field)


def labels_of_file(given: FileInput) -> Labels:
    """Take the names out of an XLSX or CSV file. Raises `FormRefused` at `file` with what to do."""
    if not 0 < len(given.content) <= MAX_BYTES:
        limit = MAX_BYTES // 1024 // 1024
        raise _refused(
            "file", "file_size", f"文件不得为空，且不超过 {limit} MB", f"Not empty and at most {limit} MB"
        )
    suffix = plain_name(given.name).lower().rpartition(".")[2]
    if suffix == "csv":
        return _labels("csv", _names_in(_csv_rows(given.content)), "file")
    if suffix == "xlsx":
        return _labels("xlsx", _names_in(_workbook_rows(given.content)), "file")
    raise _refused("file", "file_kind", "只接受 .xlsx 或 .csv 文件", "Only .xlsx or .csv files")


_Rows = list[dict[int, str]]


def _csv_rows(content: bytes) -> _Rows:
    text = _decoded(content)
    rows: _Rows = []
    try:
        for number, row in enumerate(csv.reader(StringIO(text, newline=""), strict=True), 1):
            for column, cell in enumerate(row, 1):
                if cell.lstrip().startswith("="):
                    raise _formula(cell_name(column, number))
            rows.append({column: cell for column, cell in enumerate(row, 1) if cell.strip()})
            _bounded(rows)
    except csv.Error as error:
        raise _refused("file", "csv_malformed", "CSV 格式有误，请重新导出", "Not a proper CSV") from error
    return [row for row in rows if row]


def _decoded(content: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise _refused("file", "csv_encoding", "请另存为 UTF-8 编码的 CSV", "Save the CSV as UTF-8")


def _workbook_rows(content: bytes) -> _Rows:
    rows: _Rows = []
    try:
        with Spreadsheet(BytesIO(content)) as book:
            for sheet in book.sheets:
                for row in book.rows(sheet):
                    for column, cell in row.cells.items():
                        if cell.kind is Kind.FORMULA:
                            raise _formula(f"{sheet}!{cell_name(column, row.number)}")
                    texts = {at: cell.text for at, cell in row.cells.items() if cell.kind is Kind.TEXT}
                    rows.append(texts)
                    _bounded(rows)
                if any(rows):
                    # One sheet is one form; the others are mostly its code tables.
                    break
    except WorkbookRefused as refused:
        raise FormRefused((Fault("file", refused.code, refused.said),)) from refused
    return [row for row in rows if row]


def _bounded(rows: _Rows) -> None:
    if len(rows) > MAX_CELLS // 10:
        raise _refused(
            "file", "too_many_rows", "行数过多，请只保留表单本身", "Too many rows: keep the form only"
        )


def _names_in(rows: _Rows) -> Iterable[str]:
    """A list of names below its heading, the heading of a table, or all names of a form."""
    for at, row in enumerate(rows[:20]):
        for column, cell in row.items():
            if len(row) > 1 and name_key(cell) in _LIST_HEADS and len(rows) > at + 1:
                return [below[column] for below in rows[at + 1 :] if column in below]
    if len({column for row in rows for column in row}) <= 1:
        return [cell for row in rows for cell in row.values() if name_key(cell) not in _LIST_HEADS]
    head = rows[0]
    below = rows[1:6]
    if len(head) >= 3 and below and all(len(row) * 2 >= len(head) for row in below):
        return list(head.values())
    return [cell for row in rows for _, cell in sorted(row.items())]


def _labels(origin: str, cells: Iterable[str], field: str) -> Labels:
    names: dict[str, str] = {}
    for cell in cells:
        name = _NUMBERING.sub("", cell, count=1).strip().rstrip(":：*＊ ")
        key = name_key(name)
        if not key or key.isdigit() or len(name) > MAX_LABEL_CHARS or _DIGITS.search(name):
            continue
        if not is_plain(name):
            raise _refused(
                field, "text_not_plain", "只能填写纯文本，不得含有标记", "Plain text only, no markup"
            )
        names.setdefault(key, name[:MAX_NAME_CHARS])
        if len(names) > MAX_FIELDS:
            raise _refused(
                field, "too_many_fields", f"不超过 {MAX_FIELDS} 个字段", f"At most {MAX_FIELDS} fields"
            )
    if not names:
        words = (
            "没有找到字段名称：每行写一个字段，或上传空白表单",
            "No names of fields: one a line, or an empty form",
        )
        raise _refused(field, "field_required", *words)
    return Labels(origin, tuple(names.values()))


def _formula(place: str) -> FormRefused:
    zh = f"{place} 是公式：请改为文字后再上传"
    return _refused("file", "formula_refused", zh, f"{place} is a formula: make it plain words first")


def _refused(field: str, code: str, zh: str, en: str) -> FormRefused:
    return FormRefused((Fault(field, code, Text(zh, en)),))
