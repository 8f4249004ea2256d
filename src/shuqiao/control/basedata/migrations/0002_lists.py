"""Lets control ask for the tables of a list, which only the owner of the schemas can make."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "0002_lists.sql"


class Migration(migrations.Migration):
    """The templates of each list's functions, and what control's own role may do in the contract schema."""

    dependencies = [("basedata", "0001_initial"), ("audit", "0002_control_role")]
    operations = [migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")])]
