"""Requests for information outside the catalogue, requests to publish, and what happened to them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.grants.models import Grant
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.rules.regulation import Phase

MAX_TEXT_CHARS = 1000
MAX_PURPOSE_CHARS = 200

_PHASES = [phase.value for phase in Phase]


class OutsideRequest(models.Model):
    """Information wanted that no catalogue entry offers, asked of the body that presumably holds it."""

    number = models.CharField(max_length=20, unique=True, null=True, blank=True)
    requester = models.ForeignKey(Department, models.PROTECT, related_name="+")
    provider = models.ForeignKey(Department, models.PROTECT, related_name="+")
    created_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    wanted = models.CharField(max_length=MAX_TEXT_CHARS, blank=True)
    duty = models.ForeignKey(Duty, models.PROTECT, null=True, blank=True, related_name="+")
    purpose = models.CharField(max_length=MAX_PURPOSE_CHARS, blank=True)
    regulation = models.CharField(max_length=40)
    state = models.CharField(max_length=40)
    phase = models.CharField(max_length=10)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """A case that has been sent is complete; a department doesn't ask itself."""

        indexes = [
            models.Index(fields=["requester", "-changed_at"], name="outside_by_requester"),
            models.Index(fields=["provider", "-changed_at"], name="outside_by_provider"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(phase__in=_PHASES), name="outside_phase_is_known"),
            models.CheckConstraint(
                condition=Q(number=None, submitted_at=None, phase__in=["draft", "closed"])
                | (
                    Q(number__isnull=False, submitted_at__isnull=False, duty__isnull=False)
                    & ~Q(phase="draft")
                    & ~Q(wanted="")
                    & ~Q(purpose="")
                ),
                name="sent_outside_request_is_complete",
            ),
            models.CheckConstraint(condition=~Q(requester=F("provider")), name="outside_has_two_sides"),
        ]

    def __str__(self) -> str:
        """Return the number, or the key of a draft."""
        return self.number or f"draft {self.pk}"


class Publication(models.Model):
    """A request to the provider to pass on or publish what was obtained under a grant (SEC-15)."""

    number = models.CharField(max_length=20, unique=True, null=True, blank=True)
    requester = models.ForeignKey(Department, models.PROTECT, related_name="+")
    provider = models.ForeignKey(Department, models.PROTECT, related_name="+")
    created_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    grant = models.ForeignKey(Grant, models.PROTECT, related_name="publications")
    fields = ArrayField(models.CharField(max_length=63), default=list)
    content = models.CharField(max_length=MAX_TEXT_CHARS, blank=True)
    audience = models.CharField(max_length=MAX_PURPOSE_CHARS, blank=True)
    channel = models.CharField(max_length=MAX_PURPOSE_CHARS, blank=True)
    purpose = models.CharField(max_length=MAX_PURPOSE_CHARS, blank=True)
    # Where what was published stands: a document's number, a page's address.
    published = models.CharField(max_length=MAX_TEXT_CHARS, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    regulation = models.CharField(max_length=40)
    state = models.CharField(max_length=40)
    phase = models.CharField(max_length=10)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """A case that has been sent is complete; what was published is named together with its time."""

        indexes = [
            models.Index(fields=["requester", "-changed_at"], name="publication_by_requester"),
            models.Index(fields=["provider", "-changed_at"], name="publication_by_provider"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(phase__in=_PHASES), name="publication_phase_is_known"),
            models.CheckConstraint(
                condition=Q(number=None, submitted_at=None, phase__in=["draft", "closed"])
                | (
                    Q(number__isnull=False, submitted_at__isnull=False, fields__len__gt=0)
                    & ~Q(phase="draft")
                    & ~Q(content="")
                    & ~Q(audience="")
                ),
                name="sent_publication_is_complete",
            ),
            models.CheckConstraint(
                condition=Q(published="", published_at=None)
                | (~Q(published="") & Q(published_at__isnull=False, phase="closed")),
                name="published_item_has_its_time",
            ),
            models.CheckConstraint(condition=~Q(requester=F("provider")), name="publication_has_two_sides"),
        ]

    def __str__(self) -> str:
        """Return the number, or the key of a draft."""
        return self.number or f"draft {self.pk}"


class CaseEvent(models.Model):
    """One step of a case that has been sent; rows are added, never changed. `words` are what it brought."""

    kind = models.CharField(max_length=20)
    number = models.CharField(max_length=20)
    action = models.CharField(max_length=40)
    to_state = models.CharField(max_length=40)
    occurred_at = models.DateTimeField()
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    department = models.ForeignKey(Department, models.PROTECT, null=True, blank=True, related_name="+")
    words = models.JSONField(default=dict)
    article = models.CharField(max_length=60)
    entry_id = models.UUIDField()

    class Meta:
        """In order of time; a case is sent once."""

        ordering = ["occurred_at", "id"]
        indexes = [models.Index(fields=["kind", "number", "occurred_at"], name="case_event_by_case")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "number"], condition=Q(action="submit"), name="outside_case_is_sent_once"
            ),
        ]

    def __str__(self) -> str:
        """Return case and action."""
        return f"{self.number}:{self.action}"
