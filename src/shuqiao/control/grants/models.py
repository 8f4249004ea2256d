"""Grants: signed permissions, and what became of them."""

from django.db import models
from django.db.models import F, Q

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Application, Department


class GrantState(models.TextChoices):
    """A grant never changes but in state: it ends by date or by revocation."""

    ACTIVE = "active", "使用中"
    EXPIRED = "expired", "已到期"
    REVOKED = "revoked", "已停用"


class Grant(models.Model):
    """One grant; `document` is the signed text, the other columns repeat it for searching."""

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
    state = models.CharField(max_length=8, choices=GrantState.choices, default=GrantState.ACTIVE)
    issued_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        """A revoked grant has its reason; the last day is not before the first."""

        indexes = [
            models.Index(fields=["consumer", "state", "valid_until"], name="grant_by_consumer"),
            models.Index(fields=["provider", "state"], name="grant_by_provider"),
            models.Index(fields=["valid_until"], condition=Q(state="active"), name="grant_still_active"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["request_number", "round"], name="one_grant_per_answer"),
            models.CheckConstraint(
                condition=Q(valid_until__gte=F("valid_from")), name="grant_period_is_forward"
            ),
            models.CheckConstraint(
                condition=~Q(state="revoked") | ~Q(revoked_reason=""), name="revocation_has_a_reason"
            ),
            models.CheckConstraint(
                condition=Q(state="active", ended_at=None) | (~Q(state="active") & Q(ended_at__isnull=False)),
                name="ended_grant_has_its_time",
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number
