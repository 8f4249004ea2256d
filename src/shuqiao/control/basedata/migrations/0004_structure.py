"""Lets the structure of a list grow with its entry."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0004_structure.sql"


class Migration(migrations.Migration):
    """A repeated `exchange.create_list` adds the columns that are missing."""

    dependencies = [("basedata", "0003_last_batch")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
