"""The terms that run in cases of every kind: a case is known here by its kind and number only."""

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from shuqiao.control.organisations.models import Department


class ClockState(models.TextChoices):
    """How a clock stands. One that is over still runs on until it is met or its case ends."""

    RUNNING = "running", "计算中"
    PAUSED = "paused", "已中止"
    MET = "met", "已履行"
    OVER = "over", "已逾期"
    VOID = "void", "已失效"


class Clock(models.Model):
    """One term of one case. What it was counted from is kept, so that it can be counted anew.

    A term that begins again in the same case is a new round; the earlier one stays as it ended. `regulation`
    is the one the term was started under, whatever becomes of the case.
    """

    kind = models.CharField(max_length=20)
    number = models.CharField(max_length=30)
    deadline = models.CharField(max_length=40)
    round = models.PositiveSmallIntegerField(default=1)
    regulation = models.CharField(max_length=40)
    # Who must act, and who waits for it.
    holder = models.ForeignKey(Department, models.PROTECT, related_name="+")
    other = models.ForeignKey(Department, models.PROTECT, null=True, blank=True, related_name="+")
    # Legal days. `due_on` is counted from all the rest by the calendar, and is provisional as long as a year
    # on the way is not announced.
    starts_on = models.DateField()
    working_days = models.PositiveSmallIntegerField()
    extended_days = models.PositiveSmallIntegerField(default=0)
    times_extended = models.PositiveSmallIntegerField(default=0)
    paused_on = ArrayField(models.DateField(), default=list)
    resumed_on = ArrayField(models.DateField(), default=list)
    due_on = models.DateField()
    provisional = models.BooleanField()
    state = models.CharField(max_length=8, choices=ClockState.choices, default=ClockState.RUNNING)
    # The legal day on which it was met or ended with its case; an open clock has none.
    ended_on = models.DateField(null=True, blank=True)
    # For which last day each reminder has gone out, so that a day that moves is told of again.
    told_soon = models.DateField(null=True, blank=True)
    told_due = models.DateField(null=True, blank=True)
    told_over = models.DateField(null=True, blank=True)

    class Meta:
        """One clock for each round, and one that is open; half-written states cannot be stored."""

        indexes = [
            models.Index(fields=["due_on"], condition=Q(ended_on=None), name="open_clock_by_day"),
            models.Index(
                fields=["holder", "due_on"],
                include=["kind", "regulation", "deadline", "number"],
                condition=Q(ended_on=None),
                name="open_clock_by_holder",
            ),
            models.Index(
                fields=["kind", "deadline", "due_on"],
                condition=Q(ended_on=None),
                name="open_clock_by_deadline",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "number", "deadline", "round"], name="one_clock_per_round"
            ),
            models.UniqueConstraint(
                fields=["kind", "number", "deadline"], condition=Q(ended_on=None), name="one_open_clock"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["running", "paused"], ended_on=None)
                | Q(state__in=["met", "void"], ended_on__isnull=False)
                | Q(state="over"),
                name="ended_clock_has_its_day",
            ),
            models.CheckConstraint(
                condition=Q(state="paused", paused_on__len=F("resumed_on__len") + 1)
                | (~Q(state="paused") & Q(ended_on__isnull=False))
                | (~Q(state="paused") & Q(paused_on__len=F("resumed_on__len"))),
                name="paused_clock_has_an_open_pause",
            ),
            models.CheckConstraint(
                condition=Q(due_on__gte=F("starts_on"), working_days__gt=0), name="clock_ends_after_its_start"
            ),
        ]

    def __str__(self) -> str:
        """Return case and deadline."""
        return f"{self.kind}:{self.number}:{self.deadline}:{self.round}"


class SimulatedTime(models.Model):
    """How far a sample installation's time is ahead of the real one; one row, or none."""

    ahead = models.DurationField()

    class Meta:
        """One row; time never runs behind the real one."""

        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="one_simulated_time"),
            models.CheckConstraint(condition=Q(ahead__gte=timedelta()), name="simulated_time_is_ahead"),
        ]

    def __str__(self) -> str:
        """Return the time ahead."""
        return str(self.ahead)
