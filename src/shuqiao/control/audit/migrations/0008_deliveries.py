"""Shows what was delivered in every way, and puts evidence of a copy together."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0008_deliveries.sql"


class Migration(migrations.Migration):
    """Which version of a record a call, a copy, a part of a feed or a browsed page gave."""

    dependencies = [("audit", "0007_volumes"), ("basedata", "0008_held")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
