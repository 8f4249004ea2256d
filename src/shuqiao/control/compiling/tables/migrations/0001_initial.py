import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("compiling", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="TableReading",
            fields=[
                (
                    "compilation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="table_reading",
                        serialize=False,
                        to="compiling.compilation",
                    ),
                ),
                ("table", models.CharField(max_length=401)),
                ("columns", models.JSONField()),
                ("guesses", models.JSONField()),
                ("read_at", models.DateTimeField()),
            ],
        ),
    ]
