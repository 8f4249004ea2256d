"""Grants: signed permissions, and what became of them.

States are keys of the `grant` procedure of the grant's own regulation; constraints and indexes go by phase.
"""

from django.db import models
from django.db.models import F, Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Application, Department
from shuqiao.rules.regulation import Phase

KIND = "grant"
"""The kind of case, as procedures call it."""

IN_USE = Phase.GRANTED.value
SUSPENDED = Phase.WAITING.value
ENDED = Phase.CLOSED.value


class Grant(models.Model):
    """One grant; `document` is the signed text, the other columns repeat it for searching.

    The document never changes. A grant may be used while its phase is `granted` and its period lasts; a
    suspended one waits; what has ended stays ended.
    """

    number = models.CharField(primary_key=True, max_length=20)
    request_number = models.CharField(max_length=20)
    # A request that is disputed may be answered again; each answer gives at most one grant.
    round = models.PositiveSmallIntegerField(default=1)
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="grants")
    provider = models.ForeignKey(Department, models.PROTECT, related_name="grants_given")
    consumer = models.ForeignKey(Department, models.PROTECT, related_name="grants_received")
    applications = models.ManyToManyField(Application, related_name="grants")
    mode = models.CharField(max_length=12)
    match = models.CharField(max_length=4)
    fields = models.JSONField()
    purpose = models.CharField(max_length=200)
    valid_from = models.DateField()
    valid_until = models.DateField()
    document = models.TextField()
    signature = models.BinaryField()
    key_id = models.CharField(max_length=64)
    regulation = models.CharField(max_length=40)
    state = models.CharField(max_length=40)
    phase = models.CharField(max_length=10, default=IN_USE)
    issued_at = models.DateTimeField()
    # When access was open for the first time: with the decision, or on the first day of the period.
    opened_at = models.DateTimeField(null=True, blank=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspended_reason = models.CharField(max_length=500, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # The action of the procedure that has ended it.
    ended_by = models.CharField(max_length=40, blank=True)
    revoked_reason = models.CharField(max_length=500, blank=True)
    renews = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="renewals")

    class Meta:
        """A suspended or revoked grant has its reason; the last day is not before the first."""

        indexes = [
            models.Index(fields=["consumer", "phase", "valid_until"], name="grant_by_consumer"),
            models.Index(fields=["provider", "phase"], name="grant_by_provider"),
            models.Index(fields=["valid_until"], condition=~Q(phase=ENDED), name="grant_still_open"),
            models.Index(fields=["valid_from"], condition=Q(opened_at=None), name="grant_to_open"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["request_number", "round"], name="one_grant_per_answer"),
            models.UniqueConstraint(
                fields=["renews"], condition=~Q(phase=ENDED), name="one_renewal_of_a_grant"
            ),
            models.CheckConstraint(
                condition=Q(valid_until__gte=F("valid_from")), name="grant_period_is_forward"
            ),
            models.CheckConstraint(
                condition=Q(phase__in=[IN_USE, SUSPENDED, ENDED]), name="grant_phase_is_known"
            ),
            models.CheckConstraint(
                condition=~Q(ended_by="revoke") | ~Q(revoked_reason=""), name="revocation_has_a_reason"
            ),
            models.CheckConstraint(
                condition=Q(phase=SUSPENDED, suspended_at__isnull=False) & ~Q(suspended_reason="")
                | (~Q(phase=SUSPENDED) & Q(suspended_at=None, suspended_reason="")),
                name="suspension_has_its_time_and_reason",
            ),
            models.CheckConstraint(
                condition=(Q(phase=ENDED, ended_at__isnull=False) & ~Q(ended_by=""))
                | (~Q(phase=ENDED) & Q(ended_at=None, ended_by="")),
                name="ended_grant_has_its_time",
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class Medium(models.TextChoices):
    """What an offline delivery was carried on."""

    DISC = "disc", "光盘"
    USB = "usb", "移动存储介质"
    DRIVE = "drive", "硬盘"
    PAPER = "paper", "纸质"
    OTHER = "other", "其他"


class Handover(models.Model):
    """One delivery outside the network under a grant: who gave what to whom, when, on which medium (MOD-09).

    Rows are added, never changed; `digest` is the SHA-256 of what was handed over, where it is a file.
    Source: shenyang-2016 art. 20(2), 21.
    """

    grant = models.ForeignKey(Grant, models.PROTECT, related_name="handovers")
    handed_over_at = models.DateTimeField()
    handed_over_by = models.CharField(max_length=60)
    receiver = models.CharField(max_length=60)
    medium = models.CharField(max_length=10, choices=Medium.choices)
    # The mark or serial number by which the medium is known again.
    medium_mark = models.CharField(max_length=100)
    content = models.CharField(max_length=500)
    records = models.PositiveIntegerField(null=True, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    recorded_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    entry_id = models.UUIDField()

    class Meta:
        """The same medium is handed over once at one moment, however often the form is sent."""

        ordering = ["-handed_over_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["grant", "handed_over_at", "medium", "medium_mark"], name="handover_is_recorded_once"
            ),
            models.CheckConstraint(condition=Q(medium__in=Medium.values), name="handover_medium_is_known"),
            models.CheckConstraint(
                condition=Q(digest="") | Q(digest__regex=r"^[0-9a-f]{64}$"), name="handover_digest_is_sha256"
            ),
            models.CheckConstraint(
                condition=Q(handed_over_at__lte=F("recorded_at")), name="handover_is_not_foretold"
            ),
        ]

    def __str__(self) -> str:
        """Return the grant and the moment."""
        return f"{self.grant_id}:{self.handed_over_at.isoformat()}"
