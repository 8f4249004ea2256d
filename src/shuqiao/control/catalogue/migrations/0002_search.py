"""The table that searches look at, written in SQL because Django knows no partitions; and use figures."""

from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

SQL = Path(__file__).parent.parent / "sql" / "0002_search.sql"
UNDO = """
DROP TRIGGER search_follows ON catalogue_resource;
DROP FUNCTION follow_entries, store_search_rows, search_marks, keep_facet_values, facet_values;
DROP TABLE catalogue_search, catalogue_facetvalue;
"""


class Migration(migrations.Migration):
    dependencies = [("catalogue", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="EntryUse",
            fields=[
                (
                    "resource",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="use",
                        serialize=False,
                        to="catalogue.resource",
                    ),
                ),
                ("calls", models.PositiveIntegerField()),
                ("departments", models.PositiveIntegerField()),
                ("counted_at", models.DateTimeField()),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")], reverse_sql=UNDO)],
            state_operations=[
                migrations.CreateModel(
                    name="SearchRow",
                    fields=[
                        (
                            "resource",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.CASCADE,
                                primary_key=True,
                                related_name="search_row",
                                serialize=False,
                                to="catalogue.resource",
                            ),
                        ),
                        ("name", models.CharField(max_length=100)),
                        ("pinyin_key", models.CharField(max_length=400)),
                        ("in_force", models.BooleanField()),
                        ("shared", models.BooleanField()),
                    ],
                    options={"db_table": "catalogue_search"},
                ),
            ],
        ),
    ]
