"""Reading what the wizard posts into an entry: one step at a time, bounded, nothing cut off unsaid."""

import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.http import QueryDict

from shuqiao.control.compiling.fields import GROUPS, ITEMS_STEP, FieldSpec
from shuqiao.control.compiling.models import CompilationKind
from shuqiao.control.texts import Text
from shuqiao.rules.entries import WORDING, Entry, EntryItem
from shuqiao.rules.entry_faults import MAX_CODES, MAX_ITEMS, MAX_LISTED, plain_fault

PAGE_ITEMS = 20
"""Rows of the table of items on one page; a form may not have more than 500 fields."""
MAX_DIGITS = 15
_ITEM_TEXTS = {"zh": 100, "en": 160, "note": 200, "standard": 200, "code_list": 200}
_ITEM_WORDS = ("field", "data_type", "kind", "share_type")
_ITEM_FLAGS = ("business_secret", "identity", "required", "key", "timestamp")
_CODE = re.compile(r"[\t ,，:：=]+")
_ABSENT = object()

NOT_A_NUMBER = Text("须为数字", "Digits only")
NOT_A_DAY = Text("须为 2026-11-25 这样的日期", "A day such as 2026-11-25")
TOO_MANY_ITEMS = Text(f"最多 {MAX_ITEMS} 个信息项", f"At most {MAX_ITEMS} items")
TOO_MANY = Text(f"最多选 {MAX_LISTED} 个", f"At most {MAX_LISTED}")


@dataclass(frozen=True)
class Filled:
    """An entry with what one step of its form says; what could not be read keeps its old value."""

    entry: Entry
    faults: dict[str, Text]


def may_change(name: str, kind: str) -> bool:
    """Tell whether this kind of case may change a field: a correction touches the wording only (CAT-11)."""
    return kind != CompilationKind.CORRECTION or name in WORDING


def fill(kept: Entry, post: QueryDict, step: int, kind: str) -> Filled:
    """Put the fields of one step over what the draft says."""
    if step == ITEMS_STEP:
        return fill_items(kept, post, kind)
    faults: dict[str, Text] = {}
    changed: dict[str, Any] = {}
    for group in GROUPS:
        if group.step != step:
            continue
        for field in group.fields:
            value = _read(field, post, faults) if may_change(field.name, kind) else _ABSENT
            if value is not _ABSENT:
                changed[field.name] = value
    if "not_secret.shown" in post:
        changed["not_secret"] = post.get("not_secret") == "1"
    return Filled(replace(kept, **changed), faults)


def _read(field: FieldSpec, post: QueryDict, faults: dict[str, Text]) -> object:
    """The value of a field as posted; `_ABSENT` where it is not on the form or can't be read."""
    name = field.name
    if field.kind == "subject":
        parts = [post.get(f"{name}.{part}", "").strip() for part in ("group", "detail")]
        return _text(name, "".join(parts), 20, faults) if f"{name}.group" in post else _ABSENT
    if field.kind in ("checks", "departments"):
        return _listed(name, post.getlist(name), faults) if f"{name}.shown" in post else _ABSENT
    if name not in post:
        return _ABSENT
    given = post.get(name, "").strip()
    match field.kind:
        case "date":
            return _day(name, given, faults)
        case "number":
            return _number(name, given, faults)
        case "yesno":
            return {"yes": True, "no": False}.get(given)
        case "keys":
            return _listed(name, re.split(r"[\s,，;；、]+", given), faults)
    if field.choices == "duties":
        return _number(name, given, faults)
    return _text(name, given, field.limit, faults)


def _text(path: str, given: str, limit: int, faults: dict[str, Text]) -> object:
    fault = plain_fault(path, given, limit)
    if fault is None:
        return given
    faults[path] = Text(fault.zh, fault.en)
    return _ABSENT


def _listed(path: str, given: list[str], faults: dict[str, Text]) -> object:
    values = tuple(dict.fromkeys(value for value in given if value))
    if len(values) > MAX_LISTED:
        faults[path] = TOO_MANY
        return _ABSENT
    texts = [_text(path, value, 63, faults) for value in values]
    return _ABSENT if _ABSENT in texts else values


def _number(path: str, given: str, faults: dict[str, Text]) -> object:
    plain = given.replace(",", "").replace("，", "")
    if not plain:
        return None
    if plain.isascii() and plain.isdigit() and len(plain) <= MAX_DIGITS:
        return int(plain)
    faults[path] = NOT_A_NUMBER
    return _ABSENT


def _day(path: str, given: str, faults: dict[str, Text]) -> object:
    if not given:
        return None
    try:
        if len(given) == len("2026-11-25"):
            return date.fromisoformat(given)
    except ValueError:
        pass
    faults[path] = NOT_A_DAY
    return _ABSENT


def fill_items(kept: Entry, post: QueryDict, kind: str) -> Filled:
    """Put the posted rows over the items they stand for, then add, remove or move one as asked."""
    faults: dict[str, Text] = {}
    items = list(kept.items)
    for at in range(len(items)):
        if f"items[{at}].field" in post:
            items[at] = _row(items[at], f"items[{at}]", post, kind, faults)
    key = post.get("record_key", kept.record_key)
    renamed = {old.field: new.field for old, new in zip(kept.items, items, strict=True) if old.field}
    if may_change("items", kind):
        items = _arranged(items, post.get("do", ""), faults)
    # The record key is named by its field: it follows its item when that is called otherwise.
    return Filled(replace(kept, items=tuple(items), record_key=renamed.get(key, key)), faults)


def _row(kept: EntryItem, path: str, post: QueryDict, kind: str, faults: dict[str, Text]) -> EntryItem:
    said = _row_values(path, post, faults)
    changed = {n: value for n, value in said.items() if value is not _ABSENT and may_change(n, kind)}
    return replace(kept, **changed)


def _row_values(path: str, post: QueryDict, faults: dict[str, Text]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for name, limit in _ITEM_TEXTS.items():
        if f"{path}.{name}" in post:
            changed[name] = _text(f"{path}.{name}", post.get(f"{path}.{name}", "").strip(), limit, faults)
    for name in _ITEM_WORDS:
        if f"{path}.{name}" in post:
            changed[name] = _text(f"{path}.{name}", post.get(f"{path}.{name}", "").strip(), 63, faults)
    if f"{path}.length" in post:
        changed["length"] = _number(f"{path}.length", post.get(f"{path}.length", "").strip(), faults)
    if f"{path}.codes" in post:
        changed["codes"] = _codes(f"{path}.codes", post.get(f"{path}.codes", ""), faults)
    grade = post.get(f"{path}.sensitivity", "")
    if grade in ("0", "1", "2", "3", "4"):
        changed["sensitivity"] = int(grade)
    for name in _ITEM_FLAGS:
        changed[name] = post.get(f"{path}.{name}") == "1"
    return changed


def _codes(path: str, given: str, faults: dict[str, Text]) -> object:
    """Codes, one a line: the code, then what it means."""
    lines = [line.strip() for line in given.splitlines() if line.strip()]
    if len(lines) > MAX_CODES:
        faults[path] = Text(f"最多 {MAX_CODES} 个代码", f"At most {MAX_CODES} codes")
        return _ABSENT
    found = []
    for line in lines:
        value, *rest = _CODE.split(line, maxsplit=1)
        pair = (value, rest[0] if rest else "")
        if any(_text(path, text, 200, faults) is _ABSENT for text in pair):
            return _ABSENT
        found.append(pair)
    return tuple(found)


def _arranged(items: list[EntryItem], do: str, faults: dict[str, Text]) -> list[EntryItem]:
    """Items after one step of arranging: add, remove:3, up:3, down:3; anything else changes nothing."""
    action, _, place = do.partition(":")
    if action == "add":
        if len(items) >= MAX_ITEMS:
            faults["items"] = TOO_MANY_ITEMS
            return items
        return [*items, EntryItem(field="", zh="")]
    at = int(place) if place.isascii() and place.isdigit() and len(place) < 4 else -1
    if not 0 <= at < len(items):
        return items
    if action == "remove":
        return [item for n, item in enumerate(items) if n != at]
    other = {"up": at - 1, "down": at + 1}.get(action, -1)
    if 0 <= other < len(items):
        items[at], items[other] = items[other], items[at]
    return items
