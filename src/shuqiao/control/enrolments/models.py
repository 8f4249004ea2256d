"""Requests to enrol the key of a system, and how each was decided."""

import uuid

from django.db import models
from django.db.models import F, Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.organisations.models import Department, SignatureAlgorithm


class EnrolmentState(models.TextChoices):
    """How far a request is."""

    WAITING = "waiting", "待审核"
    ADMITTED = "admitted", "已接入"
    REFUSED = "refused", "未通过"
    WITHDRAWN = "withdrawn", "已撤回"


class KeyEnrolment(models.Model):
    """A department asks that a system of it may sign calls with this key; someone of another body decides.

    The first admitted key of an `application` enrols it, a later one replaces its key.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = models.CharField(max_length=60)
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    name_zh = models.CharField(max_length=100)
    name_en = models.CharField(max_length=160, blank=True)
    algorithm = models.CharField(max_length=20, choices=SignatureAlgorithm.choices)
    public_key = models.BinaryField()
    key_id = models.CharField(max_length=16)
    state = models.CharField(max_length=10, choices=EnrolmentState.choices, default=EnrolmentState.WAITING)
    asked_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    decided_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        """Nobody admits what they asked for; one open request for a system; a key is used once."""

        ordering = ["-asked_at"]
        indexes = [models.Index(fields=["department", "-asked_at"], name="enrolment_by_department")]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "admitted", "refused", "withdrawn"]),
                name="enrolment_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", decided_by=None, decided_at=None)
                | (~Q(state="waiting") & Q(decided_by__isnull=False, decided_at__isnull=False)),
                name="decided_enrolment_names_who_decided",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["admitted", "refused"]) | ~Q(decided_by=F("asked_by")),
                name="enrolment_takes_two_persons",
            ),
            models.CheckConstraint(
                condition=~Q(state="refused") | ~Q(reason=""), name="refused_enrolment_says_why"
            ),
            models.UniqueConstraint(
                fields=["application"],
                condition=Q(state="waiting"),
                name="application_has_one_open_enrolment",
            ),
            models.UniqueConstraint(
                fields=["key_id"], condition=Q(state__in=["waiting", "admitted"]), name="key_is_enrolled_once"
            ),
        ]

    def __str__(self) -> str:
        """Return application and state."""
        return f"{self.application}:{self.state}"
