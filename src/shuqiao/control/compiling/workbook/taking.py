"""Bringing a checked workbook into the drafts: all of it in one transaction, or nothing."""

from collections.abc import Iterator

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.compiling.bulk_drafts import begin_drafts
from shuqiao.control.compiling.drafts import DraftInput, save_drafts
from shuqiao.control.compiling.models import CompilationKind, CompilationOrigin
from shuqiao.control.compiling.workbook.models import CatalogueImport, ImportedEntry, ImportState
from shuqiao.rules.errors import ShuqiaoError

BATCH = 500


def take_workbook(found: CatalogueImport, viewer: Viewer) -> None:
    """Make drafts of a workbook's entries.

    Where drafts or entries have changed since it was checked, nothing is written and it is checked anew.
    """
    try:
        _take(found, viewer)
    except (ShuqiaoError, FormRefused, NotFound):
        found.state, found.checked_again = ImportState.WAITING, True
        found.save(update_fields=["state", "checked_again"])


@transaction.atomic
def _take(found: CatalogueImport, viewer: Viewer) -> None:
    CatalogueImport.objects.select_for_update().only("pk").get(pk=found.pk)
    for batch in _batches(found):
        begin_drafts(viewer, [one for one in batch if one.number is None])
        save_drafts(viewer, [one for one in batch if one.number is not None])
    ImportedEntry.objects.filter(source=found).delete()
    found.state, found.content, found.percent = ImportState.TAKEN, None, 100
    found.ended_at = clock.now()
    found.save(update_fields=["state", "content", "percent", "ended_at"])


def _batches(found: CatalogueImport) -> Iterator[list[DraftInput]]:
    batch: list[DraftInput] = []
    for row in ImportedEntry.objects.filter(source=found).order_by("row").iterator(chunk_size=BATCH):
        batch.append(_draft(row))
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _draft(row: ImportedEntry) -> DraftInput:
    is_new = not row.resource
    return DraftInput(
        content=entry_from(row.content),
        number=row.number or None,
        kind=(CompilationKind.NEW if is_new else CompilationKind.CHANGE).value,
        resource=row.resource,
        revision=row.revision,
        origin=CompilationOrigin.WORKBOOK.value,
    )
