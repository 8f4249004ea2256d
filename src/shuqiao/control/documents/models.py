"""Files that belong to a case; a row is written once and never changed."""

import uuid

from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.organisations.models import Department

MAX_BYTES = 10 * 1024 * 1024
MAX_NAME_CHARS = 120


class MediaType(models.TextChoices):
    """Every kind of file that is taken in, by its media type."""

    PDF = "application/pdf", "PDF"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "DOCX"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "XLSX"
    PNG = "image/png", "PNG"
    JPEG = "image/jpeg", "JPEG"
    TEXT = "text/plain", "TXT"


class Document(models.Model):
    """One file of a case, known only by the kind of case and its number.

    `account` is None where the platform wrote the file itself. The database checks length and digest
    against the content (see sql/0001_documents.sql), so neither can be wrong.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20)
    number = models.CharField(max_length=20)
    name = models.CharField(max_length=MAX_NAME_CHARS)
    media_type = models.CharField(max_length=80, choices=MediaType.choices)
    size_bytes = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField()
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="documents")
    department = models.ForeignKey(Department, models.PROTECT, null=True, blank=True)
    stored_at = models.DateTimeField()

    class Meta:
        """Listed by case; names carry no path and kinds no surprise."""

        ordering = ["stored_at", "id"]
        indexes = [models.Index(fields=["kind", "number", "stored_at"], name="document_by_case")]
        constraints = [
            models.CheckConstraint(
                condition=Q(media_type__in=MediaType.values), name="document_type_is_known"
            ),
            models.CheckConstraint(
                condition=Q(size_bytes__gte=1, size_bytes__lte=MAX_BYTES), name="document_size_is_bounded"
            ),
            models.CheckConstraint(
                condition=~Q(name="") & ~Q(name__regex=r"[/\\[:cntrl:]]"), name="document_name_is_plain"
            ),
            models.CheckConstraint(condition=~Q(kind="") & ~Q(number=""), name="document_has_its_case"),
        ]

    def __str__(self) -> str:
        """Return the id: names may say too much for a log."""
        return str(self.pk)
