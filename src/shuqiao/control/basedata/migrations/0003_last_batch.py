"""Lets the loader ask for the generation of the last batch."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0003_last_batch.sql"


class Migration(migrations.Migration):
    """Sequence and generation of the last batch merged."""

    dependencies = [("basedata", "0002_lists")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
