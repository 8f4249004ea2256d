"""Files registered as resources: encrypted pieces, and the entries of their delivery."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0007_files.sql"


class Migration(migrations.Migration):
    """Control writes pieces and can't read them; the plane is given a key with the entry of a delivery."""

    dependencies = [("basedata", "0006_interfaces")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
