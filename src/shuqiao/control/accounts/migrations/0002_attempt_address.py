"""Counts sign-in attempts by address too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A keyed digest of the address an attempt came from."""

    dependencies = [("accounts", "0001_initial")]
    operations = [
        migrations.AddField(
            model_name="signinattempt",
            name="address_key",
            field=models.CharField(default="", max_length=40),
        ),
        migrations.AddIndex(
            model_name="signinattempt",
            index=models.Index(fields=["address_key", "-attempted_at"], name="attempt_by_address_and_time"),
        ),
    ]
