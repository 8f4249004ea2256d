"""Creates the documents of cases."""

import uuid
from pathlib import Path

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

SQL = Path(__file__).parent.parent / "sql" / "0001_documents.sql"


class Migration(migrations.Migration):
    """The tables, and what the database itself makes sure of."""

    initial = True

    dependencies = [
        ("audit", "0002_control_role"),
        ("organisations", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Document",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("kind", models.CharField(max_length=20)),
                ("number", models.CharField(max_length=20)),
                ("name", models.CharField(max_length=120)),
                (
                    "media_type",
                    models.CharField(
                        choices=[
                            ("application/pdf", "PDF"),
                            (
                                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                                "DOCX",
                            ),
                            ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "XLSX"),
                            ("image/png", "PNG"),
                            ("image/jpeg", "JPEG"),
                            ("text/plain", "TXT"),
                        ],
                        max_length=80,
                    ),
                ),
                ("size_bytes", models.PositiveIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                ("content", models.BinaryField()),
                ("stored_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="documents",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "department",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="organisations.department",
                    ),
                ),
            ],
            options={
                "ordering": ["stored_at", "id"],
                "indexes": [models.Index(fields=["kind", "number", "stored_at"], name="document_by_case")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "media_type__in",
                                [
                                    "application/pdf",
                                    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                                    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                                    "image/png",
                                    "image/jpeg",
                                    "text/plain",
                                ],
                            )
                        ),
                        name="document_type_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("size_bytes__gte", 1), ("size_bytes__lte", 10485760)),
                        name="document_size_is_bounded",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("name", ""), _negated=True),
                            models.Q(("name__regex", "[/\\\\[:cntrl:]]"), _negated=True),
                        ),
                        name="document_name_is_plain",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", ""), _negated=True), models.Q(("number", ""), _negated=True)
                        ),
                        name="document_has_its_case",
                    ),
                ],
            },
        ),
        migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")]),
    ]
