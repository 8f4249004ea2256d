import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("organisations", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsedSignature",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["expires_at"], name="used_signature_by_time")],
            },
        ),
        migrations.CreateModel(
            name="EntryKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=80)),
                ("resource", models.CharField(max_length=20)),
                ("created_at", models.DateTimeField()),
                (
                    "department",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entry_keys",
                        to="organisations.department",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("department", "key"), name="entry_key_once_in_a_department"
                    ),
                    models.UniqueConstraint(fields=("resource",), name="one_entry_key_for_a_resource"),
                    models.CheckConstraint(
                        condition=models.Q(("key__regex", "^[A-Za-z0-9][A-Za-z0-9._~-]{0,79}$")),
                        name="entry_key_is_plain",
                    ),
                ],
            },
        ),
    ]
