"""What a full maintenance looks for in an entry: completeness, logical consistency and naming.

Pure: what is known of the standards and of delivered data is given. Completeness and most of the logic are
the one validation of compiling, whose faults are sorted here; what stands below is looked for beside it.
Source: shenyang-2016 art. 12(4); the single checks are our choice.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from shuqiao.control.standards.contents import Content
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.entry_faults import EntryFault

COMPLETENESS, LOGIC, NAMING = "completeness", "logic", "naming"
KINDS = {
    COMPLETENESS: Text("完整性", "Completeness"),
    LOGIC: Text("逻辑一致性", "Logical consistency"),
    NAMING: Text("命名规范", "Naming"),
}

_INCOMPLETE = frozenset(
    {
        "field_required",
        "declaration_required",
        "ground_required",
        "conditions_required",
        "legal_ground_required",
    }
)
_NAMES = frozenset({"entry_name_taken", "item_twice", "field_name_malformed", "text_not_plain"})

_CYCLE_DAYS = {
    "realtime": 1,
    "daily": 1,
    "weekly": 7,
    "monthly": 31,
    "quarterly": 92,
    "half_yearly": 184,
    "yearly": 366,
}
_TABLES = frozenset({"database", "self_described", "service"})
_PLACEHOLDER = re.compile(
    r"测试|未命名|新建|临时|待定|示例|样例|^信息项\d*$|^字段\d*$|^列\d*$|test|tmp", re.IGNORECASE
)
_SUFFIX = re.compile(r"\.(xlsx?|csv|docx?|pdf|txt|dbf)$", re.IGNORECASE)
_ODD = re.compile(r"^\s|\s$|\s{2,}|[?*#|\\^~$%@!`;]|[？！；]")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_FIELD_PLACEHOLDER = re.compile(r"(field|col|column|item|attr|f|c|x)_?\d*", re.ASCII)
_MIN_NAME_CHARS = 4


@dataclass(frozen=True)
class Finding:
    """One thing that a maintenance found: where in the entry, of which kind, and what to do."""

    path: str
    kind: str
    code: str
    words: Text


@dataclass(frozen=True)
class Facts:
    """What the checks know beside the entry: elements by key, code lists, and what a name most likely means.

    `delivered_on` is the day of the last delivery where the platform keeps the data; None where it doesn't,
    or where nothing came yet. `serves` tells whether the platform keeps them.
    """

    elements: Mapping[str, Content]
    code_lists: Mapping[str, Mapping[str, str]]
    guess: Callable[[str, str], str | None]
    today: date
    serves: bool = False
    delivered_on: date | None = None


def sorted_faults(faults: Iterable[EntryFault]) -> Iterator[Finding]:
    """Sort the faults of the validation into the kinds of a maintenance."""
    for fault in faults:
        kind = COMPLETENESS if fault.code in _INCOMPLETE else NAMING if fault.code in _NAMES else LOGIC
        yield Finding(fault.path, kind, fault.code, Text(fault.zh, fault.en))


def findings_of(entry: Entry, facts: Facts) -> Iterator[Finding]:
    """What is inconsistent or badly named in an entry, beyond the validation of compiling."""
    yield from _manner(entry)
    yield from _delivery(entry, facts)
    yield from _entry_name(entry)
    for item in entry.items:
        path = f"items.{item.field}"
        yield from _item_name(path, item)
        yield from _bound(path, item, facts)


def _manner(entry: Entry) -> Iterator[Finding]:
    """A file is shared as a file, a database as a database or an interface. Source: the guide of 2017."""
    if not entry.format or not entry.manner:
        return
    is_table = entry.format in _TABLES
    if is_table and set(entry.manner) == {"platform_file"}:
        words = Text(
            "数据库类信息应以数据库或接口方式共享", "A database is shared as a database or an interface"
        )
        yield Finding("manner", LOGIC, "manner_unfit", words)
    if not is_table and set(entry.manner) & {"platform_database", "platform_service"}:
        words = Text("文件类信息应以文件方式共享", "Files are shared as files")
        yield Finding("manner", LOGIC, "manner_unfit", words)


def _delivery(entry: Entry, facts: Facts) -> Iterator[Finding]:
    """Data that the platform keeps come as often as the entry says; two cycles are waited for."""
    days = _CYCLE_DAYS.get(entry.update_cycle)
    if not facts.serves or days is None:
        return
    late = facts.delivered_on is None or facts.today - facts.delivered_on > timedelta(days=2 * days)
    if late:
        since = facts.delivered_on
        words = Text(
            f"未按更新周期提供数据，最近一次：{since or '无'}",
            f"Data have not come as often as the update cycle says; last: {since or 'never'}",
        )
        yield Finding("update_cycle", LOGIC, "delivery_late", words)


def _entry_name(entry: Entry) -> Iterator[Finding]:
    yield from _name("name_zh", entry.name_zh)
    if entry.name_zh and len(entry.name_zh) < _MIN_NAME_CHARS:
        words = Text("名称过短，应写明对象和内容", "Too short a name: say of whom and of what")
        yield Finding("name_zh", NAMING, "name_too_short", words)
    if _SUFFIX.search(entry.name_zh):
        words = Text("名称不应是文件名", "A name is not the name of a file")
        yield Finding("name_zh", NAMING, "name_of_file", words)


def _name(path: str, name: str) -> Iterator[Finding]:
    """What every Chinese name must be."""
    if not name:
        return
    if not _CHINESE.search(name):
        words = Text("中文名称应为中文，不应是字段名", "A Chinese name is Chinese, not the name of a column")
        yield Finding(path, NAMING, "name_not_chinese", words)
    if _PLACEHOLDER.search(name):
        words = Text("名称像是占位词，请改为正式名称", "The name looks like a placeholder")
        yield Finding(path, NAMING, "name_placeholder", words)
    if _ODD.search(name):
        words = Text("名称含多余的空格或符号", "The name holds needless spaces or signs")
        yield Finding(path, NAMING, "name_odd_signs", words)


def _item_name(path: str, item: EntryItem) -> Iterator[Finding]:
    yield from _name(f"{path}.zh", item.zh)
    if _FIELD_PLACEHOLDER.fullmatch(item.field):
        words = Text("字段名没有含义", "The name of the column says nothing")
        yield Finding(f"{path}.field", NAMING, "field_placeholder", words)


def _bound(path: str, item: EntryItem, facts: Facts) -> Iterator[Finding]:
    """An item agrees with the element and the code list it is bound to."""
    content = facts.elements.get(item.standard)
    if content is not None:
        longest = content.length
        if longest is not None and item.length is not None and item.length > longest:
            words = Text(f"长度超过数据元规定的 {longest}", f"Longer than the {longest} of its element")
            yield Finding(f"{path}.length", LOGIC, "longer_than_element", words)
        if not same_kind(item.data_type, content.data_type):
            words = Text(
                f"数据类型与数据元（{content.data_type}）不一致",
                f"Its element is of type {content.data_type}",
            )
            yield Finding(f"{path}.data_type", LOGIC, "type_unlike_element", words)
        guessed = facts.guess(item.zh, item.data_type)
        if guessed and not _related(guessed, item.standard, facts.elements):
            other = facts.elements[guessed]
            words = Text(
                f"名称像数据元“{other.zh}”，却绑定“{content.zh}”",
                f"The name means {other.en}, but it is bound to {content.en}",
            )
            yield Finding(f"{path}.standard", NAMING, "name_unlike_element", words)
    known = facts.code_lists.get(item.code_list)
    strange = [value for value, _ in item.codes if known is not None and value not in known]
    if strange:
        words = Text(
            f"代码不在代码表内：{'、'.join(strange[:5])}", f"Not in the code list: {', '.join(strange[:5])}"
        )
        yield Finding(f"{path}.codes", LOGIC, "codes_unlike_list", words)


_GROUPS = tuple(frozenset(group) for group in ("CM", "NYBIF", "DT", "L", "G"))


def same_kind(one: str, other: str) -> bool:
    """Tell whether two data types hold the same kind of value."""
    return any(one in group and other in group for group in _GROUPS)


def _related(one: str, other: str, elements: Mapping[str, Content]) -> bool:
    """Tell whether one of two elements is the other or broader than it, or both have one above them."""
    return bool(_line(one, elements) & _line(other, elements))


def _line(key: str, elements: Mapping[str, Content]) -> set[str]:
    found: set[str] = set()
    while key and key not in found:
        found.add(key)
        content = elements.get(key)
        key = content.broader if content else ""
    return found
