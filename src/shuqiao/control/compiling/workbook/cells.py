"""Between cells and values: how each form of column is read and written, and what is said of a bad cell."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from shuqiao.control.compiling.workbook.choices import Choices
from shuqiao.control.compiling.workbook.columns import MAX_VALUES, SEPARATORS, Column, Form
from shuqiao.control.documents.spreadsheet import Cell, Kind
from shuqiao.control.texts import Text
from shuqiao.rules.entry_faults import is_plain

MAX_DIGITS = 15
"""A spreadsheet keeps no more digits of a number; what is longer has lost its end already."""
_DAY = re.compile(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?:[T ]00:00(?::00)?)?", re.ASCII)
_YES = frozenset({"是", "yes", "y", "true", "1", "√", "✓"})
_NO = frozenset({"否", "no", "n", "false", "0", "×"})
_NUMBERED = frozenset({"duty", "sensitivity"})
CHOSEN = frozenset({"data_type", "sensitivity"})
"""What an item must say in so many words: an empty cell is no choice."""
_PLAIN_KIND = "plain"


@dataclass(frozen=True, slots=True)
class BadCell:
    """What is wrong with one cell: a stable code, and what to do."""

    code: str
    said: Text


_FORMULA = BadCell(
    "cell_is_formula",
    Text("不接受公式：请复制后“选择性粘贴—数值”", "No formulas: copy it and paste its value"),
)
_ERROR = BadCell("cell_is_error", Text("单元格是错误值，请填写内容", "The cell is an error: fill it in"))
_DATE_AS_TEXT = BadCell(
    "cell_is_date",
    Text(
        "单元格是日期：请把格式设为“文本”后重填", "The cell is a date: format it as text and fill it in again"
    ),
)
_NOT_PLAIN = BadCell(
    "text_not_plain",
    Text("只能填写纯文本，不得含有标记或控制字符", "Plain text only: no markup, no control characters"),
)
_LONG_NUMBER = BadCell(
    "cell_lost_digits",
    Text(
        "数字超过 15 位或带小数，可能已失真：请把格式设为“文本”后重填",
        "The number has a fraction or more than 15 digits: format the cell as text and fill it in again",
    ),
)
_NOT_LISTED = BadCell(
    "value_unknown",
    Text("不是可选的值，请从列表中选择", "It is not one of the values to choose from"),
)
_EMPTY_CHOICE = BadCell("field_required", Text("必填，请从列表中选择", "Choose one of the list"))
_NO_ANSWER = BadCell("answer_unknown", Text("请填“是”或“否”", "Yes or no"))
_NO_NUMBER = BadCell("number_malformed", Text("请填整数", "A whole number"))
_NO_DAY = BadCell("date_malformed", Text("请填日期，例如 2027-12-31", "A day such as 2027-12-31"))
_TWICE = BadCell("value_twice", Text("同一个值填了两次", "A value is there twice"))
_TOO_MANY = BadCell("too_many", Text(f"最多 {MAX_VALUES} 个", f"At most {MAX_VALUES}"))

_NO_VALUES = {Kind.FORMULA: _FORMULA, Kind.ERROR: _ERROR}

Value = str | int | bool | date | tuple[str, ...] | None


def empty_value(column: Column) -> Value:
    """The value of an empty cell, where it may be empty."""
    match column.form:
        case Form.CHOICES | Form.KEYS:
            return ()
        case Form.FLAG:
            return False
        case Form.ANSWER | Form.NUMBER | Form.DATE:
            return None
        case _:
            if column.name == "kind":
                return _PLAIN_KIND
            return None if column.name == "duty" else 0 if column.name == "sensitivity" else ""


def read_cell(column: Column, cell: Cell | None, choices: Choices) -> Value | BadCell:
    """The value of a cell, or what is wrong with it."""
    if cell is None or (cell.kind is Kind.TEXT and not cell.text.strip()):
        return _EMPTY_CHOICE if column.name in CHOSEN else empty_value(column)
    if cell.kind in _NO_VALUES:
        return _NO_VALUES[cell.kind]
    match column.form:
        case Form.FLAG | Form.ANSWER:
            return _answer(cell.text)
        case Form.DATE:
            return _day(cell)
        case Form.NUMBER:
            return _number(cell)
    said = _text(cell)
    if isinstance(said, BadCell):
        return said
    match column.form:
        case Form.CHOICE:
            return _choice(column, said, choices)
        case Form.CHOICES:
            return _listed([_key(column, one, choices) for one in _parts(column, said, choices)])
        case Form.KEYS:
            return _listed([one for one in re.split(rf"[\s{SEPARATORS}]+", said) if one])
        case _:
            return said


def shown(column: Column, value: Value, choices: Choices) -> str | int | date | None:
    """What a cell of this column says for a value; None leaves it empty."""
    if value is None or value == "" or value == ():
        return None
    match column.form:
        case Form.FLAG:
            return "是" if value else None
        case Form.ANSWER:
            return "是" if value else "否"
        case Form.CHOICE:
            return choices.shown(column.words, str(value))
        case Form.CHOICES:
            return "；".join(choices.shown(column.words, one) for one in _texts(value))
        case Form.KEYS:
            return "；".join(_texts(value))
        case _:
            return value if isinstance(value, str | int | date) else str(value)


def _texts(value: Value) -> Iterable[str]:
    return value if isinstance(value, tuple) else ()


def _text(cell: Cell) -> str | BadCell:
    if cell.kind is Kind.DATE:
        return _DATE_AS_TEXT
    if cell.kind is Kind.NUMBER and (not cell.text.isdigit() or len(cell.text) > MAX_DIGITS):
        return _LONG_NUMBER
    if cell.kind is Kind.BOOLEAN:
        return "是" if cell.text == "1" else "否"
    said = cell.text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return said if is_plain(said) else _NOT_PLAIN


def _answer(said: str) -> bool | BadCell:
    found = said.strip().casefold()
    return True if found in _YES else False if found in _NO else _NO_ANSWER


def _number(cell: Cell) -> int | BadCell:
    said = cell.text.strip().replace(",", "").replace("，", "")
    is_number = cell.kind is not Kind.DATE and said.isascii() and said.isdigit() and len(said) <= MAX_DIGITS
    return int(said) if is_number else _NO_NUMBER


def _day(cell: Cell) -> date | BadCell:
    found = _DAY.fullmatch(cell.text.strip())
    if found is None:
        return _NO_DAY
    try:
        return date(*map(int, found.groups()))
    except ValueError:
        return _NO_DAY


def _choice(column: Column, said: str, choices: Choices) -> str | int | BadCell:
    key = _key(column, said, choices)
    return int(key) if isinstance(key, str) and column.name in _NUMBERED else key


def _key(column: Column, said: str, choices: Choices) -> str | BadCell:
    return choices.key(column.words, said) or _NOT_LISTED


def _parts(column: Column, said: str, choices: Choices) -> list[str]:
    """Several values of one cell; a comma parts them only where it is not within a word of the list."""
    found: list[str] = []
    for part in re.split(r"[；;\n]", said):
        if choices.key(column.words, part) is not None:
            found.append(part)
        else:
            found += re.split(f"[{SEPARATORS}]", part)
    return [part for part in found if part.strip()]


def _listed(values: Sequence[str | BadCell]) -> tuple[str, ...] | BadCell:
    keys = tuple(one for one in values if isinstance(one, str))
    if len(keys) < len(values):
        return _NOT_LISTED
    if len(keys) > MAX_VALUES:
        return _TOO_MANY
    return keys if len(set(keys)) == len(keys) else _TWICE
