"""Standards as tables to take away, CSV and XLSX; each names its national and provincial standard."""

import csv
from collections.abc import Iterator
from io import BytesIO, StringIO

import xlsxwriter

from shuqiao.control.standards.contents import Content, Kind, content_from
from shuqiao.control.standards.models import Standard

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

_HEAD = (
    "标识符",
    "中文名称",
    "英文名称",
    "数据类型",
    "长度",
    "格式",
    "代码表",
    "上位数据元",
    "表达式",
    "校验",
    "示例",
    "对应国家标准",
    "对应省级标准",
    "敏感等级",
    "同义词",
    "版本",
    "停用",
    "说明",
)
_CODES_HEAD = ("代码", "含义", "英文", "代码表", "代码表名称", "对应国家标准", "对应省级标准", "版本")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def kind_table(kind: Kind) -> Table:
    """Every standard of a kind, one a row."""
    rows = Standard.objects.filter(kind=kind.value).order_by("key")
    return _HEAD, [_line(row, content_from(row.content)) for row in rows]


def code_table(row: Standard) -> Table:
    """The codes of a list, one a row, each with the standard it follows."""
    content = content_from(row.content)
    tail = (row.key, row.zh, content.national, content.provincial, str(row.version))
    return _CODES_HEAD, [(code.value, code.zh, code.en, *tail) for code in content.codes]


def as_csv(table: Table) -> bytes:
    """Write CSV with a byte order mark, so that spreadsheets read the Chinese; formulas are made text."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(table[0])
    for row in table[1]:
        writer.writerow([_harmless(value) for value in row])
    return out.getvalue().encode("utf-8-sig")


def as_xlsx(table: Table, sheet: str) -> bytes:
    """Write a workbook of one sheet; every value is a text, so nothing is taken for a formula or a date."""
    out = BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False}) as book:
        page = book.add_worksheet(sheet[:31])
        bold, text = book.add_format({"bold": True}), book.add_format({"num_format": "@"})
        page.freeze_panes(1, 0)
        page.set_column(0, len(table[0]) - 1, 20, text)
        for at, row in enumerate(_all(table)):
            for column, value in enumerate(row):
                page.write_string(at, column, value, bold if at == 0 else text)
    return out.getvalue()


def _all(table: Table) -> Iterator[tuple[str, ...]]:
    yield table[0]
    yield from table[1]


def _harmless(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA) else value


def _line(row: Standard, content: Content) -> tuple[str, ...]:
    return (
        row.key,
        row.zh,
        row.en,
        content.data_type,
        "" if content.length is None else str(content.length),
        content.format,
        content.code_list,
        content.broader,
        content.pattern,
        content.check,
        content.example,
        content.national,
        content.provincial,
        "" if content.sensitivity is None else str(content.sensitivity),
        "、".join(content.synonyms),
        str(row.version),
        "是" if row.ended else "",
        content.note_zh,
    )
