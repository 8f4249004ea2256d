"""What the pages of tables show: each value of a proposed entry with what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.compiling.access import access_compilation
from shuqiao.control.compiling.fields import label_of
from shuqiao.control.compiling.models import Compilation, CompilationOrigin
from shuqiao.control.compiling.tables.guessing import Basis
from shuqiao.control.compiling.tables.models import TableReading
from shuqiao.control.standards.contents import Kind
from shuqiao.control.standards.models import Standard
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry

LATEST = 20

BASES = {
    Basis.STRUCTURE: Text("表结构", "Structure"),
    Basis.COMMENT: Text("据注释推测", "Guessed by comment"),
    Basis.STANDARD: Text("据数据元推测", "Guessed by standard"),
    Basis.NAME: Text("据列名推测", "Guessed by name"),
    Basis.CONTENT: Text("据内容特征推测", "Guessed by content"),
    Basis.NOTHING: Text("无依据，请确定", "No ground: decide"),
}
"""How each ground of a value is called; all but the structure are guesses."""

_CHIPS = {Basis.STRUCTURE: "line", Basis.NOTHING: "warn"}
_MORE = ("standard", "kind", "sensitivity", "key", "timestamp")
_PARTS = ("zh", "data_type", "length", *_MORE)
_YES = Text("是", "Yes")
_MARKS = {"key": _YES, "timestamp": _YES, "kind": Text("可识别身份", "Identifies a person")}


@dataclass(frozen=True)
class Shown:
    """One value that was guessed: what it is, what it rests on, and whether somebody has changed it since."""

    label: Text
    value: str
    basis: Text
    chip: str
    changed: bool


@dataclass(frozen=True)
class Row:
    """One column of the table and what its item was taken to be."""

    column: str
    type: str
    name: Shown
    form: Shown
    more: tuple[Shown, ...]


@dataclass(frozen=True)
class ReadTable:
    """A table that was read: the case of its entry, its own guesses, and those of each column."""

    case: Compilation
    table: str
    own: tuple[Shown, ...]
    rows: tuple[Row, ...]
    unclear: int
    is_open: bool


@dataclass(frozen=True)
class Reading:
    """A table in the list of those read last."""

    number: str
    name: str
    table: str
    read_at: datetime


def latest_readings(viewer: Viewer) -> tuple[Reading, ...]:
    """Return the tables of the viewer's department that were read last."""
    rows = TableReading.objects.filter(
        compilation__department_id=viewer.department.code,
        compilation__origin=CompilationOrigin.TABLE.value,
    ).select_related("compilation")
    return tuple(
        Reading(one.compilation_id, one.compilation.name_zh, one.table, one.read_at)
        for one in rows.order_by("-read_at")[:LATEST]
    )


def read_table(viewer: Viewer, number: str) -> ReadTable:
    """Return what was guessed for a case this viewer may see; raises `NotFound`."""
    case = access_compilation(viewer, number)
    reading = TableReading.objects.filter(compilation=case).first()
    if reading is None:
        raise NotFound
    entry = entry_from(case.content)
    guesses = {path: (value, Basis(basis)) for path, value, basis in reading.guesses}
    names = _standard_names(value for path, (value, _) in guesses.items() if path.endswith(".standard"))
    fields = [field for _, _, field in reading.columns]
    shown = {
        path: _shown(path, value, basis, _is_changed(entry, path, value, fields), names)
        for path, (value, basis) in guesses.items()
    }
    rows = tuple(_row(at, name, kind, shown) for at, (name, kind, _) in enumerate(reading.columns))
    unclear = sum(basis is Basis.NOTHING and not shown[path].changed for path, (_, basis) in guesses.items())
    own = tuple(one for path, one in shown.items() if not path.startswith("items["))
    return ReadTable(case, reading.table, own, rows, unclear, case.phase == "draft")


def _row(at: int, column: str, kind: str, shown: Mapping[str, Shown]) -> Row:
    parts = {name: shown[path] for name in _PARTS if (path := f"items[{at}].{name}") in shown}
    form = parts["data_type"]
    if "length" in parts:
        length = parts["length"]
        weaker = length if length.chip != _CHIPS[Basis.STRUCTURE] else form
        changed = form.changed or length.changed
        form = Shown(form.label, f"{form.value} {length.value}", weaker.basis, weaker.chip, changed)
    more = tuple(parts[name] for name in _MORE if name in parts)
    return Row(column, kind, parts["zh"], form, more)


def _shown(path: str, value: str, basis: Basis, changed: bool, names: Mapping[str, str]) -> Shown:
    part = path.rpartition(".")[2]
    words = vocabulary()
    said = value
    if part == "data_type":
        said = str(words.data_types.get(value, value))
    elif part == "standard":
        said = names.get(value, value)
    elif part == "sensitivity":
        said = str(words.sensitivities.get(value, value))
    elif part in _MARKS:
        said = str(_MARKS[part])
    elif part in _LISTS:
        said = str(getattr(words, _LISTS[part]).get(value, value))
    return Shown(label_of(path), said, BASES[basis], _CHIPS.get(basis, "go"), changed)


_LISTS = {
    "origin": "origins",
    "format": "formats",
    "library_kind": "library_kinds",
    "digitisation": "digitisation",
}


def _is_changed(entry: Entry, path: str, guessed: str, fields: Sequence[str]) -> bool:
    """Tell whether the draft says something else by now than was guessed."""
    place, _, part = path.rpartition(".")
    if not place:
        return str(getattr(entry, part)) != guessed
    # Items may have been moved since: the field that was proposed tells them apart.
    field = fields[int(place.removeprefix("items[").removesuffix("]"))]
    item = next((one for one in entry.items if one.field == field), None)
    if item is None:
        return True
    value = getattr(item, part)
    return (not value) if part in ("key", "timestamp") else str(value) != guessed


def _standard_names(keys: Iterable[str]) -> Mapping[str, str]:
    rows = Standard.objects.filter(kind=Kind.ELEMENT.value, key__in=set(keys))
    return {key: str(Text(zh, en)) for key, zh, en in rows.values_list("key", "zh", "en")}
