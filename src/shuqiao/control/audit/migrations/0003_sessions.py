"""Keeps sessions, what applications sign of them, the public keys of applications, and promises."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0003_sessions.sql"


class Migration(migrations.Migration):
    """What makes a call provable to a third party later."""

    dependencies = [("audit", "0002_control_role"), ("basedata", "0004_structure")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
