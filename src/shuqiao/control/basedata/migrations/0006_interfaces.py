"""Proxied interfaces: what the plane knows of them, and the entries of their calls."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0006_interfaces.sql"


class Migration(migrations.Migration):
    """The address and the credentials of an interface stay with the department's node."""

    dependencies = [("basedata", "0005_bulk")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
