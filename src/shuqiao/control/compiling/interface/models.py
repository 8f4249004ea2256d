"""What the interface keeps of its own: the signatures that have been used up."""

from django.db import models


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
