"""Other exchange systems and the steps of moving them."""

from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Department
from shuqiao.rules.exchange_systems import KINDS, STATES


class ExchangeSystem(models.Model):
    """A system beside the platform by which departments exchange information, until it has moved.

    Source: guangzhou-2019-165 art. 16¶3; guangzhou-2016 art. 8¶4; shenyang-2016 art. 6¶2, 9; MOD-12.
    """

    number = models.CharField(primary_key=True, max_length=20)
    department = models.ForeignKey(Department, models.PROTECT, related_name="exchange_systems")
    kind = models.CharField(max_length=10)
    name = models.CharField(max_length=100)
    purpose = models.CharField(max_length=300)
    partners = models.CharField(max_length=300)
    # Empty where it is not running yet.
    running_since = models.DateField(null=True, blank=True)
    plan = models.CharField(max_length=500)
    planned_until = models.DateField()
    state = models.CharField(max_length=10)
    regulation = models.CharField(max_length=40)
    registered_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()

    class Meta:
        """A department registers a system once."""

        ordering = ["department", "number"]
        constraints = [
            models.UniqueConstraint(fields=["department", "name"], name="exchange_system_once"),
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="exchange_system_kind_is_known"),
            models.CheckConstraint(condition=Q(state__in=STATES), name="exchange_system_state_is_known"),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class MappedEntry(models.Model):
    """An entry of the catalogue that stands for something the system exchanges. Source: ONB-03."""

    system = models.ForeignKey(ExchangeSystem, models.CASCADE, related_name="mapped")
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    # What the other system calls it.
    what = models.CharField(max_length=200)
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    mapped_at = models.DateTimeField()

    class Meta:
        """Each flow of a system is mapped once to an entry."""

        ordering = ["mapped_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["system", "resource", "what"], name="exchange_is_mapped_once")
        ]

    def __str__(self) -> str:
        """Return the system and the entry."""
        return f"{self.system_id}:{self.resource_id}"


class ExchangeSystemStep(models.Model):
    """One report of the state of moving; rows are added, never changed."""

    system = models.ForeignKey(ExchangeSystem, models.CASCADE, related_name="steps")
    state = models.CharField(max_length=10)
    note = models.CharField(max_length=500)
    planned_until = models.DateField()
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    occurred_at = models.DateTimeField()
    entry_id = models.UUIDField()

    class Meta:
        """Newest first."""

        ordering = ["-occurred_at", "-id"]

    def __str__(self) -> str:
        """Return the system and the state."""
        return f"{self.system_id}:{self.state}"
