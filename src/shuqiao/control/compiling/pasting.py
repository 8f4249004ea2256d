"""Rows copied from a spreadsheet become items: columns by their heading, or in the usual order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pypinyin import Style, lazy_pinyin

from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.standards.queries import ElementIndex
from shuqiao.control.texts import Text
from shuqiao.rules.entries import EntryItem
from shuqiao.rules.entry_faults import MAX_ITEMS, RESERVED_FIELDS, plain_fault

USUAL_ORDER = ("zh", "field", "data_type", "length", "standard", "sensitivity", "note")
"""The columns of rows that have no heading."""

_HEADINGS = {
    "zh": ("中文名称", "信息项", "信息项名称", "数据项", "名称", "字段中文名", "中文名", "name"),
    "field": ("英文字段", "字段", "字段名", "字段英文名", "英文名", "field", "column"),
    "en": ("英文名称", "nameinenglish"),
    "data_type": ("类型", "数据类型", "字段类型", "type"),
    "length": ("长度", "数据长度", "字段长度", "length"),
    "standard": ("标准", "数据元标准", "数据元", "standard"),
    "code_list": ("代码表", "代码集", "字典", "codelist"),
    "sensitivity": ("敏感级", "敏感级别", "数据分级", "sensitivity"),
    "key": ("主键", "是否主键", "key"),
    "timestamp": ("时间戳", "timestamp"),
    "required": ("必填", "是否必填", "非空", "required"),
    "note": ("备注", "说明", "note"),
}
_COLUMN_OF = {heading: name for name, headings in _HEADINGS.items() for heading in headings}
_FLAGS = ("key", "timestamp", "required")
_YES = frozenset({"1", "是", "y", "yes", "√", "✓", "true", "主键"})
_NO = frozenset({"", "0", "否", "n", "no", "×", "false"})
_DATABASE_TYPES = {
    "C": ("char", "varchar", "varchar2", "nvarchar", "nchar", "string", "uuid"),
    "N": ("numeric", "decimal", "number"),
    "Y": ("money", "currency"),
    "D": ("date",),
    "T": ("datetime", "timestamp", "timestamptz", "time"),
    "L": ("bool", "boolean", "bit"),
    "M": ("text", "clob", "longtext", "memo"),
    "G": ("blob", "bytea", "binary", "varbinary", "image"),
    "B": ("double",),
    "I": ("int", "integer", "bigint", "smallint", "tinyint"),
    "F": ("float", "real"),
}
_TYPE = re.compile(r"\s*([^\s(（]+)[^(（]*(?:[(（]\s*(\d{1,7})[^)）]*[)）])?", re.ASCII)
_LIMITS = {"zh": 100, "en": 160, "note": 200, "standard": 200, "code_list": 200}
_HEADED = 2


@dataclass(frozen=True)
class Pasted:
    """Items read from pasted rows; `faults` name the line and what to change, and then nothing is read."""

    items: tuple[EntryItem, ...]
    faults: tuple[Text, ...]


def read_rows(text: str, before: Sequence[EntryItem], index: ElementIndex | None = None) -> Pasted:
    """Read rows parted by tabs, or by commas where there is no tab, after the items there are.

    A first line with at least two known headings says what the columns are. A field left out is made from
    the pinyin of the name. A standard left out is the one that name and type most likely mean; of it comes
    the sensitivity that is not given.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(before) + len(lines) > MAX_ITEMS + 1:
        return Pasted((), (Text(f"最多 {MAX_ITEMS} 个信息项", f"At most {MAX_ITEMS} items"),))
    cells = [(number, [cell.strip().strip('"') for cell in _cut(line)]) for number, line in lines]
    columns = _columns(cells[0][1]) if cells else None
    rows = cells[1:] if columns else cells
    taken = {item.field for item in before}
    items: list[EntryItem] = []
    faults: list[Text] = []
    for number, row in rows:
        cells_of = {k: v for k, v in zip(columns or USUAL_ORDER, row, strict=False) if v}
        item, wrong = _item(cells_of)
        faults += [Text(f"第 {number} 行：{one.zh}", f"Line {number}: {one.en}") for one in wrong]
        named = replace(item, field=item.field or _free(item.zh, taken))
        items.append(_with_standard(named, "sensitivity" in cells_of, index) if index else named)
        taken.add(items[-1].field)
    return Pasted(() if faults else tuple(items), tuple(faults[:20]))


def _with_standard(item: EntryItem, graded: bool, index: ElementIndex) -> EntryItem:
    key = item.standard or index.guess(item.zh, item.data_type) or ""
    content = index.elements.get(key)
    if content is None:
        return item
    grade = item.sensitivity if graded or content.sensitivity is None else content.sensitivity
    return replace(item, standard=key, sensitivity=grade, code_list=item.code_list or content.code_list)


def field_of(name: str) -> str:
    """Propose an ASCII field for a Chinese name: its pinyin."""
    syllables = lazy_pinyin(name, style=Style.NORMAL, errors=_plain_letters)
    plain = re.sub(r"[^a-z0-9_]", "", "_".join(syllables).lower())[:60].strip("_")
    plain = plain if plain[:1].isalpha() or not plain else f"f_{plain}"
    return f"{plain}_" if plain in RESERVED_FIELDS else plain


def _plain_letters(rest: str) -> str:
    return "_".join(re.findall(r"[A-Za-z0-9]+", rest))


def _free(name: str, taken: set[str]) -> str:
    proposed = field_of(name)
    if not proposed or proposed not in taken:
        return proposed
    return next(f"{proposed}_{n}" for n in range(2, MAX_ITEMS + 3) if f"{proposed}_{n}" not in taken)


def _cut(line: str) -> list[str]:
    return line.split("\t") if "\t" in line else re.split("[,，]", line)


def _columns(heading: list[str]) -> list[str] | None:
    """What the cells of a heading stand for, or None where it is none."""
    names = [_COLUMN_OF.get(re.sub(r"[\s*]", "", cell).lower(), "") for cell in heading]
    return names if sum(1 for name in names if name) >= _HEADED else None


def _item(cells: dict[str, str]) -> tuple[EntryItem, list[Text]]:
    found: dict[str, Any] = {"field": cells.get("field", "").lower()[:63], "zh": ""}
    wrong: list[Text] = []
    for name, limit in _LIMITS.items():
        fault = plain_fault(name, cells.get(name, ""), limit)
        if fault is None:
            found[name] = cells.get(name, "")
        else:
            wrong.append(Text(fault.zh, fault.en))
    if plain_fault("field", found["field"], 63):
        found["field"] = ""
    if not cells.get("zh"):
        wrong.append(Text("没有中文名称", "no name in Chinese"))
    _read_type(cells, found, wrong)
    _read_grade(cells.get("sensitivity", ""), found, wrong)
    for name in _FLAGS:
        given = cells.get(name, "").lower()
        if given not in _YES | _NO:
            wrong.append(Text(f"“{given[:20]}”须为是或否", f"“{given[:20]}” must be yes or no"))
        found[name] = given in _YES
    return EntryItem(**found), wrong


def _read_type(cells: dict[str, str], found: dict[str, Any], wrong: list[Text]) -> None:
    given, length = cells.get("data_type", ""), cells.get("length", "")
    match = _TYPE.match(given)
    if given:
        key = _type_key(match[1] if match else given)
        if key is None:
            wrong.append(Text(f"不认识类型“{given[:20]}”", f"unknown type “{given[:20]}”"))
        found["data_type"] = key or "C"
    if length and not (length.isascii() and length.isdigit() and len(length) < 8):
        wrong.append(Text(f"长度“{length[:20]}”须为数字", f"the length “{length[:20]}” must be a number"))
    elif length or (match and match[2]):
        found["length"] = int(length or (match[2] if match else ""))


def _type_key(given: str) -> str | None:
    words = vocabulary().data_types
    if given.upper() in words:
        return given.upper()
    for key, text in words.items():
        if given in (text.zh, text.zh.removesuffix("型")) or given.lower() in _DATABASE_TYPES.get(key, ()):
            return key
    # 字符型C, C 字符型: the letter stands beside its word.
    return next((key for key, text in words.items() if text.zh in given), None)


def _read_grade(given: str, found: dict[str, Any], wrong: list[Text]) -> None:
    if not given:
        return
    words = vocabulary().sensitivities
    key = next((key for key, text in words.items() if given in (key, text.zh)), None)
    if key is None:
        wrong.append(Text(f"不认识敏感级“{given[:20]}”", f"unknown sensitivity “{given[:20]}”"))
    else:
        found["sensitivity"] = int(key)
