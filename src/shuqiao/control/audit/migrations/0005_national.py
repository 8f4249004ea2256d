"""Lets applications sign with SM2."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0005_national.sql"


class Migration(migrations.Migration):
    """The algorithms an application may be registered with."""

    dependencies = [("audit", "0004_evidence")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
