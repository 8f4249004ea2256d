"""Puts evidence of a call together."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0004_evidence.sql"


class Migration(migrations.Migration):
    """What a third party may be shown later."""

    dependencies = [("audit", "0003_sessions")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
