"""Recalls of copies, receipts of deletion, and feeds that their consumer ends."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0013_recalls.sql"


class Migration(migrations.Migration):
    """Control calls copies back, the plane keeps what holders sign."""

    dependencies = [("basedata", "0012_enrolment")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
