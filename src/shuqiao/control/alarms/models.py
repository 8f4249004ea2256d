"""Daily figures of use, who asked for a subject, and the alarms raised from them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Department


class Reading(models.Model):
    """How far the log has been read: the next leaf. One row."""

    next_leaf = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        """Return the next leaf."""
        return str(self.next_leaf)


class UsageDay(models.Model):
    """What one application did on one legal day under one grant; refused calls may name none.

    `near` are calls whose number lies beside one asked for shortly before, `off_purpose` refused ones that
    named a purpose which no grant of the department on the resource has, `guessing` how often a budget
    against guessing was used up.
    """

    day = models.DateField()
    department = models.CharField(max_length=80)
    application = models.CharField(max_length=80)
    resource = models.CharField(max_length=64)
    grant = models.CharField(max_length=20, blank=True)
    calls = models.BigIntegerField(default=0)
    unknown = models.BigIntegerField(default=0)
    near = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    off_purpose = models.BigIntegerField(default=0)
    guessing = models.BigIntegerField(default=0)

    class Meta:
        """One row for each day and place."""

        constraints = [
            models.UniqueConstraint(
                fields=["department", "application", "resource", "grant", "day"], name="usage_of_a_day_once"
            )
        ]

    def __str__(self) -> str:
        """Return day and place."""
        return f"{self.day} {self.application} {self.resource}"


class SubjectDay(models.Model):
    """That a department asked for a record on a day; kept for as long as alarms look back."""

    resource = models.CharField(max_length=64)
    record = models.UUIDField()
    department = models.CharField(max_length=80)
    day = models.DateField()

    class Meta:
        """Once a day; found by day to be forgotten."""

        constraints = [
            models.UniqueConstraint(fields=["record", "department", "day"], name="subject_of_a_day_once")
        ]
        indexes = [models.Index(fields=["day"], name="subject_day_by_day")]

    def __str__(self) -> str:
        """Return record and department."""
        return f"{self.record} {self.department}"


class AlarmState(models.TextChoices):
    """How far the judgement is."""

    OPEN = "open", "待研判"
    ASKED = "asked", "待说明"
    EXPLAINED = "explained", "已说明"
    JUSTIFIED = "justified", "属正常使用"
    MISUSE = "misuse", "认定违规"


JUDGED = (AlarmState.JUSTIFIED, AlarmState.MISUSE)


class Alarm(models.Model):
    """Something that stands out, to be judged by the provider or the supervision; `key` says about what.

    `record` is the record's random id where one subject stands out, and nothing that names the person.
    """

    number = models.CharField(primary_key=True, max_length=20)
    kind = models.CharField(max_length=10)
    key = models.CharField(max_length=200)
    day = models.DateField()
    department = models.ForeignKey(Department, models.PROTECT, null=True, blank=True, related_name="+")
    provider = models.ForeignKey(Department, models.PROTECT, related_name="+")
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    application = models.CharField(max_length=80, blank=True)
    grant = models.CharField(max_length=20, blank=True)
    record = models.UUIDField(null=True, blank=True)
    # The codes of the departments that asked for one subject, which the figures behind it soon forget.
    departments = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    measured = models.BigIntegerField()
    limit = models.BigIntegerField()
    raised_at = models.DateTimeField()
    regulation = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=AlarmState.choices, default=AlarmState.OPEN)
    explanation = models.CharField(max_length=500, blank=True)
    explained_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=500, blank=True)
    judged_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    judged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """An alarm is raised once a day for one thing; a judgement has its reason and its person."""

        ordering = ["-raised_at", "-number"]
        indexes = [
            models.Index(fields=["provider", "state", "-raised_at"], name="alarm_by_provider"),
            models.Index(fields=["department", "-raised_at"], name="alarm_by_department"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["kind", "key", "day"], name="alarm_once_a_day"),
            models.CheckConstraint(
                condition=Q(
                    kind__in=["volume", "purpose", "subject", "unknown", "sequence", "guessing", "log"]
                ),
                name="alarm_kind_is_known",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "asked", "explained"], judged_by=None, judged_at=None)
                | (
                    Q(state__in=["justified", "misuse"], judged_by__isnull=False, judged_at__isnull=False)
                    & ~Q(reason="")
                ),
                name="judgement_has_its_person_and_reason",
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number
