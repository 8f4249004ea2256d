"""What was guessed when a table was read, so that every guess can be told from what a person has written."""

from django.db import models

from shuqiao.control.compiling.models import Compilation


class TableReading(models.Model):
    """The structure a draft was proposed from, and every guess made of it."""

    compilation = models.OneToOneField(
        Compilation, models.CASCADE, primary_key=True, related_name="table_reading"
    )
    table = models.CharField(max_length=401)
    # Each as [column, type, field of its item].
    columns = models.JSONField()
    # Each as [path, value, basis].
    guesses = models.JSONField()
    read_at = models.DateTimeField()

    def __str__(self) -> str:
        """Return the number of the case."""
        return self.compilation_id
