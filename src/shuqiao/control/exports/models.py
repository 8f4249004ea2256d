"""Which edition of the catalogue is given out now."""

from django.db import models


class Edition(models.Model):
    """A transaction that changed something of the catalogue; the database's own triggers write these rows."""

    changed_at = models.DateTimeField()
    writer = models.CharField(max_length=20)

    class Meta:
        """One row for a transaction; its number alone may come again after a restore."""

        constraints = [
            models.UniqueConstraint(fields=["changed_at", "writer"], name="one_edition_for_a_transaction")
        ]

    def __str__(self) -> str:
        """Return the number."""
        return str(self.pk)
