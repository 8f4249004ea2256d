"""What an entry says, in words for people: keys by their vocabularies, departments by their names."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.compiling.fields import FIELDS, ITEM_FIELDS, ITEM_KIND_WORDS, label_of
from shuqiao.control.organisations.models import Duty
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Difference, Entry, EntryItem
from shuqiao.rules.sharing import RANKS

NOTHING = Text("—", "—")
_YES, _NO = Text("是", "Yes"), Text("否", "No")
# Differences of longer texts are found word by word only as long as that is quick.
MAX_COMPARED = 1000
# Numbers and Latin words change as a whole, Chinese by the character.
_TOKEN = re.compile(r"[0-9]+|[A-Za-z_]+|.", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """A stretch of a text; `kind` is same, gone or come."""

    text: str
    kind: str = "same"


@dataclass(frozen=True)
class Wording:
    """Names that keys stand for, read once for a page."""

    regulation: str
    departments: Mapping[str, DepartmentRef]
    duties: Mapping[int, str]

    def value(self, name: str, value: object) -> Text:
        """Word one field of an entry."""
        if isinstance(value, tuple):
            return self._several(name, value)
        if value is None or value == "":
            return NOTHING
        if isinstance(value, bool):
            return _YES if value else _NO
        if isinstance(value, date):
            return Text(value.isoformat(), value.isoformat())
        if isinstance(value, int):
            return self._number(name, value)
        return self._word(name, str(value))

    def item_value(self, name: str, value: object) -> Text:
        """Word one field of an item."""
        if name == "codes" and isinstance(value, tuple) and value:
            shown = "；".join(" ".join(pair) for pair in value[:20])
            rest = "…" if len(value) > 20 else ""
            return Text(shown + rest, shown + rest)
        if name == "sensitivity":
            return vocabulary().sensitivities.get(str(value), NOTHING)
        if name == "data_type":
            return _letter(str(value))
        if name == "kind":
            return ITEM_KIND_WORDS.get(str(value), Text(str(value), str(value)))
        return self.value(name, value)

    def item(self, item: EntryItem) -> Text:
        """Word an item in one line: its type and what is special about it."""
        parts = [_sized(item), vocabulary().sensitivities.get(str(item.sensitivity), NOTHING)]
        flags = ("key", "timestamp", "required", "identity", "business_secret")
        parts += [ITEM_FIELDS[name] for name in flags if getattr(item, name)]
        for name in ("standard", "code_list", "share_type", "note"):
            if getattr(item, name):
                said = self.item_value(name, getattr(item, name))
                label = ITEM_FIELDS[name]
                parts.append(Text(f"{label.zh}：{said.zh}", f"{label.en}: {said.en}"))
        if item.codes:
            parts.append(Text(f"代码 {len(item.codes)} 个", f"{len(item.codes)} codes"))
        return Text("，".join(part.zh for part in parts), ", ".join(part.en for part in parts))

    def _several(self, name: str, values: tuple[object, ...]) -> Text:
        if not values:
            return NOTHING
        words = [self._word(name, str(value)) for value in values]
        return Text("、".join(word.zh for word in words), ", ".join(word.en for word in words))

    def _number(self, name: str, value: int) -> Text:
        if name == "duty":
            said = self.duties.get(value, str(value))
            return Text(said, said)
        return Text(f"{value:,}", f"{value:,}")

    def _word(self, name: str, value: str) -> Text:
        field = FIELDS.get(name)
        plain = Text(value, value)
        if field is not None and field.kind in ("department", "departments"):
            known = self.departments.get(value)
            return known.name if known else plain
        if name == "share_type":
            chosen = named(self.regulation).share_types.named(value)
            return Text(chosen.zh, chosen.en) if chosen else plain
        if name == "ground_rank" and value in RANKS:
            return Text(RANKS[value].zh, RANKS[value].en)
        if name == "relations":
            relations = named(self.regulation).share_types.relations
            return next((Text(one.zh, one.en) for one in relations if one.key == value), plain)
        if name == "subject":
            return subject_words(value)
        if field is not None and field.choices and hasattr(vocabulary(), field.choices):
            found: Text = getattr(vocabulary(), field.choices).get(value, plain)
            return found
        return plain


def wording(regulation: str, department: str = "") -> Wording:
    """Read the names that a page of entries needs: two queries."""
    duties = Duty.objects.filter(department_id=department).values_list("number", "text_zh")
    return Wording(regulation, department_refs(), dict(duties) if department else {})


def subject_words(subject: str) -> Text:
    """Word a classification: 类 and 项 by name, the rest as digits."""
    words = vocabulary()
    group, kind = words.subjects.get(subject[:3]), words.classes.get(subject[:1])
    if group is None or kind is None:
        return Text(subject, subject)
    rest = subject[3:]
    return Text(f"{kind.zh} / {group.zh} / {rest}", f"{kind.en} / {group.en} / {rest}")


@dataclass(frozen=True)
class DifferenceRow:
    """One place where two versions differ, as a reader sees it; an empty side is absent."""

    path: str
    label: str
    before: tuple[Piece, ...]
    after: tuple[Piece, ...]


def difference_row(found: Difference, words: Wording, names: Mapping[str, str]) -> DifferenceRow:
    """Word a difference; `names` are the items' names by field."""
    before, after = (str(_worded(found.path, value, words)) for value in (found.before, found.after))
    old, new = pieces(before, after)
    return DifferenceRow(found.path, path_words(found.path, names), old, new)


def path_words(path: str, names: Mapping[str, str]) -> str:
    """Name a path: a field, an item, or a field of an item."""
    if path == "items":
        return str(Text("信息项的次序", "Order of the items"))
    if not path.startswith("items."):
        return str(label_of(path))
    field, _, name = path.removeprefix("items.").partition(".")
    shown = str(Text(f"信息项“{names.get(field, field)}”", f"Item “{names.get(field, field)}”"))
    return f"{shown} · {ITEM_FIELDS[name]}" if name in ITEM_FIELDS else shown


def _worded(path: str, value: object, words: Wording) -> Text:
    if isinstance(value, EntryItem):
        said = words.item(value)
        return Text(f"{value.zh}（{value.field}）：{said.zh}", f"{value.zh} ({value.field}): {said.en}")
    if path == "items":
        order = "、".join(str(one) for one in value) if isinstance(value, tuple) else ""
        return Text(order, order)
    if path.startswith("items."):
        return NOTHING if value is None else words.item_value(path.rpartition(".")[2], value)
    return words.value(path, value)


def pieces(before: str, after: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Two texts as stretches that stayed, went and came; texts with little in common are shown whole."""
    if str(NOTHING) in (before, after) or max(len(before), len(after)) > MAX_COMPARED:
        return (Piece(before, "gone"),), (Piece(after, "come"),)
    was, now = _TOKEN.findall(before), _TOKEN.findall(after)
    matcher = difflib.SequenceMatcher(None, was, now, autojunk=False)
    if matcher.ratio() < 0.4:
        return (Piece(before, "gone"),), (Piece(after, "come"),)
    old: list[Piece] = []
    new: list[Piece] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if a != b:
            old.append(Piece("".join(was[a:b]), "same" if tag == "equal" else "gone"))
        if c != d:
            new.append(Piece("".join(now[c:d]), "same" if tag == "equal" else "come"))
    return tuple(old), tuple(new)


def _sized(item: EntryItem) -> Text:
    word = _letter(item.data_type)
    return Text(f"{word.zh}（{item.length}）", f"{word.en} ({item.length})") if item.length else word


def _letter(data_type: str) -> Text:
    word = vocabulary().data_types.get(data_type, NOTHING)
    return Text(f"{word.zh} {data_type}", f"{word.en} {data_type}")


def item_names(*entries: Entry) -> dict[str, str]:
    """The items' names by field, the last entry's first."""
    return {item.field: item.zh for entry in entries for item in entry.items}
