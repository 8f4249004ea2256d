"""Changes of data, approved exceptions, hindrances, what recipients were told, and what came when."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Department

MAX_TEXT_CHARS = 1000


class DataChange(models.Model):
    """A change that the shared data of an entry must follow, by the rule that applied on its day.

    A term of the regulation runs as a clock and has its day there; `due_on` is the day of every other rule,
    None where neither the law nor the entry says one. A batch after `after_sequence` that changes rows
    brings it.
    """

    number = models.CharField(primary_key=True, max_length=20)
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    happened_on = models.DateField()
    description = models.CharField(max_length=MAX_TEXT_CHARS)
    noticed_by = models.ForeignKey(Department, models.PROTECT, related_name="+")
    registered_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()
    regulation = models.CharField(max_length=40)
    rule = models.CharField(max_length=40, blank=True)
    deadline = models.CharField(max_length=40, blank=True)
    due_on = models.DateField(null=True, blank=True)
    provisional = models.BooleanField(default=False)
    after_sequence = models.BigIntegerField()
    done_on = models.DateField(null=True, blank=True)
    by_batch = models.BigIntegerField(null=True, blank=True)
    statement = models.CharField(max_length=MAX_TEXT_CHARS, blank=True)
    entry_id = models.UUIDField()

    class Meta:
        """What is done says by what: a batch, or the provider's statement."""

        ordering = ["-registered_at", "-number"]
        indexes = [
            models.Index(fields=["department", "-registered_at"], name="data_change_by_department"),
            models.Index(fields=["resource"], condition=Q(done_on=None), name="open_data_change"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(done_on=None) | Q(done_on__gte=F("happened_on")), name="data_is_updated_later"
            ),
            models.CheckConstraint(
                condition=Q(done_on=None, by_batch=None, statement="")
                | Q(done_on__isnull=False, by_batch__isnull=False, statement="")
                | (Q(done_on__isnull=False, by_batch=None) & ~Q(statement="")),
                name="data_update_says_by_what",
            ),
            models.CheckConstraint(condition=~Q(description=""), name="data_change_is_described"),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class Decision(models.TextChoices):
    """What became of an application for slower updating."""

    ASKED = "asked", "待审核"
    APPROVED = "approved", "已批准"
    REFUSED = "refused", "未批准"


class SlowUpdate(models.Model):
    """An application to renew an entry in windows of the quarter only, and what was decided."""

    resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    regulation = models.CharField(max_length=40)
    rule = models.CharField(max_length=40)
    reason = models.CharField(max_length=MAX_TEXT_CHARS)
    asked_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    decision = models.CharField(max_length=10, choices=Decision.choices, default=Decision.ASKED)
    decided_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    decided_on = models.DateField(null=True, blank=True)
    note = models.CharField(max_length=MAX_TEXT_CHARS, blank=True)
    ended_on = models.DateField(null=True, blank=True)
    entry_id = models.UUIDField()

    class Meta:
        """One application or approval at a time for an entry; a decision has its person and day."""

        ordering = ["-asked_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource"],
                condition=Q(decision__in=["asked", "approved"], ended_on=None),
                name="one_exception_of_an_entry",
            ),
            models.CheckConstraint(
                condition=Q(decision="asked", decided_by=None, decided_on=None)
                | Q(
                    decision__in=["approved", "refused"],
                    decided_by__isnull=False,
                    decided_on__isnull=False,
                ),
                name="exception_is_decided_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        """Return the entry and what was decided."""
        return f"{self.resource_id}:{self.decision}"


class Hindrance(models.Model):
    """Force majeure: since when a provider can't provide, why, and what it does about it."""

    resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    began_on = models.DateField()
    cause = models.CharField(max_length=MAX_TEXT_CHARS)
    remedy = models.CharField(max_length=MAX_TEXT_CHARS)
    expected_on = models.DateField(null=True, blank=True)
    recorded_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    ended_on = models.DateField(null=True, blank=True)
    entry_id = models.UUIDField()

    class Meta:
        """One at a time for an entry; it names its cause and the remedy."""

        ordering = ["-recorded_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource"], condition=Q(ended_on=None), name="one_hindrance_of_an_entry"
            ),
            models.CheckConstraint(condition=~Q(cause="") & ~Q(remedy=""), name="hindrance_names_its_remedy"),
            models.CheckConstraint(
                condition=Q(ended_on=None) | Q(ended_on__gte=F("began_on")), name="hindrance_ends_later"
            ),
        ]

    def __str__(self) -> str:
        """Return the entry and since when."""
        return f"{self.resource_id}:{self.began_on}"


class Told(models.Model):
    """An update of which a department that holds the data was told, and how it confirmed.

    `up_to` is the newest batch it is told of; while nobody confirms, later batches move it on. `receipt` is
    the entry of the consumer node's signed receipt, where that confirmed.
    """

    resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    recipient = models.ForeignKey(Department, models.PROTECT, related_name="+")
    change = models.ForeignKey(DataChange, models.PROTECT, null=True, blank=True, related_name="told")
    up_to = models.BigIntegerField()
    ways = ArrayField(models.CharField(max_length=10))
    told_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    receipt = models.UUIDField(null=True, blank=True)

    class Meta:
        """One open notice for an entry and a recipient; a confirmation is a person's or a receipt's."""

        ordering = ["-told_at", "-id"]
        indexes = [models.Index(fields=["recipient", "-told_at"], name="told_by_recipient")]
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "recipient"], condition=Q(confirmed_at=None), name="told_once_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at=None, confirmed_by=None, receipt=None)
                | Q(confirmed_at__isnull=False, confirmed_by__isnull=False, receipt=None)
                | Q(confirmed_at__isnull=False, confirmed_by=None, receipt__isnull=False),
                name="update_is_confirmed_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        """Return the entry and the recipient."""
        return f"{self.resource_id}:{self.recipient_id}"


class Supply(models.Model):
    """Since when the deliveries of an entry are watched, and the last day on which they were up to date.

    Days of the database's clock: nodes and ledger live in real time. Up to `told_sequence` recipients have
    been told of batches.
    """

    resource = models.OneToOneField(Resource, models.CASCADE, primary_key=True, related_name="+")
    watched_from = models.DateField()
    watched_on = models.DateField()
    current_on = models.DateField(null=True, blank=True)
    told_sequence = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        """Return the entry."""
        return self.resource_id


class MissedCycle(models.Model):
    """A period of an entry's cycle in which nothing came; with the hindrance that stood, where one did."""

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="+")
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    starts_on = models.DateField()
    due_on = models.DateField()
    found_at = models.DateTimeField()
    hindrance = models.ForeignKey(Hindrance, models.PROTECT, null=True, blank=True, related_name="+")
    entry_id = models.UUIDField()

    class Meta:
        """Each period once."""

        ordering = ["-due_on", "-id"]
        indexes = [models.Index(fields=["department", "-due_on"], name="missed_by_department")]
        constraints = [
            models.UniqueConstraint(fields=["resource", "starts_on"], name="cycle_missed_once"),
            models.CheckConstraint(condition=Q(due_on__gte=F("starts_on")), name="cycle_has_a_period"),
        ]

    def __str__(self) -> str:
        """Return the entry and the period's last day."""
        return f"{self.resource_id}:{self.due_on}"
