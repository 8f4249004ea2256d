"""Keeps what processes state of the volumes their data lie on."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0007_volumes.sql"


class Migration(migrations.Migration):
    """The statements, and the one function that takes them."""

    dependencies = [("audit", "0006_retention"), ("basedata", "0005_bulk")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
