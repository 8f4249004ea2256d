"""Workbooks that go out: the empty template, and a department's present entries to be filled in further."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from io import BytesIO
from typing import BinaryIO, cast

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.models import Compilation, CompilationKind
from shuqiao.control.compiling.workbook.cells import Value, shown
from shuqiao.control.compiling.workbook.choices import Choices, read_choices
from shuqiao.control.compiling.workbook.columns import CODES, ENTRIES, ITEMS, KEY, Sheet
from shuqiao.control.compiling.workbook.targets import case_key, resource_key
from shuqiao.control.compiling.workbook.template import Front, Values, WorkbookWriter
from shuqiao.rules.entries import Entry
from shuqiao.rules.entry_faults import demanded_fields
from shuqiao.rules.regulation import Phase

_AT_ONCE = 200

Keyed = tuple[str, Entry]


def template_file(viewer: Viewer) -> bytes:
    """An empty workbook for the viewer's department."""
    return _file(viewer, ())


def export_file(viewer: Viewer) -> bytes:
    """The department's entries in force and its drafts, ready to be changed."""
    return _file(viewer, present_entries(viewer.department.code))


def present_entries(department: str) -> Iterator[Keyed]:
    """A department's entries with the keys they are exported under, a few at a time.

    An entry that a draft changes is given as the draft says.
    """
    drafts = Compilation.objects.filter(department_id=department, phase=Phase.DRAFT)
    written = drafts.filter(kind__in=(CompilationKind.NEW, CompilationKind.CHANGE))
    changed = written.filter(kind=CompilationKind.CHANGE).values("resource")
    held = Resource.objects.filter(department_id=department, state="published").exclude(id__in=changed)
    for entry in held.order_by("code").only("id", "version", "content").iterator(chunk_size=_AT_ONCE):
        yield resource_key(entry.id, entry.version), entry_from(entry.content)
    for case in written.order_by("number").iterator(chunk_size=_AT_ONCE):
        yield case_key(case.number, case.revision), entry_from(case.content)


def write_entries(out: BinaryIO, entries: Iterable[Keyed], choices: Choices, front: Front) -> None:
    """Write a workbook of entries in one pass over them."""
    writer = WorkbookWriter(out, choices, front)
    for key, entry in entries:
        writer.write(ENTRIES, _values(ENTRIES, key, entry, choices))
        for item in entry.items:
            writer.write(ITEMS, _values(ITEMS, key, item, choices))
            for value, meaning in item.codes:
                writer.write(CODES, [key, item.field, value, meaning])
    writer.finish()


def front_of(viewer: Viewer) -> Front:
    """What a workbook of the viewer's department says of itself."""
    rules = rules_for(viewer.department.code)
    demanded = frozenset(demanded_fields(rules)) | {KEY, "not_secret"}
    title = f"目录工作簿 · {viewer.department.name.zh}"
    return Front(title, f"按{rules.short.zh}编制", demanded)


def _file(viewer: Viewer, entries: Iterable[Keyed]) -> bytes:
    department = viewer.department.code
    out = BytesIO()
    choices = read_choices(department, rules_for(department))
    write_entries(out, entries, choices, front_of(viewer))
    return out.getvalue()


def _values(sheet: Sheet, key: str, one: object, choices: Choices) -> Values:
    there = {field.name for field in fields(one)}  # type: ignore[arg-type]
    values: Values = []
    for column in sheet.columns:
        value = key if column.name == KEY else getattr(one, column.name) if column.name in there else None
        values.append(shown(column, cast(Value, value), choices))
    return values
