"""Uploading a workbook, taking it over into drafts as a whole, and throwing it away."""

import hashlib
from io import BytesIO

from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.compiling.workbook import jobs
from shuqiao.control.compiling.workbook.access import access_import_locked, visible
from shuqiao.control.compiling.workbook.models import CatalogueImport, ImportedEntry, ImportState
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.documents.content import plain_name
from shuqiao.control.documents.models import MAX_BYTES
from shuqiao.control.documents.spreadsheet import Spreadsheet, WorkbookRefused
from shuqiao.control.texts import Text

MAX_OPEN = 20
"""Workbooks of one department that wait at a time. Source: our choice, decision 10."""

IMPORT = Text("导入目录工作簿", "Take in a workbook of the catalogue")
EVENT = "workbook_uploaded"
_OPEN = (ImportState.WAITING, ImportState.CHECKED, ImportState.TAKING)
_SIZE = Text(
    f"文件不得为空，且不超过 {MAX_BYTES // 1024 // 1024} MB：内容多时请分成几个工作簿",
    f"Not empty and at most {MAX_BYTES // 1024 // 1024} MB: split a larger workbook",
)
_FULL = Text(
    f"本部门已有 {MAX_OPEN} 个未处理完的工作簿：请先纳入草稿或放弃",
    f"The department has {MAX_OPEN} open workbooks: take them over or discard them first",
)


def upload(viewer: Viewer, given: FileInput) -> int:
    """Keep a workbook and let the worker check it; return its key.

    The same file twice is one workbook. Raises `FormRefused` at `workbook` for what is no workbook.
    """
    require(viewer, Capability.CATALOGUE_EDIT, IMPORT)
    _refuse_unreadable(given)
    digest = hashlib.sha256(given.content).hexdigest()
    try:
        with transaction.atomic():
            return _store(viewer, given, digest)
    except IntegrityError:
        # Two uploaded the same file at once: the database has let one of them through.
        return visible(viewer).get(sha256=digest, state__in=_OPEN).pk


def _store(viewer: Viewer, given: FileInput, digest: str) -> int:
    waiting = visible(viewer).filter(state__in=_OPEN)
    same = waiting.filter(sha256=digest).values_list("pk", flat=True).first()
    if same is not None:
        return same
    if waiting.count() >= MAX_OPEN:
        raise FormRefused((Fault("workbook", "too_many_workbooks", _FULL),))
    stored = CatalogueImport.objects.create(
        department_id=viewer.department.code,
        account_id=viewer.account_id,
        file_name=plain_name(given.name) or "workbook.xlsx",
        size_bytes=len(given.content),
        sha256=digest,
        content=given.content,
        uploaded_at=clock.now(),
    )
    _record(viewer, stored, "uploaded")
    jobs.start(stored.pk)
    return stored.pk


@transaction.atomic
def take_over(viewer: Viewer, key: int) -> None:
    """Let the worker bring a faultless workbook into the drafts, all of it or nothing."""
    found = access_import_locked(viewer, key)
    if found.state != ImportState.CHECKED or found.fault_count:
        return
    found.state, found.percent, found.attempts = ImportState.TAKING, 0, 0
    found.account_id = viewer.account_id
    found.save(update_fields=["state", "percent", "attempts", "account"])
    _record(viewer, found, "taking")
    jobs.start(found.pk)


@transaction.atomic
def discard(viewer: Viewer, key: int) -> None:
    """Throw a workbook away that has not been taken over; what was found in it stays to be read."""
    found = access_import_locked(viewer, key)
    if found.state not in (ImportState.WAITING, ImportState.CHECKED):
        return
    found.state, found.content, found.ended_at = ImportState.DISCARDED, None, clock.now()
    found.save(update_fields=["state", "content", "ended_at"])
    ImportedEntry.objects.filter(source=found).delete()
    _record(viewer, found, "discarded")


def _refuse_unreadable(given: FileInput) -> None:
    """Refuse at once what the archive's directory alone tells: nothing is unpacked but the list of sheets."""
    if not 0 < len(given.content) <= MAX_BYTES:
        raise FormRefused((Fault("workbook", "file_size", _SIZE),))
    try:
        with Spreadsheet(BytesIO(given.content)):
            pass
    except WorkbookRefused as refused:
        raise FormRefused((Fault("workbook", refused.code, refused.said),)) from None


def _record(viewer: Viewer, found: CatalogueImport, outcome: str) -> None:
    append_entry(
        EVENT,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=outcome,
        department=viewer.department.code,
        facts={"workbook": found.pk, "sha256": found.sha256, "bytes": found.size_bytes},
    )
