"""The working-day calendar the office can edit: what law files and the national calendar do not settle."""

from django.db import models


class CalendarDay(models.Model):
    """A day that the office has set to be a working day or not, against the announced calendar."""

    day = models.DateField(primary_key=True)
    working = models.BooleanField()
    ground = models.CharField(max_length=200)
    set_at = models.DateTimeField()
    # The audit entry that says who did it.
    entry_id = models.UUIDField()

    class Meta:
        """In order of time."""

        ordering = ["day"]

    def __str__(self) -> str:
        """Return the day."""
        return self.day.isoformat()


class CalendarYear(models.Model):
    """A year that the office has opened: provisional until it is announced, and counted as such."""

    year = models.PositiveSmallIntegerField(primary_key=True)
    announced = models.BooleanField(default=False)
    ground = models.CharField(max_length=200)
    set_at = models.DateTimeField()
    # The audit entry that says who did it.
    entry_id = models.UUIDField()

    class Meta:
        """In order of time; only years that the calendar can speak of."""

        ordering = ["year"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(year__gte=2000, year__lte=2200), name="calendar_year_is_plausible"
            )
        ]

    def __str__(self) -> str:
        """Return the year."""
        return str(self.year)
