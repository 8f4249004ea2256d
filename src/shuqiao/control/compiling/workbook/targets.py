"""What each row of a workbook means for the catalogue: a new entry, a change, a draft brought on, or nothing.

Keys of exported rows carry the version or the save they were taken from, so that a row never overwrites what
somebody has written since.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.access import OPEN_PHASES, PROCEDURE, sides_of
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.drafts import SAVE
from shuqiao.control.compiling.models import Compilation, CompilationKind
from shuqiao.control.compiling.workbook.reading import SheetEntry
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry
from shuqiao.rules.procedures import Facts, Refusal, decide
from shuqiao.rules.regulation import Phase

_RESOURCE_KEY = re.compile(r"(r[1-9][0-9]{5}[a-z2-7]{10})(?:/([0-9]{1,9}))?", re.ASCII)
_CASE_KEY = re.compile(r"(C-[0-9]{4}-[0-9]{4,})(?:/([0-9]{1,9}))?", re.ASCII)


def resource_key(resource: str, version: int) -> str:
    """The key under which an entry in force is exported."""
    return f"{resource}/{version}"


def case_key(number: str, revision: int) -> str:
    """The key under which a draft is exported."""
    return f"{number}/{revision}"


@dataclass(frozen=True, slots=True)
class Target:
    """What a row changes: nothing where `same`; a draft by its number and save; else an entry, or a new one.

    `refused` says why it can't: field, code and words.
    """

    resource: str = ""
    number: str = ""
    revision: int = 0
    same: bool = False
    refused: tuple[str, str, Text] | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of the entries that some rows name, read in three queries."""

    resources: Mapping[str, Resource]
    named: Mapping[tuple[str, str], Resource]
    cases: Mapping[str, Compilation]
    open_of: Mapping[str, Compilation]
    drafts_named: Mapping[tuple[str, str], Sequence[Compilation]]


class Targets:
    """Finds the targets of rows, batch by batch, for one viewer."""

    def __init__(self, viewer: Viewer) -> None:
        """Begin with no permission asked for."""
        self._viewer = viewer
        self._may_save: dict[str, bool] = {}

    def of(self, rows: Sequence[SheetEntry]) -> list[Target]:
        """The targets in the order of the rows."""
        kept = _read(rows, self._viewer.department.code)
        return [self._target(row, kept) for row in rows]

    def _target(self, row: SheetEntry, kept: _Kept) -> Target:
        if found := _CASE_KEY.fullmatch(row.key):
            return self._of_case(row, kept.cases.get(found[1]), found)
        if found := _RESOURCE_KEY.fullmatch(row.key):
            return self._of_resource(row, kept, found)
        return self._of_name(row, kept)

    def _of_case(self, row: SheetEntry, case: Compilation | None, key: re.Match[str]) -> Target:
        if case is None or not self._may(case.department_id):
            zh = "没有这个编制事项，或不由本部门编制：请重新导出"
            en = "There is no such case, or it is not yours to write: export anew"
            return _refused("entry_key", "case_unknown", zh, en)
        if _same(case.content, row.entry):
            return Target(case.resource, case.number, case.revision, same=True)
        if case.phase != Phase.DRAFT:
            zh = "该事项已提交，不能再改：请等退回或办结"
            en = "The case has been sent and can't be changed: wait for its return or its end"
            return _refused("entry_key", "case_not_draft", zh, en)
        if key[2] and int(key[2]) != case.revision:
            zh = f"导出之后草稿已被修改（现为第 {case.revision} 次保存）：请重新导出后填写"
            en = f"The draft was changed after the export (it is at save {case.revision}): export it anew"
            return _refused("entry_key", "draft_changed", zh, en)
        return Target(case.resource, case.number, case.revision)

    def _of_resource(self, row: SheetEntry, kept: _Kept, key: re.Match[str]) -> Target:
        held, case = kept.resources.get(key[1]), kept.open_of.get(key[1])
        if held is None or not self._may(held.department_id):
            zh = "没有这个条目，或不由本部门编制：新增条目请自编编号"
            en = "There is no such entry, or it is not yours: give a new entry a key of your own"
            return _refused("entry_key", "entry_unknown", zh, en)
        if _same(held.content, row.entry):
            return Target(held.id, same=True)
        if case is not None and _same(case.content, row.entry):
            return Target(held.id, case.number, case.revision, same=True)
        if case is not None:
            zh = f"该条目已有在办的编制事项 {case.number}：请先办结，或重新导出后修改其草稿"
            en = f"Case {case.number} changes this entry already: end it, or export anew and change its draft"
            return _refused("entry_key", "entry_being_changed", zh, en)
        if key[2] and int(key[2]) != held.version:
            zh = f"导出之后该条目已有新版本（现为第 {held.version} 版）：请重新导出后填写"
            en = f"The entry has a new version since the export (it is version {held.version}): export anew"
            return _refused("entry_key", "entry_changed", zh, en)
        return Target(held.id)

    def _of_name(self, row: SheetEntry, kept: _Kept) -> Target:
        department = row.entry.department or self._viewer.department.code
        held = kept.named.get((department, row.entry.name_zh))
        if held is not None and _same(held.content, row.entry):
            return Target(held.id, same=True)
        drafts = kept.drafts_named.get((department, row.entry.name_zh), ())
        for case in drafts:
            if _same(case.content, row.entry):
                return Target(case.resource, case.number, case.revision, same=True)
        if drafts:
            zh = f"本部门已有同名的编制事项 {drafts[0].number}：要修改它，请把编号填为该编号"
            en = f"Case {drafts[0].number} has this name: to change it, give its number as the key"
            return _refused("entry_key", "entry_being_changed", zh, en)
        if not self._may(department):
            zh, en = "不能为该部门编制目录", "You can't compile entries of this department"
            return _refused("department", "department_refused", zh, en)
        return Target()

    def _may(self, department: str) -> bool:
        """Whether the department's regulation lets this viewer write a draft for it."""
        if department not in self._may_save:
            rules = rules_for(department)
            procedure = rules.procedure(PROCEDURE)
            decision = decide(
                procedure,
                procedure.initial.key,
                SAVE,
                Facts("", sides_of(self._viewer, department)),
                capabilities=self._viewer.capabilities,
                regulation=rules,
                today=clock.today(),
            )
            self._may_save[department] = not isinstance(decision, Refusal)
        return self._may_save[department]


def _refused(name: str, code: str, zh: str, en: str) -> Target:
    return Target(refused=(name, code, Text(zh, en)))


def _read(rows: Sequence[SheetEntry], own: str) -> _Kept:
    ids = [found[1] for row in rows if (found := _RESOURCE_KEY.fullmatch(row.key))]
    numbers = [found[1] for row in rows if (found := _CASE_KEY.fullmatch(row.key))]
    names = {row.entry.name_zh for row in rows} - {""}
    departments = {row.entry.department or own for row in rows}
    published = Resource.objects.filter(state="published").only(
        "id", "department_id", "name_zh", "version", "content"
    )
    resources = {one.id: one for one in published.filter(id__in=ids)}
    named = published.filter(department_id__in=departments, name_zh__in=names)
    opened = Compilation.objects.filter(phase__in=OPEN_PHASES)
    drafts: dict[tuple[str, str], list[Compilation]] = {}
    new = opened.filter(kind=CompilationKind.NEW, department_id__in=departments, name_zh__in=names)
    for case in new.order_by("number"):
        drafts.setdefault((case.department_id, case.name_zh), []).append(case)
    return _Kept(
        resources,
        {(one.department_id, one.name_zh): one for one in named},
        Compilation.objects.in_bulk(numbers),
        {case.resource: case for case in opened.filter(resource__in=ids)},
        drafts,
    )


def _same(kept: Mapping[str, Any], entry: Entry) -> bool:
    """Whether an entry says what is kept, but for spaces at the ends of texts, which cells don't keep."""
    return _trimmed(entry_from(kept)) == entry


def _trimmed(entry: Entry) -> Entry:
    items = tuple(
        replace(item, **_texts(item), codes=tuple((_trim(a), _trim(b)) for a, b in item.codes))
        for item in entry.items
    )
    return replace(entry, **_texts(entry), items=items)


def _texts(one: Any) -> dict[str, Any]:
    values = {field.name: getattr(one, field.name) for field in fields(one)}
    return {name: _trim(value) for name, value in values.items() if isinstance(value, str)}


def _trim(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
