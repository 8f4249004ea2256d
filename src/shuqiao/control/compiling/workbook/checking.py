"""Checking an uploaded workbook: every row against the one validation, faults at their cells, progress kept.

Nothing of it reaches a draft. Cut off in the middle it begins anew: what was kept of it counts for nothing.
"""

from collections.abc import Sequence
from io import BytesIO
from itertools import islice

import msgspec
from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.compiling.checking import Subject, check_all
from shuqiao.control.compiling.copying import copy_rows
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.workbook.choices import read_choices
from shuqiao.control.compiling.workbook.faults import FaultList
from shuqiao.control.compiling.workbook.models import (
    CatalogueImport,
    ImportedEntry,
    ImportFault,
    ImportState,
)
from shuqiao.control.compiling.workbook.reading import SheetEntry, WorkbookReading
from shuqiao.control.compiling.workbook.targets import Target, Targets
from shuqiao.control.documents.spreadsheet import Spreadsheet, WorkbookRefused
from shuqiao.control.texts import Text
from shuqiao.rules.entry_faults import EntryFault

BATCH = 500
TO_DO = (ImportState.WAITING, ImportState.TAKING)
"""The states in which a worker has something to do."""
_TOLD_EVERY = 1000
_MAX_SAID = 300


def check_workbook(found: CatalogueImport, viewer: Viewer) -> None:
    """Check a waiting workbook and leave it checked, its faults and changed entries kept."""
    _forget(found)
    run = _Run(found, viewer)
    try:
        with Spreadsheet(BytesIO(found.content or b"")) as book:
            run.check(book)
    except WorkbookRefused as refused:
        run.faults.of_file(refused.code, refused.said)
        found.refused = True
    _conclude(found, run.faults)


def give_up(found: CatalogueImport) -> None:
    """Leave a workbook checked with the one fault that the platform could not do it."""
    zh = "平台多次未能处理此工作簿，未作任何更改：请联系平台运行单位，或分成几个工作簿上传"
    en = "The platform failed on this workbook; nothing was changed: tell its operator, or split it"
    found.state = ImportState.WAITING
    _forget(found)
    faults = FaultList()
    faults.of_file("workbook_failed", Text(zh, en))
    found.refused = True
    _conclude(found, faults)


@transaction.atomic
def _forget(found: CatalogueImport) -> None:
    """Begin anew."""
    ImportedEntry.objects.filter(source=found).delete()
    ImportFault.objects.filter(source=found).delete()
    found.percent = found.read_rows = found.fault_count = 0
    found.new_entries = found.changed_entries = found.same_entries = 0
    found.refused = False
    found.save(
        update_fields=[
            "percent",
            "read_rows",
            "fault_count",
            "new_entries",
            "changed_entries",
            "same_entries",
            "refused",
        ]
    )


class _Run:
    """One checking of one workbook."""

    def __init__(self, found: CatalogueImport, viewer: Viewer) -> None:
        """Begin with nothing checked."""
        self.found = found
        self.faults = FaultList()
        self._viewer = viewer
        self._targets = Targets(viewer)
        self._names: dict[tuple[str, str], int] = {}
        self._ids: dict[str, int] = {}
        self._told = 0

    def check(self, book: Spreadsheet) -> None:
        """Check every row; the counts of `found` grow with it."""
        department = self._viewer.department.code
        reading = WorkbookReading(
            book, read_choices(department, rules_for(department)), self.faults, self._tick
        )
        try:
            entries = reading.entries()
            while batch := list(islice(entries, BATCH)):
                self._check_batch(batch, reading)
        finally:
            reading.close()

    def _tick(self, rows: int, percent: int) -> None:
        self.found.read_rows, self.found.percent = rows, min(percent, 99)
        if rows - self._told >= _TOLD_EVERY:
            self._told = rows
            self._tell()

    def _tell(self) -> None:
        self.found.save(update_fields=["read_rows", "percent"])

    def _check_batch(self, batch: Sequence[SheetEntry], reading: WorkbookReading) -> None:
        pairs = list(zip(batch, self._targets.of(batch), strict=True))
        for row, target in pairs:
            self._check_against_others(row, target, reading)
            if target.refused is not None:
                name, code, said = target.refused
                reading.say(row, EntryFault(name, code, said.zh, said.en))
        changed = [(row, target) for row, target in pairs if not target.same]
        subjects = [Subject(row.entry, target.resource) for row, target in changed]
        for (row, _), faults in zip(changed, check_all(subjects, self._viewer.department.code), strict=True):
            for fault in faults:
                reading.say(row, fault)
        self.found.same_entries += len(pairs) - len(changed)
        if not self.faults.count:
            self._keep(changed)
        self._tell()

    def _check_against_others(self, row: SheetEntry, target: Target, reading: WorkbookReading) -> None:
        """Two rows of one workbook neither have one name nor change one entry."""
        named = (row.entry.department, row.entry.name_zh)
        first = self._names.setdefault(named, row.row)
        if row.entry.name_zh and first != row.row:
            zh, en = f"与第 {first} 行同名：请改用不同的名称", f"Row {first} has this name: choose another"
            reading.say(row, EntryFault("name_zh", "entry_name_twice", zh, en))
        if target.resource:
            first = self._ids.setdefault(target.resource, row.row)
            if first != row.row:
                zh, en = f"与第 {first} 行是同一个条目", f"Row {first} is the same entry"
                reading.say(row, EntryFault("entry_key", "key_twice", zh, en))

    def _keep(self, changed: Sequence[tuple[SheetEntry, Target]]) -> None:
        copy_rows(
            ImportedEntry,
            ("source_id", "row", "number", "revision", "resource", "name_zh", "content"),
            (
                (
                    self.found.pk,
                    row.row,
                    target.number,
                    target.revision,
                    target.resource,
                    row.entry.name_zh[:100],
                    msgspec.json.encode(row.entry).decode(),
                )
                for row, target in changed
            ),
        )
        new = sum(1 for _, target in changed if not target.resource)
        self.found.new_entries += new
        self.found.changed_entries += len(changed) - new


@transaction.atomic
def _conclude(found: CatalogueImport, faults: FaultList) -> None:
    """Keep what was found, unless somebody has thrown the workbook away meanwhile."""
    still = CatalogueImport.objects.select_for_update().only("state").get(pk=found.pk)
    if still.state not in TO_DO:
        ImportedEntry.objects.filter(source=found).delete()
        return
    found.fault_count = faults.count
    if found.fault_count:
        ImportedEntry.objects.filter(source=found).delete()
        found.new_entries = found.changed_entries = 0
    ImportFault.objects.bulk_create(
        [
            ImportFault(
                source=found,
                sheet=fault.sheet,
                row=fault.row,
                column=fault.column,
                name=fault.name,
                code=fault.code,
                said_zh=fault.said.zh[:_MAX_SAID],
                said_en=fault.said.en[:_MAX_SAID],
                article=fault.article[:80],
            )
            for fault in faults.kept
        ],
        batch_size=BATCH,
    )
    found.state, found.percent, found.checked_at = ImportState.CHECKED, 100, clock.now()
    found.save(
        update_fields=[
            "state",
            "percent",
            "read_rows",
            "checked_at",
            "fault_count",
            "new_entries",
            "changed_entries",
            "same_entries",
            "refused",
        ]
    )
