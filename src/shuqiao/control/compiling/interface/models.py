"""What the interface keeps of its own: signatures used up, and departments' keys of their entries."""

from django.db import models
from django.db.models import Q

from shuqiao.control.organisations.models import Department


class UsedSignature(models.Model):
    """A signature that has been answered; the same one again is refused, in every process.

    The id is that of `wire.messages.call_entry_id`. A row may go once the signature's window is over.
    """

    id = models.UUIDField(primary_key=True)
    expires_at = models.DateTimeField()

    class Meta:
        """Looked up by id; removed by time."""

        indexes = [models.Index(fields=["expires_at"], name="used_signature_by_time")]

    def __str__(self) -> str:
        """Return the id."""
        return str(self.id)


class EntryKey(models.Model):
    """A department's own stable key of an entry, and the resource that stands for it for ever."""

    department = models.ForeignKey(Department, models.PROTECT, related_name="entry_keys")
    key = models.CharField(max_length=80)
    resource = models.CharField(max_length=20)
    created_at = models.DateTimeField()

    class Meta:
        """One resource for a key of a department; one key for a resource."""

        constraints = [
            models.UniqueConstraint(fields=["department", "key"], name="entry_key_once_in_a_department"),
            models.UniqueConstraint(fields=["resource"], name="one_entry_key_for_a_resource"),
            models.CheckConstraint(
                condition=Q(key__regex=r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,79}$"), name="entry_key_is_plain"
            ),
        ]

    def __str__(self) -> str:
        """Return department and key."""
        return f"{self.department_id}/{self.key}"
