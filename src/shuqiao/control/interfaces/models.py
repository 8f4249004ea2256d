"""The interfaces that departments have registered, each version with its document."""

from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource


class Interface(models.Model):
    """One version of the description of an entry's interface; rows are ended, not changed.

    `document` is what the department uploaded, `description` what was read of it
    (`wire.interface.Description`). Source: shenyang-2016 art. 21; xiamen-2015 art. 10; MOD-07.
    """

    resource = models.ForeignKey(Resource, models.PROTECT, related_name="interfaces")
    document = models.TextField()
    description = models.JSONField()
    title = models.CharField(max_length=500, blank=True)
    version = models.CharField(max_length=500, blank=True)
    timeout_s = models.PositiveSmallIntegerField()
    offered_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    offered_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    entry_id = models.UUIDField()

    class Meta:
        """An entry has one interface at a time."""

        ordering = ["resource", "-offered_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource"], condition=Q(ended_at=None), name="entry_has_one_interface"
            ),
            models.CheckConstraint(
                condition=Q(timeout_s__gte=1, timeout_s__lte=50), name="interface_timeout_is_bounded"
            ),
        ]

    def __str__(self) -> str:
        """Return the entry and the version."""
        return f"{self.resource_id}:{self.version}"
