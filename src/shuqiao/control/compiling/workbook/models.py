"""Uploaded workbooks: how far each has got, what is wrong in it, and the entries that wait in it."""

from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.documents.models import MAX_BYTES, MAX_NAME_CHARS
from shuqiao.control.organisations.models import Department


class ImportState(models.TextChoices):
    """From the upload to the drafts; only WAITING and TAKING are work for the worker."""

    WAITING = "waiting", "等待核对"
    CHECKED = "checked", "已核对"
    TAKING = "taking", "正在纳入"
    TAKEN = "taken", "已纳入草稿"
    DISCARDED = "discarded", "已放弃"


class CatalogueImport(models.Model):
    """One uploaded workbook, its progress and its result.

    The file is kept until it is taken over or thrown away. `read_rows` and `percent` are progress; the other
    counts hold once it is checked. Nothing of it reaches a draft before it is taken over as a whole.
    """

    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=ImportState.choices, default=ImportState.WAITING)
    file_name = models.CharField(max_length=MAX_NAME_CHARS)
    size_bytes = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField(null=True)
    percent = models.PositiveSmallIntegerField(default=0)
    read_rows = models.PositiveIntegerField(default=0)
    new_entries = models.PositiveIntegerField(default=0)
    changed_entries = models.PositiveIntegerField(default=0)
    same_entries = models.PositiveIntegerField(default=0)
    fault_count = models.PositiveIntegerField(default=0)
    # The file as a whole can't be read, so there is nothing to mark in it.
    refused = models.BooleanField(default=False)
    # Drafts had changed since it was checked, so it was checked once more instead of being taken over.
    checked_again = models.BooleanField(default=False)
    # How often a worker has begun on it: what ends every worker is given up.
    attempts = models.PositiveSmallIntegerField(default=0)
    uploaded_at = models.DateTimeField()
    checked_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Newest first; a file is there as long as it is needed; only a faultless one is taken over."""

        ordering = ["-id"]
        indexes = [
            models.Index(fields=["department", "-id"], name="import_by_department"),
            models.Index(
                fields=["id"], condition=Q(state__in=["waiting", "taking"]), name="import_to_be_worked"
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=ImportState.values), name="import_state_is_known"),
            models.CheckConstraint(
                condition=Q(size_bytes__gte=1, size_bytes__lte=MAX_BYTES), name="import_size_is_bounded"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["taken", "discarded"], content=None, ended_at__isnull=False)
                | Q(state__in=["waiting", "checked", "taking"], content__isnull=False, ended_at=None),
                name="import_keeps_its_file",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["taking", "taken"]) | Q(fault_count=0),
                name="import_taken_without_faults",
            ),
            models.UniqueConstraint(
                fields=["department", "sha256"],
                condition=Q(state__in=["waiting", "checked", "taking"]),
                name="same_workbook_waits_once",
            ),
        ]

    def __str__(self) -> str:
        """Return the key: file names may say too much for a log."""
        return str(self.pk)


class ImportedEntry(models.Model):
    """An entry of a checked workbook that differs from what is kept, waiting to become a draft.

    `number` and `revision` are those of the draft it changes; without a number it begins one, for
    `resource` where it changes an entry in force.
    """

    source = models.ForeignKey(CatalogueImport, models.CASCADE, related_name="entries")
    row = models.PositiveIntegerField()
    number = models.CharField(max_length=20, blank=True)
    revision = models.PositiveIntegerField(default=0)
    resource = models.CharField(max_length=17, blank=True)
    name_zh = models.CharField(max_length=100)
    content = models.JSONField()

    class Meta:
        """One for each row of the sheet of entries."""

        ordering = ["row"]
        constraints = [models.UniqueConstraint(fields=["source", "row"], name="imported_entry_once_a_row")]

    def __str__(self) -> str:
        """Return the workbook and the row."""
        return f"{self.source.pk}:{self.row}"


class ImportFault(models.Model):
    """Something wrong at one cell of a workbook; row 0 is the file as a whole, column 0 the whole row."""

    source = models.ForeignKey(CatalogueImport, models.CASCADE, related_name="faults")
    sheet = models.CharField(max_length=31, blank=True)
    row = models.PositiveIntegerField()
    column = models.PositiveSmallIntegerField()
    # The field of the template; empty for what is not one of its columns.
    name = models.CharField(max_length=40, blank=True)
    code = models.CharField(max_length=40)
    said_zh = models.CharField(max_length=300)
    said_en = models.CharField(max_length=400)
    article = models.CharField(max_length=80, blank=True)

    class Meta:
        """In the order in which they were found."""

        ordering = ["id"]
        indexes = [models.Index(fields=["source", "id"], name="import_fault_by_import")]

    def __str__(self) -> str:
        """Return the workbook, the cell and the code."""
        return f"{self.source.pk}:{self.sheet}!{self.row},{self.column}:{self.code}"
