"""Creates the audit log."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0001_audit.sql"


class Migration(migrations.Migration):
    """The tables, the one way to write, and who may read."""

    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")], reverse_sql="DROP SCHEMA audit CASCADE"),
    ]
