"""Creates the contract schema and the schemas of the base tables."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0001_exchange.sql"


class Migration(migrations.Migration):
    """The contract, version 1; each list's own table is made when its entry is published."""

    initial = True
    dependencies = [("audit", "0001_initial")]
    operations = [
        migrations.RunSQL(
            sql=[SQL.read_text(encoding="utf-8")],
            reverse_sql="DROP SCHEMA base, base_history, staging, exchange CASCADE",
        ),
    ]
