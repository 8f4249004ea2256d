"""Changes that the catalogue must follow, the entries each touches, and the regular full maintenance."""

from django.db import models
from django.db.models import F, Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Department

MAX_TEXT_CHARS = 1000
MAX_DOCUMENT_CHARS = 200


class ChangeKind(models.TextChoices):
    """What has changed."""

    LAW = "law", "法律法规修改"
    FUNCTIONS = "functions", "行政职能变更"
    RESOURCE = "resource", "目录要素或可共享资源变化"


class Change(models.Model):
    """A change of the law, of a department's functions or of its resources, from which its term runs."""

    number = models.CharField(primary_key=True, max_length=20)
    kind = models.CharField(max_length=10, choices=ChangeKind.choices)
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    happened_on = models.DateField()
    document = models.CharField(max_length=MAX_DOCUMENT_CHARS)
    description = models.CharField(max_length=MAX_TEXT_CHARS)
    regulation = models.CharField(max_length=40)
    # The term that runs and the event that meets it; a regulation without one sets none.
    deadline = models.CharField(max_length=40, blank=True)
    met_by = models.CharField(max_length=40)
    registered_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()
    done_on = models.DateField(null=True, blank=True)
    # Why entries that were not updated need no update.
    closing = models.CharField(max_length=MAX_TEXT_CHARS, blank=True)
    entry_id = models.UUIDField()

    class Meta:
        """A change is never done before it happened."""

        ordering = ["-registered_at", "-number"]
        indexes = [
            models.Index(fields=["department", "-registered_at"], name="change_by_department"),
            models.Index(fields=["department"], condition=Q(done_on=None), name="open_change_by_department"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["law", "functions", "resource"]), name="change_kind_is_known"
            ),
            models.CheckConstraint(
                condition=Q(done_on=None) | Q(done_on__gte=F("happened_on")), name="change_is_done_later"
            ),
            models.CheckConstraint(
                condition=~Q(document="") & ~Q(description=""), name="change_names_its_document"
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class Touched(models.Model):
    """An entry that a change touches, and the case of the catalogue that brought it up to date."""

    change = models.ForeignKey(Change, models.CASCADE, related_name="touched")
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    compilation = models.CharField(max_length=20, blank=True)
    done_on = models.DateField(null=True, blank=True)

    class Meta:
        """An entry once in a change; what is done names its case."""

        constraints = [
            models.UniqueConstraint(fields=["change", "resource"], name="entry_once_in_a_change"),
            models.CheckConstraint(
                condition=Q(done_on=None, compilation="") | (Q(done_on__isnull=False) & ~Q(compilation="")),
                name="touched_entry_names_its_case",
            ),
        ]
        indexes = [models.Index(fields=["resource"], condition=Q(done_on=None), name="touched_open_entry")]

    def __str__(self) -> str:
        """Return change and entry."""
        return f"{self.change_id}:{self.resource_id}"


class Maintenance(models.Model):
    """One department's full maintenance of one period: what was checked and found, and who signed it.

    `findings` are those of the signed state; `counts` number them by kind.
    """

    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    starts_on = models.DateField()
    due_on = models.DateField()
    regulation = models.CharField(max_length=40)
    checked_at = models.DateTimeField(null=True, blank=True)
    entries = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)
    findings = models.JSONField(default=list)
    statement = models.CharField(max_length=MAX_TEXT_CHARS, blank=True)
    signed_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    signed_at = models.DateTimeField(null=True, blank=True)
    entry_id = models.UUIDField(null=True, blank=True)
    told_soon = models.BooleanField(default=False)
    told_over = models.BooleanField(default=False)

    class Meta:
        """One for each period; what is signed was checked and has its entry in the log."""

        ordering = ["-starts_on", "department"]
        constraints = [
            models.UniqueConstraint(fields=["department", "starts_on"], name="one_maintenance_a_period"),
            models.CheckConstraint(condition=Q(due_on__gt=F("starts_on")), name="maintenance_has_a_period"),
            models.CheckConstraint(
                condition=Q(signed_at=None, signed_by=None, entry_id=None)
                | Q(
                    signed_at__isnull=False,
                    signed_by__isnull=False,
                    entry_id__isnull=False,
                    checked_at__isnull=False,
                ),
                name="signed_maintenance_is_complete",
            ),
        ]

    def __str__(self) -> str:
        """Return department and period."""
        return f"{self.department_id}:{self.starts_on}"
