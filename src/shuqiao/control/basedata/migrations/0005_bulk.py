"""Bulk copy and online browse: jobs, subscriptions, and the functions that read under a grant."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0005_bulk.sql"


class Migration(migrations.Migration):
    """The process that prepares copies has a role of its own, `shuqiao_bulk`."""

    dependencies = [("basedata", "0004_structure")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
