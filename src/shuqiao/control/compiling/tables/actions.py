"""Taking in the structure of a table: a draft entry of guesses, each kept as a guess."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.compiling.drafts import COMPILE, DraftInput, check, save_draft
from shuqiao.control.compiling.interface.keys import lock_key, place_of
from shuqiao.control.compiling.models import Compilation, CompilationOrigin
from shuqiao.control.compiling.tables.guessing import Guessed, guess_entry
from shuqiao.control.compiling.tables.models import TableReading
from shuqiao.control.standards.queries import element_index
from shuqiao.control.texts import Text
from shuqiao.rules.errors import EntryBeingChanged
from shuqiao.wire.tables import DescriptionUnreadable, TableDescription, read_description, table_key

FIELD = "table"
"""The field of the form that the file comes in."""

_REASONS = {
    "": Text("请选择 shuqiao node describe 写出的文件", "Choose the file that shuqiao node describe wrote"),
    "too_large": Text("文件超过 1 MiB，不是表结构文件", "The file is over 1 MiB: it describes no table"),
    "not_json": Text("文件不是 JSON，请重新生成", "The file is not JSON: write it again"),
    "not_a_description": Text(
        "文件不是表结构文件，或含有不认识的内容；请用 shuqiao node describe 重新生成",
        "The file describes no table, or holds what is not known; write it again with shuqiao node describe",
    ),
    "other_version": Text(
        "文件由另一版本的节点写出，请更新节点后重新生成",
        "Another version of the node wrote the file; update the node and write it again",
    ),
    "columns_out_of_bounds": Text("表须有 1 至 500 列", "A table has 1 to 500 columns"),
    "column_twice": Text("同名的列出现两次，请重新生成", "A column stands there twice; write it again"),
    "published": Text(
        "该表的条目已生效，请在该条目上办理变更",
        "The entry of this table is in force: begin a change of that entry",
    ),
    "out_of_bounds": Text(
        "名称、注释或数值超出范围，请重新生成", "A name, comment or number is out of range; write it again"
    ),
}
# Such a fault would refuse the whole file for one value of it; a guess with it is left out instead.
_NEVER_KEPT = frozenset({"text_not_plain", "text_too_long"})


@dataclass(frozen=True)
class Taken:
    """The case of a table's entry, and whether it was made now or had been made of the same structure."""

    number: str
    created: bool


def take_in(viewer: Viewer, content: bytes | None, *, key: str = "", sender: str = "") -> Taken:
    """Make a draft from the description of a table; the same description twice changes nothing.

    `key` is the entry's own key where the sender gives one, `sender` who sends where it is a system. Raises
    `FormRefused` for what describes no table and for a table whose entry is in force, `EntryBeingChanged`
    where a draft was made of another structure: nobody's work is written over.
    """
    require(viewer, Capability.CATALOGUE_EDIT, COMPILE)
    found = _read(content)
    department = viewer.department.code
    guessed = guess_entry(found, department, element_index())
    if any(fault.code in _NEVER_KEPT for fault in check(viewer, guessed.entry)):
        raise _refused("out_of_bounds")
    wanted = key or table_key(found)
    with transaction.atomic():
        lock_key(department, wanted)
        place = place_of(department, wanted)
        if place.published is not None:
            raise _refused("published")
        if place.draft is not None:
            return _same(place.draft, found, guessed)
        return Taken(_kept(viewer, wanted, found, guessed, sender), created=True)


def _read(content: bytes | None) -> TableDescription:
    if not content:
        raise _refused("")
    try:
        return read_description(content)
    except DescriptionUnreadable as unreadable:
        raise _refused(unreadable.reason) from None


def _same(draft: Compilation, found: TableDescription, guessed: Guessed) -> Taken:
    reading = TableReading.objects.filter(compilation=draft).first()
    same = reading is not None and (reading.columns, reading.guesses) == _said(found, guessed)
    if not same:
        raise EntryBeingChanged(entry=draft.name_zh or draft.resource, case=draft.number)
    return Taken(draft.number, created=False)


def _said(found: TableDescription, guessed: Guessed) -> tuple[list[list[str]], list[list[str]]]:
    """Write columns and guesses as they are kept."""
    columns = [
        [column.name, column.type, item.field]
        for column, item in zip(found.columns, guessed.entry.items, strict=True)
    ]
    return columns, [[guess.path, guess.value, guess.basis.value] for guess in guessed.guesses]


def _kept(viewer: Viewer, key: str, found: TableDescription, guessed: Guessed, sender: str) -> str:
    origin, now = CompilationOrigin.TABLE.value, clock.now()
    draft = save_draft(viewer, DraftInput(content=guessed.entry, origin=origin, key=key))
    columns, guesses = _said(found, guessed)
    TableReading.objects.create(
        compilation_id=draft.number,
        table=f"{found.schema}.{found.table}",
        columns=columns,
        guesses=guesses,
        read_at=now,
    )
    append_entry(
        "entry_received",
        actor=sender or viewer.username,
        at=now,
        outcome="created",
        department=viewer.department.code,
        provider=viewer.department.code,
        resource_id=draft.resource,
        case_no=draft.number,
        facts={"columns": len(columns), "entry_key": key},
    )
    return draft.number


def _refused(reason: str) -> FormRefused:
    return FormRefused((Fault(FIELD, f"table_{reason or 'missing'}", _REASONS[reason]),))
