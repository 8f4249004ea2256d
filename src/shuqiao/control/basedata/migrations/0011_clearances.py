"""Reviews that must stand before data are provided."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0011_clearances.sql"


class Migration(migrations.Migration):
    """Control signs them, the loader asks for them, each batch cites them."""

    dependencies = [("basedata", "0010_receiving")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
