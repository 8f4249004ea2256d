"""Gives the running office a role of its own, which owns nothing."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0002_control_role.sql"


class Migration(migrations.Migration):
    """What control's role may do to its own tables and to the log."""

    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
