"""What a standard says: one form for data elements, code lists, formats and interfaces; and differences."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from shuqiao.control.texts import Text


class Kind(StrEnum):
    """The kinds of standards; the information classification is a code list."""

    ELEMENT = "element"
    CODE_LIST = "code_list"
    FORMAT = "format"
    INTERFACE = "interface"


KINDS = {
    Kind.ELEMENT: Text("数据元", "Data elements"),
    Kind.CODE_LIST: Text("代码表", "Code lists"),
    Kind.FORMAT: Text("格式", "Formats"),
    Kind.INTERFACE: Text("接口标准", "Interface standards"),
}


class Code(msgspec.Struct, frozen=True, array_like=True):
    """One value of a code list with its meaning."""

    value: str
    zh: str
    en: str = ""


class Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of a standard; what its kind does not have stays empty.

    `format`, `code_list` and `broader` are keys of other standards; `check` names the check that the
    platform makes of each value delivered; `national` and `provincial` name the matching standards;
    `to_verify` marks codes not read from the standard itself; `ended` takes it out of use.
    """

    zh: str
    en: str
    note_zh: str = ""
    note_en: str = ""
    data_type: str = ""
    length: int | None = None
    format: str = ""
    code_list: str = ""
    broader: str = ""
    pattern: str = ""
    check: str = ""
    example: str = ""
    national: str = ""
    provincial: str = ""
    to_verify: bool = False
    sensitivity: int | None = None
    synonyms: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()
    ended: bool = False


WORDS = {
    "zh": Text("中文名称", "Chinese name"),
    "en": Text("英文名称", "English name"),
    "note_zh": Text("说明", "Note, Chinese"),
    "note_en": Text("英文说明", "Note, English"),
    "data_type": Text("数据类型", "Data type"),
    "length": Text("长度", "Length"),
    "format": Text("格式", "Format"),
    "code_list": Text("代码表", "Code list"),
    "broader": Text("上位数据元", "Broader element"),
    "pattern": Text("格式表达式", "Pattern"),
    "check": Text("校验规则", "Check"),
    "example": Text("示例", "Example"),
    "national": Text("对应国家标准", "National standard"),
    "provincial": Text("对应省级标准", "Provincial standard"),
    "to_verify": Text("待核对", "To be verified"),
    "sensitivity": Text("敏感等级", "Sensitivity"),
    "synonyms": Text("同义词", "Synonyms"),
    "fields": Text("常见字段名", "Usual columns"),
    "ended": Text("停用", "Ended"),
}
"""How the fields of a standard are called; codes are shown one by one."""


@dataclass(frozen=True)
class Change:
    """One place in which two versions differ; nothing before is added, nothing after is taken away."""

    label: Text
    before: str
    after: str


def changes(old: Content | None, new: Content) -> tuple[Change, ...]:
    """Where two versions differ, in the order of the form, then code by code."""
    found = []
    for name, label in WORDS.items():
        before, after = _shown(getattr(old, name, "")), _shown(getattr(new, name))
        if before != after:
            found.append(Change(label, before, after))
    return (*found, *_code_changes(old.codes if old else (), new.codes))


def _code_changes(old: tuple[Code, ...], new: tuple[Code, ...]) -> list[Change]:
    before, after = ({code.value: code for code in codes} for codes in (old, new))
    return [
        Change(
            Text(f"代码 {value}", f"Code {value}"), _meaning(before.get(value)), _meaning(after.get(value))
        )
        for value in dict.fromkeys((*before, *after))
        if before.get(value) != after.get(value)
    ]


def _meaning(code: Code | None) -> str:
    if code is None:
        return ""
    return f"{code.zh} / {code.en}" if code.en else code.zh


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "、".join(str(one) for one in value)
    if isinstance(value, bool):
        return str(Text("是", "Yes")) if value else ""
    return "" if value is None else str(value)


def content_json(content: Content) -> dict[str, object]:
    """Give a content as the JSON that is stored."""
    # By way of JSON itself, so that it compares equal to what the database gives back.
    built: dict[str, object] = msgspec.json.decode(msgspec.json.encode(content))
    return built


def content_from(stored: object) -> Content:
    """Read a stored content; raises `msgspec.ValidationError` for what is none."""
    return msgspec.convert(stored, type=Content)
