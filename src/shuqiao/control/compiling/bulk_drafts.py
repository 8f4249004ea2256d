"""Beginning many drafts at once: the rules of `drafts`, with statements that don't grow with the drafts."""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.access import OPEN_PHASES, PROCEDURE
from shuqiao.control.compiling.copying import copy_rows
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.drafts import COMPILE, DraftInput, refuse_saving, storable
from shuqiao.control.compiling.models import Compilation, CompilationKind
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.numbers import next_numbers
from shuqiao.rules.errors import EntryBeingChanged
from shuqiao.rules.ids import RANDOM_BYTES, compilation_no, new_resource_id
from shuqiao.rules.regulation import SETTING

_KINDS = (CompilationKind.NEW.value, CompilationKind.CHANGE.value)
_COLUMNS = (
    "number", "kind", "origin", "resource", "key", "base_version", "department_id", "regulation", "state",
    "phase", "name_zh", "content", "revision", "compiler_id", "created_at", "changed_at",
)  # fmt: skip


@transaction.atomic
def begin_drafts(viewer: Viewer, given: Sequence[DraftInput]) -> list[str]:
    """Begin new entries and changes of entries in force, all or none, and return the numbers in their order.

    Raises what `drafts.save_draft` raises. Corrections, given ids and keys of a system go through that.
    """
    require(viewer, Capability.CATALOGUE_EDIT, COMPILE)
    if any(one.number or one.key or one.kind not in _KINDS for one in given):
        raise ValueError("only new entries and changes are begun in bulk")
    if not given:
        return []
    held = _held([one.resource for one in given if one.kind == CompilationKind.CHANGE])
    cases = [_case(viewer, one, held) for one in given]
    _refuse_unknown({case.department_id for case in cases})
    for first in {case.department_id: case for case in cases}.values():
        refuse_saving(viewer, first)
    _refuse_second(cases)
    year = clock.today().year
    for case, number in zip(cases, next_numbers("C", year, len(cases)), strict=True):
        case.number = compilation_no(year, number)
    copy_rows(Compilation, _COLUMNS, (_row(case) for case in cases))
    return [case.number for case in cases]


def _held(ids: Sequence[str]) -> Mapping[str, Resource]:
    """The entries to change, locked in the order of their ids."""
    rows = Resource.objects.select_for_update(of=("self",)).filter(id__in=ids, state="published")
    found = {row.id: row for row in rows.order_by("id").only("id", "version", "department_id")}
    if len(found) != len(set(ids)):
        raise NotFound
    return found


def _case(viewer: Viewer, given: DraftInput, held: Mapping[str, Resource]) -> Compilation:
    entry, now = held.get(given.resource), clock.now()
    department = entry.department_id if entry else given.content.department or viewer.department.code
    rules = rules_for(department)
    initial = rules.procedure(PROCEDURE).initial
    return Compilation(
        kind=given.kind,
        origin=given.origin,
        resource=entry.id if entry else new_resource_id(department[:6], secrets.token_bytes(RANDOM_BYTES)),
        base_version=entry.version if entry else 0,
        department_id=department,
        regulation=rules.id,
        state=initial.key,
        phase=initial.phase.value,
        name_zh=given.content.name_zh[:100],
        content=storable(given.content),
        compiler_id=viewer.account_id,
        created_at=now,
        changed_at=now,
    )


def _refuse_unknown(departments: Collection[str]) -> None:
    if Department.objects.filter(code__in=departments).count() != len(departments):
        raise NotFound


def _refuse_second(cases: Sequence[Compilation]) -> None:
    own = {case.resource: case for case in cases}
    other = Compilation.objects.filter(resource__in=own, phase__in=OPEN_PHASES).first()
    if other is not None:
        case = own[other.resource]
        rules = rules_for(case.department_id)
        rule = rules.cite(rules.citations.get("catalogue_entry", SETTING))
        raise EntryBeingChanged(entry=case.name_zh or case.resource, case=other.number, rule=rule)


def _row(case: Compilation) -> list[object]:
    values = {name: getattr(case, name) for name in _COLUMNS}
    return [*({**values, "content": json.dumps(case.content, ensure_ascii=False)}).values()]
