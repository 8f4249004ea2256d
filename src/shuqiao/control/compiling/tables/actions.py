"""Taking in the structure of a table: a draft entry of guesses, each kept as a guess."""

from __future__ import annotations

import hashlib
import re

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.compiling.drafts import COMPILE, DraftInput, check, save_draft
from shuqiao.control.compiling.models import CompilationOrigin
from shuqiao.control.compiling.tables.guessing import guess_entry
from shuqiao.control.compiling.tables.models import TableReading
from shuqiao.control.standards.queries import element_index
from shuqiao.control.texts import Text
from shuqiao.wire.tables import DescriptionUnreadable, TableDescription, read_description

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
    "out_of_bounds": Text(
        "名称、注释或数值超出范围，请重新生成", "A name, comment or number is out of range; write it again"
    ),
}
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,60}", re.ASCII)
# Such a fault would refuse the whole file for one value of it; a guess with it is left out instead.
_NEVER_KEPT = frozenset({"text_not_plain", "text_too_long"})


def take_in(viewer: Viewer, content: bytes | None) -> str:
    """Make a draft from the file of a table and return the number of its case.

    Raises `FormRefused` for a file that is none, `EntryBeingChanged` where the table has an open case.
    """
    require(viewer, Capability.CATALOGUE_EDIT, COMPILE)
    if not content:
        raise _refused("")
    try:
        found = read_description(content)
    except DescriptionUnreadable as unreadable:
        raise _refused(unreadable.reason) from None
    guessed = guess_entry(found, viewer.department.code, element_index())
    if any(fault.code in _NEVER_KEPT for fault in check(viewer, guessed.entry)):
        raise _refused("out_of_bounds")
    with transaction.atomic():
        draft = save_draft(
            viewer,
            DraftInput(content=guessed.entry, origin=CompilationOrigin.TABLE.value, key=table_key(found)),
        )
        TableReading.objects.create(
            compilation_id=draft.number,
            table=f"{found.schema}.{found.table}",
            columns=[
                [column.name, column.type, item.field]
                for column, item in zip(found.columns, guessed.entry.items, strict=True)
            ],
            guesses=[[guess.path, guess.value, guess.basis.value] for guess in guessed.guesses],
            read_at=clock.now(),
        )
        append_entry(
            "entry_received",
            actor=viewer.username,
            at=clock.now(),
            outcome="created",
            department=viewer.department.code,
            provider=viewer.department.code,
            resource_id=draft.resource,
            case_no=draft.number,
            facts={"columns": len(found.columns)},
        )
    return draft.number


def table_key(found: TableDescription) -> str:
    """Return the key under which a table's entry is known: the same table is not taken in twice."""
    name = f"{found.schema}.{found.table}"
    if _PLAIN.fullmatch(name):
        return f"table.{name}"
    return f"table.{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _refused(reason: str) -> FormRefused:
    return FormRefused((Fault(FIELD, f"description_{reason or 'missing'}", _REASONS[reason]),))
