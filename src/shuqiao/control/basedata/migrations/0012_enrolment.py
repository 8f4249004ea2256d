"""Admission of nodes over the network, and revoking them."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0012_enrolment.sql"


class Migration(migrations.Migration):
    """Control makes tokens and takes requests; a process with a role of its own admits."""

    dependencies = [("basedata", "0011_clearances")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
