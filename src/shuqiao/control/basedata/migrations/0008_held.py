"""Data that stay with the department: entries of calls its node answers, and its log held against ours."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0008_held.sql"


class Migration(migrations.Migration):
    """The plane writes entries, the loader compares logs, control reads what was found."""

    dependencies = [("basedata", "0007_files")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
