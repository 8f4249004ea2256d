"""The city's standards and everything each has said; versions are added, never changed."""

from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.standards.contents import Kind

MAX_REASON_CHARS = 500


class Standard(models.Model):
    """One data element, code list, format or interface standard as it is in force."""

    kind = models.CharField(max_length=10)
    key = models.CharField(max_length=63)
    version = models.PositiveIntegerField()
    zh = models.CharField(max_length=100)
    en = models.CharField(max_length=160)
    # What lists are in order of: the Chinese name as pinyin.
    pinyin_key = models.CharField(max_length=700)
    # `contents.Content` as JSON.
    content = models.JSONField()
    # Names, synonyms, columns and matching standards in small letters: what a search looks into.
    search_text = models.TextField()
    ended = models.BooleanField(default=False)
    published_at = models.DateTimeField()

    class Meta:
        """A key names one standard of a kind."""

        ordering = ["kind", "key"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="standard_once"),
            models.CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in Kind]), name="standard_kind_is_known"
            ),
            models.CheckConstraint(
                condition=Q(key__regex=r"^[a-z][a-z0-9_]{0,62}$"), name="standard_key_is_well_formed"
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="standard_has_a_version"),
        ]

    def __str__(self) -> str:
        """Return kind, key and version."""
        return f"{self.kind}:{self.key}:{self.version}"


class StandardVersion(models.Model):
    """What a standard said in one version, why, and who published it; nobody is the platform's own files."""

    standard = models.ForeignKey(Standard, models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    content = models.JSONField()
    reason = models.CharField(max_length=MAX_REASON_CHARS)
    published_at = models.DateTimeField()
    published_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    entry_id = models.UUIDField()

    class Meta:
        """Each version once, the newest first."""

        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["standard", "version"], name="standard_version_once")]

    def __str__(self) -> str:
        """Return the standard and the version."""
        return f"{self.standard_id}:{self.version}"
