"""How many records of a list hold a value of each item."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0016_quality.sql"


class Migration(migrations.Migration):
    """The office counts values and reads none."""

    dependencies = [("basedata", "0015_screening")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
