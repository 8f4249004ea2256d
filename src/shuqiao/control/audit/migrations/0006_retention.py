"""Lets go of what entries say when its retention ends."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0006_retention.sql"


class Migration(migrations.Migration):
    """The retention, and the one function that applies it."""

    dependencies = [("audit", "0005_national")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
