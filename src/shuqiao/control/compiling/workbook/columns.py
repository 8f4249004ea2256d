"""The columns of the workbook: one table that template, export, import, help and error list share.

Names and help of the fields are those of the wizard (`compiling.fields`), so that both ways say the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shuqiao.control.compiling.fields import FIELDS, ITEM_FIELDS, OTHER_FIELDS
from shuqiao.control.texts import Text
from shuqiao.rules.entry_faults import MAX_LISTED

MAX_ENTRIES = 10_000
MAX_ITEM_ROWS = 200_000
MAX_CODE_ROWS = 200_000

KEY = "entry_key"
"""The column that ties the rows of the three sheets together."""

OPTIONS, HELP, FAULTS = "选项", "说明", "错误"


class Form(StrEnum):
    """How a cell is written and read."""

    TEXT = "text"
    CHOICE = "choice"
    CHOICES = "choices"
    KEYS = "keys"
    FLAG = "flag"
    ANSWER = "answer"
    NUMBER = "number"
    DATE = "date"


@dataclass(frozen=True)
class Column:
    """One column: the field it holds, its heading and help, its form, and which words may be chosen.

    A FLAG is yes or empty, an ANSWER is yes, no or not yet said.
    """

    name: str
    label: Text
    help: Text
    form: Form = Form.TEXT
    words: str = ""
    width: int = 16


@dataclass(frozen=True)
class Sheet:
    """A sheet that holds data: its name, its columns in order, and how many rows it may have."""

    name: str
    columns: tuple[Column, ...]
    max_rows: int

    def place(self, name: str) -> int:
        """Where a column stands in the template, counted from 1."""
        return next(at for at, column in enumerate(self.columns, 1) if column.name == name)


_SEVERAL = Text("多个之间用“；”隔开", "Several are parted by “；”")
_FORMS: Mapping[str, Form] = {
    "select": Form.CHOICE,
    "department": Form.CHOICE,
    "checks": Form.CHOICES,
    "departments": Form.CHOICES,
    "keys": Form.KEYS,
    "yesno": Form.ANSWER,
    "number": Form.NUMBER,
    "date": Form.DATE,
}
_WORDS = {"department": "departments", "departments": "departments"}
_WIDE = frozenset({"name_zh", "summary_zh", "ground", "conditions", "use", "legal_ground"})
# An item of the entry can't be offered as a list: it stands on another sheet.
_WRITTEN = frozenset({"record_key", "format_detail"})
_KEY_ENTRY = Column(
    KEY,
    Text("目录编号", "Entry key"),
    Text(
        "导出的编号不要改动；新增条目自编不重复的编号，例如 1、2、3，“信息项”按它对应",
        "Leave exported keys as they are; number new entries yourself (1, 2, 3); items refer to these keys",
    ),
    width=20,
)
_KEY_ROW = Column(
    KEY,
    Text("目录编号", "Entry key"),
    Text("“目录”工作表中的编号", "The key of the entry on the sheet of entries"),
    width=20,
)


def _entry_column(name: str) -> Column:
    field = FIELDS[name]
    form = Form.TEXT if name in _WRITTEN else _FORMS.get(field.kind, Form.TEXT)
    words = _WORDS.get(field.kind, field.choices) if form in (Form.CHOICE, Form.CHOICES) else ""
    said = _HELP.get(name, field.help)
    if form in (Form.CHOICES, Form.KEYS):
        said = Text(f"{said.zh}；{_SEVERAL.zh}".lstrip("；"), f"{said.en}. {_SEVERAL.en}".lstrip(". "))
    return Column(name, field.label, said, form, words, 36 if name in _WIDE else 16)


_HELP: Mapping[str, Text] = {
    "subject": Text(
        "类（1位）、项（2位）、目（3位）和可选细目的数字，例如 101001；类、项见“说明”",
        "Digits: class (1), group (2), section (3), perhaps more, such as 101001; see the help sheet",
    ),
    "related": Text("关联条目的编号", "Ids of related entries"),
    "record_key": Text(
        "填信息项的英文字段；提供核验、查询的必填",
        "The field of an item; needed for verify and query",
    ),
    "shared_until": Text("日期，例如 2027-12-31", "A day such as 2027-12-31"),
}

_ITEM_HELP: Mapping[str, Text] = {
    "field": Text(
        "小写字母开头，只含小写字母、数字和下划线", "Lower-case letters, digits, underscores; a letter first"
    ),
    "length": Text("字符型必填", "Characters need one"),
    "standard": Text("数据元标准的编号", "The key of a data element"),
    "code_list": Text(
        "代码表的编号；自定代码写在“代码值”", "The key of a code list; own codes on their sheet"
    ),
    "share_type": Text("与条目不同时才选", "Only where it differs from the entry's"),
}
_ITEM_FORMS: Mapping[str, tuple[Form, str]] = {
    "data_type": (Form.CHOICE, "data_types"),
    "length": (Form.NUMBER, ""),
    "sensitivity": (Form.CHOICE, "sensitivities"),
    "business_secret": (Form.FLAG, ""),
    "identity": (Form.FLAG, ""),
    "kind": (Form.CHOICE, "kinds"),
    "required": (Form.FLAG, ""),
    "key": (Form.FLAG, ""),
    "timestamp": (Form.FLAG, ""),
    "share_type": (Form.CHOICE, "types"),
}


def _item_column(name: str) -> Column:
    form, words = _ITEM_FORMS.get(name, (Form.TEXT, ""))
    return Column(name, ITEM_FIELDS[name], _ITEM_HELP.get(name, Text("", "")), form, words)


ENTRIES = Sheet(
    "目录",
    (
        _KEY_ENTRY,
        *(_entry_column(name) for name in FIELDS),
        Column(
            "not_secret",
            OTHER_FIELDS["not_secret"],
            Text("声明本条目不涉及国家秘密，必填“是”", "Declares that the entry holds no state secret: yes"),
            Form.FLAG,
        ),
    ),
    MAX_ENTRIES,
)
ITEMS = Sheet(
    "信息项", (_KEY_ROW, *(_item_column(name) for name in ITEM_FIELDS if name != "codes")), MAX_ITEM_ROWS
)
CODES = Sheet(
    "代码值",
    (
        _KEY_ROW,
        Column("field", ITEM_FIELDS["field"], Text("“信息项”中的英文字段", "The field of the item")),
        Column("value", Text("代码", "Code"), Text("例如 1", "Such as 1")),
        Column("meaning", Text("含义", "Meaning"), Text("例如 男", "What it stands for")),
    ),
    MAX_CODE_ROWS,
)
DATA_SHEETS = (ENTRIES, ITEMS, CODES)
OTHER_SHEETS = frozenset({OPTIONS, HELP, FAULTS})
SEPARATORS = "；;、，,\n"
"""What parts several values in one cell; none of them is part of a key."""

MAX_VALUES = MAX_LISTED
