"""What nodes say of themselves, and what the office asks of them."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0009_nodes.sql"


class Migration(migrations.Migration):
    """The loader keeps their states, control reads them and gives orders."""

    dependencies = [("basedata", "0008_held")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
