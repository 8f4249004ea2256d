"""Writing a workbook: headings with help, drop-downs, the rows, and marks where something is wrong.

Everything a person wrote is written as text, so no cell of it is a formula. Memory does not grow with the
rows: they go out in order. The same writer makes the empty template, the export and the marked workbook.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.compiling.workbook.choices import Choices
from shuqiao.control.compiling.workbook.columns import (
    DATA_SHEETS,
    ENTRIES,
    FAULTS,
    HELP,
    KEY,
    OPTIONS,
    Column,
    Form,
    Sheet,
)
from shuqiao.control.documents.spreadsheet import column_letters

Value = str | int | date | None
Values = list[Value]
_FREE_ROWS = 1000
_MAX_COMMENT = 1000
_ALWAYS_DEMANDED = frozenset({KEY, "field", "zh", "data_type", "sensitivity", "value"})
_YES_NO = ("是", "否")


@dataclass(frozen=True)
class Mark:
    """A cell with something wrong: its place counted from 1 (row 0 is the file), what, and what to do."""

    sheet: str
    row: int
    column: int
    said: str


@dataclass(frozen=True)
class Front:
    """What a workbook says of itself: its title, under which rules, and which fields must be filled."""

    title: str
    rules: str
    demanded: frozenset[str]


@dataclass
class _Styles:
    """The formats of a workbook, made once each."""

    book: Workbook
    head: Format = field(init=False)
    demanded: Format = field(init=False)
    text: Format = field(init=False)
    day: Format = field(init=False)
    bad_text: Format = field(init=False)
    bad_day: Format = field(init=False)
    title: Format = field(init=False)
    wrapped: Format = field(init=False)

    def __post_init__(self) -> None:
        """Make them."""
        head = {"bold": True, "bg_color": "#E8EEF5", "border": 1, "valign": "vcenter", "text_wrap": True}
        bad = {"bg_color": "#FDE7E7", "font_color": "#9B1C1C", "border": 1, "border_color": "#C53030"}
        self.head = self.book.add_format(head)
        self.demanded = self.book.add_format({**head, "font_color": "#9B1C1C"})
        self.text = self.book.add_format({"num_format": "@", "valign": "top"})
        self.day = self.book.add_format({"num_format": "yyyy-mm-dd", "valign": "top"})
        self.bad_text = self.book.add_format({**bad, "num_format": "@", "valign": "top"})
        self.bad_day = self.book.add_format({**bad, "num_format": "yyyy-mm-dd", "valign": "top"})
        self.title = self.book.add_format({"bold": True, "font_size": 14})
        self.wrapped = self.book.add_format({"text_wrap": True, "valign": "top"})

    def of(self, column: Column, *, bad: bool) -> Format:
        """The format of a cell."""
        if column.form is Form.DATE:
            return self.bad_day if bad else self.day
        return self.bad_text if bad else self.text


class WorkbookWriter:
    """Writes one workbook to `out`: rows sheet by sheet or in turn, then `finish`."""

    def __init__(self, out: BinaryIO, choices: Choices, front: Front, marks: tuple[Mark, ...] = ()) -> None:
        """Make the sheets with their headings and lists."""
        self._book = xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_formulas": False})
        self._styles = _Styles(self._book)
        self._sheets = {sheet.name: self._book.add_worksheet(sheet.name) for sheet in DATA_SHEETS}
        self._rows = dict.fromkeys(self._sheets, 1)
        self._marks = {(mark.sheet, mark.row, mark.column): mark.said for mark in marks}
        for sheet in DATA_SHEETS:
            self._write_heading(sheet, front)
        _write_help(self._book.add_worksheet(HELP), front, self._styles)
        if marks:
            _write_faults(self._book.add_worksheet(FAULTS), marks, self._styles)
        self._ranges = _write_options(self._book.add_worksheet(OPTIONS), choices)

    def write(self, sheet: Sheet, values: Values, row: int = 0) -> None:
        """Write the next row of a sheet, or a later one by its number counted from 1."""
        at = row or self._rows[sheet.name] + 1
        self._rows[sheet.name] = at
        target = self._sheets[sheet.name]
        for place, (column, value) in enumerate(zip(sheet.columns, values, strict=True), 1):
            said = self._marks.get((sheet.name, at, place))
            style = self._styles.of(column, bad=said is not None)
            _write_cell(target, at - 1, place - 1, value, style, is_marked=said is not None)
            if said is not None:
                target.write_comment(at - 1, place - 1, said[:_MAX_COMMENT], {"x_scale": 2})

    def finish(self) -> None:
        """Write the drop-downs over the rows there are and some more, and end the file."""
        for sheet in DATA_SHEETS:
            last = min(self._rows[sheet.name] + _FREE_ROWS, sheet.max_rows)
            for at, column in enumerate(sheet.columns):
                rule = _validation(column, self._ranges)
                if rule is not None:
                    self._sheets[sheet.name].data_validation(1, at, last, at, rule)
        self._book.close()

    def _write_heading(self, sheet: Sheet, front: Front) -> None:
        target, styles = self._sheets[sheet.name], self._styles
        target.freeze_panes(1, 2)
        target.set_row(0, 32)
        for at, column in enumerate(sheet.columns):
            is_demanded = column.name in (front.demanded if sheet is ENTRIES else _ALWAYS_DEMANDED)
            target.write_string(0, at, column.label.zh, styles.demanded if is_demanded else styles.head)
            target.set_column(at, at, column.width, styles.of(column, bad=False))
            said = _comment(column, demanded=is_demanded)
            target.write_comment(0, at, said, {"x_scale": 2, "y_scale": 1.2})


def _write_cell(
    target: Worksheet, row: int, column: int, value: Value, style: Format, *, is_marked: bool
) -> None:
    if isinstance(value, date):
        target.write_datetime(row, column, value, style)
    elif isinstance(value, int):
        target.write_number(row, column, value, style)
    elif value:
        target.write_string(row, column, value, style)
    elif is_marked:
        target.write_blank(row, column, None, style)


def _comment(column: Column, *, demanded: bool) -> str:
    parts = ["必填 Required" if demanded else "", column.help.zh, column.label.en, column.help.en]
    return "\n".join(part for part in parts if part)


def _validation(column: Column, ranges: Mapping[str, str]) -> dict[str, object] | None:
    """The drop-down of a column; where several may stand in a cell it only helps and does not refuse."""
    if column.form in (Form.FLAG, Form.ANSWER):
        return {"validate": "list", "source": list(_YES_NO), "error_message": "请选择“是”或“否”"}
    if column.words not in ranges:
        return None
    rule: dict[str, object] = {"validate": "list", "source": ranges[column.words]}
    if column.form is Form.CHOICES:
        return {**rule, "show_error": False}
    return {**rule, "error_title": column.label.zh[:32], "error_message": "请从列表中选择"}


def _write_options(target: Worksheet, choices: Choices) -> dict[str, str]:
    """Write every list as a column of a hidden sheet; return where each stands."""
    lists = {name: [text.zh for text in words.values()] for name, words in choices.lists.items() if words}
    ranges = {}
    for at, (name, words) in enumerate(lists.items()):
        letters = column_letters(at + 1)
        ranges[name] = f"='{OPTIONS}'!${letters}$2:${letters}${len(words) + 1}"
    for row in range(max(map(len, lists.values())) + 1):
        for at, (name, words) in enumerate(lists.items()):
            if row == 0:
                target.write_string(0, at, name)
            elif row <= len(words):
                target.write_string(row, at, words[row - 1])
    target.hide()
    return ranges


def _write_help(target: Worksheet, front: Front, styles: _Styles) -> None:
    target.set_column(0, 0, 18)
    target.set_column(1, 1, 22)
    target.set_column(2, 3, 60)
    for row, values in enumerate(_help_lines(front)):
        for at, value in enumerate(values):
            if value:
                target.write_string(row, at, value, styles.title if row == 0 else styles.wrapped)


def _help_lines(front: Front) -> Iterator[tuple[str, ...]]:
    yield (front.title,)
    yield ("", front.rules)
    for number, said in enumerate(_STEPS, 1):
        yield (str(number), *said)
    for sheet in DATA_SHEETS:
        yield ()
        yield (sheet.name, "列", "填写说明", "Help")
        for column in sheet.columns:
            yield ("", column.label.zh, column.help.zh, f"{column.label.en}. {column.help.en}")
    yield ()
    yield ("信息资源分类", "类、项", "名称", "Name")
    words = vocabulary()
    for key, text in (*words.classes.items(), *words.subjects.items()):
        yield ("", key, text.zh, text.en)


_STEPS = (
    ("填写", "“目录”每行一个条目，“信息项”每行一项，“代码值”只写自定代码；编号把三张表连起来"),
    ("保留", "不要改动工作表名称和第一行的列名，不要合并单元格，不要使用公式、宏和外部链接"),
    ("上传", "保存为 .xlsx 后在“离线工作簿”页上传；有错误时逐格列出，可下载标注错误的工作簿修改后再传"),
    ("生效", "没有错误才可纳入草稿，要么全部、要么都不纳入；草稿仍须按程序提交和审核"),
)


def _write_faults(target: Worksheet, marks: Iterable[Mark], styles: _Styles) -> None:
    target.set_column(0, 1, 14)
    target.set_column(2, 2, 90)
    for at, head in enumerate(("工作表", "单元格", "问题和改法")):
        target.write_string(0, at, head, styles.head)
    for row, mark in enumerate(marks, 1):
        target.write_string(row, 0, mark.sheet)
        if mark.row and mark.column:
            name = f"{column_letters(mark.column)}{mark.row}"
            target.write_url(row, 1, f"internal:'{mark.sheet}'!{name}", string=name)
        target.write_string(row, 2, mark.said, styles.wrapped)
