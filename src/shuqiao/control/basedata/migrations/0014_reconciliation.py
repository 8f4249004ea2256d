"""Reconciliation of shared data with their source, and removals that wait for a person's word."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0014_reconciliation.sql"


class Migration(migrations.Migration):
    """Control asks and reads, the loader compares; what both keep is the ledger of reconciliations."""

    dependencies = [("basedata", "0013_recalls")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
