"""Reading a filled-in workbook into entries, row by row; what is wrong is said at its cell.

Items and codes are read first and set aside in a temporary file, so that the sheets may be in any order and
memory does not grow with the rows.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec

from shuqiao.control.compiling.workbook.cells import CHOSEN, BadCell, Value, empty_value, read_cell
from shuqiao.control.compiling.workbook.choices import Choices
from shuqiao.control.compiling.workbook.columns import (
    CODES,
    DATA_SHEETS,
    ENTRIES,
    ITEMS,
    KEY,
    OTHER_SHEETS,
    Column,
    Sheet,
)
from shuqiao.control.compiling.workbook.faults import CellFault, FaultList, Place
from shuqiao.control.compiling.workbook.spill import Spill
from shuqiao.control.documents.spreadsheet import Row, Spreadsheet, column_number
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.entry_faults import EntryFault

MAX_KEY_CHARS = 40
_ITEM_PATH = re.compile(r"items\[(\d+)\](?:\.(\w+))?", re.ASCII)
_RANGE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})(?::.*)?", re.ASCII)
# How much of the work each sheet is, in percent: entries are checked as they are read.
_SHARES = {CODES.name: 5, ITEMS.name: 25, ENTRIES.name: 70}

_REQUIRED = Text("必填", "It must be filled in")
_FIRST_COLUMN = Place(KEY, 1)

Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """An entry as its rows say it: its row, its key, and where its items and their codes were found."""

    row: int
    key: str
    entry: Entry
    item_rows: tuple[int, ...]
    code_rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Filled:
    """One row with the values of its cells; a cell that can't be read has its empty value."""

    row: int
    values: dict[str, Value]

    def text(self, name: str) -> str:
        """A text of the row."""
        return cast(str, self.values[name])


class WorkbookReading:
    """Reads one workbook; what is wrong goes to `faults`, progress to `tick(rows, percent)`.

    It knows forms of cells and how the sheets belong together; what an entry must say is checked elsewhere.
    """

    def __init__(self, book: Spreadsheet, choices: Choices, faults: FaultList, tick: Tick) -> None:
        """Begin with nothing read."""
        self._book = book
        self._choices = choices
        self._faults = faults
        self._tick = tick
        self._headings: dict[str, Mapping[int, Column]] = {}
        self._places: dict[str, Mapping[str, Place]] = {}
        self._blanks = {
            sheet.name: {column.name: empty_value(column) for column in sheet.columns}
            for sheet in DATA_SHEETS
        }
        self._rows_read = 0
        self._items = Spill()
        self._codes = Spill()

    def close(self) -> None:
        """Give the temporary files back."""
        self._items.close()
        self._codes.close()

    def entries(self) -> Iterator[SheetEntry]:
        """The entries in the order of their rows; at the end also what belongs to none is said."""
        if not self._sheets_fit() or not self._headings_fit():
            return
        self._set_aside_codes()
        self._set_aside_items()
        rows: dict[str, int] = {}
        for filled in self._rows(ENTRIES):
            key = self._entry_key(filled, rows)
            rows.setdefault(key or f"\n{filled.row}", filled.row)
            yield self._entry(filled, key)
        if not rows:
            zh = "“目录”工作表中没有条目：请填写后上传"
            self._faults.of_file(
                "no_entries", Text(zh, "There is no entry on the sheet of entries"), ENTRIES.name
            )
        self._say_left_over()

    def say(self, at: SheetEntry, fault: EntryFault) -> None:
        """Say a fault of an entry at the cell it comes from."""
        sheet, row, place = self._cell_of(at, fault.path)
        said = Text(fault.zh, fault.en)
        self._faults.add(
            CellFault(sheet.name, row, place.column, place.name, fault.code, said, fault.article)
        )

    def _cell_of(self, at: SheetEntry, path: str) -> tuple[Sheet, int, Place]:
        found = _ITEM_PATH.fullmatch(path)
        if found is None:
            return ENTRIES, at.row, self._places[ENTRIES.name].get(path, self._key_place(ENTRIES))
        number, name = int(found[1]), found[2] or "field"
        item = at.entry.items[number]
        if name == "codes" and item.field in at.code_rows:
            return CODES, at.code_rows[item.field], self._places[CODES.name]["value"]
        places = self._places[ITEMS.name]
        return ITEMS, at.item_rows[number], places.get(name, places["field"])

    def _key_place(self, sheet: Sheet) -> Place:
        return self._places.get(sheet.name, {}).get(KEY, _FIRST_COLUMN)

    def _sheets_fit(self) -> bool:
        there = set(self._book.sheets)
        wanted = {sheet.name for sheet in DATA_SHEETS}
        for name in sorted(wanted - there):
            zh = f"缺少工作表“{name}”：请恢复模板的工作表名称"
            en = f"The sheet {name} is missing: name the sheets as in the template"
            self._faults.of_file("sheet_missing", Text(zh, en), name)
        for name in sorted(there - wanted - OTHER_SHEETS):
            zh = f"“{name[:31]}”不是模板的工作表：请删除，或把内容移到模板的工作表中"
            en = f"{name[:31]} is no sheet of the template: delete it, or move its content"
            self._faults.of_file("sheet_unknown", Text(zh, en), name)
        return not self._faults.count

    def _headings_fit(self) -> bool:
        for sheet in DATA_SHEETS:
            first = next(self._book.rows(sheet.name), Row(1, {}))
            self._read_heading(sheet, first)
        return not self._faults.count

    def _read_heading(self, sheet: Sheet, first: Row) -> None:
        known = {said.casefold(): column for column in sheet.columns for said in _names(column)}
        found: dict[int, Column] = {}
        for at, cell in first.cells.items():
            column = known.get(cell.text.strip().casefold())
            if column is not None and column not in found.values():
                found[at] = column
            elif cell.text.strip():
                zh = "不是模板的列，或列名重复：请删除此列"
                en = "It is no column of the template, or it is there twice: delete this column"
                self._faults.at(sheet, first.number, Place("", at), "column_unknown", Text(zh, en))
        for column in sheet.columns:
            if column not in found.values():
                zh = f"缺少“{column.label.zh}”列：请恢复模板的列名"
                en = f"The column {column.label.en} ({column.label.zh}) is missing: put it back"
                self._faults.of_file("column_missing", Text(zh, en), sheet.name)
        self._headings[sheet.name] = found
        self._places[sheet.name] = {column.name: Place(column.name, at) for at, column in found.items()}

    def _rows(self, sheet: Sheet) -> Iterator[_Filled]:
        """The rows below the heading that hold anything, with their values."""
        heading, places = self._headings[sheet.name], self._places[sheet.name]
        rows = self._book.rows(sheet.name)
        next(rows, None)
        for row in rows:
            if not any(cell.text.strip() for cell in row.cells.values()):
                continue
            if row.number > sheet.max_rows + 1:
                zh = f"最多 {sheet.max_rows} 行：请删除空行，或分成几个工作簿上传"
                en = f"At most {sheet.max_rows} rows: delete empty ones, or upload it in parts"
                self._faults.at(sheet, row.number, self._key_place(sheet), "too_many_rows", Text(zh, en))
                break
            self._rows_read += 1
            self._tick(self._rows_read, self._percent())
            yield _Filled(row.number, self._values(sheet, row, heading))
            for at in row.cells.keys() - heading.keys():
                if row.cells[at].text.strip():
                    zh, en = "此列没有列名：请删除", "The column has no heading: delete it"
                    self._faults.at(sheet, row.number, Place("", at), "column_unknown", Text(zh, en))
        self._say_merged(sheet, places)

    def _values(self, sheet: Sheet, row: Row, heading: Mapping[int, Column]) -> dict[str, Value]:
        found = dict(self._blanks[sheet.name])
        for at, column in heading.items():
            cell = row.cells.get(at)
            if cell is None and column.name not in CHOSEN:
                continue
            value = read_cell(column, cell, self._choices)
            if isinstance(value, BadCell):
                self._faults.at(sheet, row.number, Place(column.name, at), value.code, value.said)
            else:
                found[column.name] = value
        return found

    def _percent(self) -> int:
        return int(sum(share * self._book.share_read(name) for name, share in _SHARES.items()))

    def _say_merged(self, sheet: Sheet, places: Mapping[str, Place]) -> None:
        names = {place.column: place.name for place in places.values()}
        for merged in self._book.merged(sheet.name):
            found = _RANGE.fullmatch(merged)
            if found is not None:
                column = column_number(found[1])
                zh = f"不接受合并单元格（{merged}）：请取消合并，每格分别填写"
                en = f"No merged cells ({merged}): split them and fill in each"
                place = Place(names.get(column, ""), column)
                self._faults.at(sheet, int(found[2]), place, "cells_merged", Text(zh, en))

    def _set_aside_codes(self) -> None:
        for filled in self._rows(CODES):
            payload = (filled.row, filled.text("field"), filled.text("value"), filled.text("meaning"))
            key = self._row_key(CODES, filled)
            if key:
                self._codes.add(key, msgspec.msgpack.encode(payload))

    def _set_aside_items(self) -> None:
        for filled in self._rows(ITEMS):
            key = self._row_key(ITEMS, filled)
            if key:
                values: dict[str, Any] = {name: value for name, value in filled.values.items() if name != KEY}
                self._items.add(key, msgspec.msgpack.encode((filled.row, EntryItem(**values))))

    def _row_key(self, sheet: Sheet, filled: _Filled) -> str:
        key = filled.text(KEY)
        if not key:
            self._faults.at(sheet, filled.row, self._key_place(sheet), "field_required", _REQUIRED)
        return key[: MAX_KEY_CHARS + 1]

    def _entry_key(self, filled: _Filled, rows: Mapping[str, int]) -> str:
        key = self._row_key(ENTRIES, filled)
        if key in rows:
            zh = f"编号与第 {rows[key]} 行重复：每个条目一个编号"
            en = f"Row {rows[key]} has this key already: one key for each entry"
            self._faults.at(ENTRIES, filled.row, self._key_place(ENTRIES), "key_twice", Text(zh, en))
        elif len(key) > MAX_KEY_CHARS:
            zh, en = f"编号最多 {MAX_KEY_CHARS} 个字符", f"A key has at most {MAX_KEY_CHARS} characters"
            self._faults.at(ENTRIES, filled.row, self._key_place(ENTRIES), "key_malformed", Text(zh, en))
        return key

    def _entry(self, filled: _Filled, key: str) -> SheetEntry:
        items, item_rows, code_rows = [], [], {}
        codes = self._codes_of(key)
        for payload in self._items.take(key):
            row, item = msgspec.msgpack.decode(payload, type=tuple[int, EntryItem])
            own = codes.pop(item.field, [])
            if own:
                code_rows[item.field] = _row_to_blame(own)
                item = replace(item, codes=tuple((value, meaning) for _, value, meaning in own))
            items.append(item)
            item_rows.append(row)
        for own in codes.values():
            self._say_no_item(own[0][0])
        values: dict[str, Any] = {name: value for name, value in filled.values.items() if name != KEY}
        return SheetEntry(filled.row, key, Entry(**values, items=tuple(items)), tuple(item_rows), code_rows)

    def _codes_of(self, key: str) -> dict[str, list[tuple[int, str, str]]]:
        found: dict[str, list[tuple[int, str, str]]] = {}
        for payload in self._codes.take(key):
            row, field, value, meaning = msgspec.msgpack.decode(payload, type=tuple[int, str, str, str])
            found.setdefault(field, []).append((row, value, meaning))
        return found

    def _say_no_item(self, row: int) -> None:
        zh, en = "该条目没有这个信息项：请改正英文字段", "The entry has no such item: mend the field"
        self._faults.at(CODES, row, self._places[CODES.name]["field"], "item_unknown", Text(zh, en))

    def _say_left_over(self) -> None:
        zh, en = (
            "“目录”中没有这个编号：请改正编号或补上条目",
            "No entry has this key: mend it, or add the entry",
        )
        for sheet, spill in ((ITEMS, self._items), (CODES, self._codes)):
            for _, payload in spill.left():
                row = msgspec.msgpack.decode(payload)[0]
                self._faults.at(sheet, row, self._key_place(sheet), "key_unknown", Text(zh, en))


def _row_to_blame(codes: Sequence[tuple[int, str, str]]) -> int:
    """The first row whose code is empty or there already; where all are sound, the first."""
    seen: set[str] = set()
    for row, value, _ in codes:
        if not value or value in seen:
            return row
        seen.add(value)
    return codes[0][0]


def _names(column: Column) -> tuple[str, str]:
    return (column.label.zh, column.label.en)
