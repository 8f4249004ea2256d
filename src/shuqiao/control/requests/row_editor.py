"""The small editor of row conditions: one line an item, an operator and its values as text."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shuqiao.control.catalogue.models import Item
from shuqiao.control.texts import Text
from shuqiao.rules.rows import Row

OPERATORS = (
    ("eq", Text("等于", "is")),
    ("in", Text("为其中之一", "is one of")),
    ("range", Text("在起止之间", "is between")),
    ("null", Text("没有值", "has no value")),
)
BLANK_LINES = 2
_BETWEEN = re.compile("[~～]")
_SEVERAL = re.compile("[,，、;；\n]")


@dataclass(frozen=True)
class RowLine:
    """One line of the editor, as it was typed."""

    field: str = ""
    op: str = "eq"
    text: str = ""


def lines_of(rows: Iterable[Row], items: Mapping[str, Item], *, blank: int = BLANK_LINES) -> list[RowLine]:
    """The lines that show conditions, and some empty ones for more."""
    lines = [RowLine(row.field, row.op, _written(row)) for row in rows if row.field in items]
    return lines + [RowLine()] * blank


def _written(row: Row) -> str:
    return "~".join(row.values) if row.op == "range" else "、".join(row.values)


def read_lines(lines: Iterable[RowLine], items: Mapping[str, Item]) -> tuple[Row, ...]:
    """The conditions that lines mean; a line without an item says nothing.

    What is wrong with one is told by the rules. A code may be written by its meaning, as people know it.
    """
    return tuple(_read(line, items.get(line.field)) for line in lines if line.field)


def _read(line: RowLine, item: Item | None) -> Row:
    split = {"range": _BETWEEN, "in": _SEVERAL}.get(line.op)
    text = line.text.strip()
    parts = split.split(text) if split is not None else ([text] if text else [])
    values = [part.strip() for part in parts]
    if line.op != "range":
        values = [value for value in values if value]
    meanings = {meaning: code for code, meaning in ((item.codes if item else None) or {}).items()}
    meant = [meanings.get(one, one) for one in values]
    return Row(line.field, line.op, tuple(meant) if line.op == "range" else tuple(dict.fromkeys(meant)))
