"""Rules of screening, what was held back and released, and the columns that mappings read."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0015_screening.sql"


class Migration(migrations.Migration):
    """The office keeps the rules; loader and nodes work by them."""

    dependencies = [("basedata", "0014_reconciliation")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
