"""The editions of the catalogue, and the triggers that count them."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent.parent / "sql" / "0001_edition.sql"


class Migration(migrations.Migration):
    """One table, and a trigger on each table that is given to others."""

    initial = True
    dependencies = [("catalogue", "0001_initial"), ("organisations", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="Edition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("changed_at", models.DateTimeField()),
                ("writer", models.CharField(max_length=20)),
            ],
        ),
        migrations.AddConstraint(
            model_name="edition",
            constraint=models.UniqueConstraint(
                fields=("changed_at", "writer"), name="one_edition_for_a_transaction"
            ),
        ),
        migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")]),
    ]
