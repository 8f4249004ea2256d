"""Receipts of consumers for the parts of feeds, and notices instead of looking."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0010_receiving.sql"


class Migration(migrations.Migration):
    """The plane keeps receipts, the process for copies and the plane hear of what is new."""

    dependencies = [("basedata", "0009_nodes")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
