"""Creates disputes and all that comes of them."""

from pathlib import Path

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

SQL = Path(__file__).parent.parent / "sql" / "0001_disputes.sql"


class Migration(migrations.Migration):
    """The tables, and what the database itself makes sure of."""

    initial = True

    dependencies = [
        ("audit", "0002_control_role"),
        ("documents", "0001_initial"),
        ("organisations", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DisputeStep",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("regulation", models.CharField(max_length=40)),
                ("action", models.CharField(max_length=40)),
                ("from_state", models.CharField(blank=True, max_length=40)),
                ("to_state", models.CharField(max_length=40)),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("waiting", "waiting"),
                            ("granted", "granted"),
                            ("refused", "refused"),
                            ("disputed", "disputed"),
                            ("closed", "closed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("final", models.BooleanField()),
                ("requires", models.CharField(blank=True, max_length=200)),
                ("publishes", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="JointReviewSession",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.CharField(max_length=20, unique=True)),
                ("regulation", models.CharField(max_length=40)),
                ("collected_on", models.DateField()),
                ("held_on", models.DateField(blank=True, null=True)),
                ("convened_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-collected_on", "-id"],
            },
        ),
        migrations.CreateModel(
            name="ProjectBar",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("year", models.PositiveSmallIntegerField()),
                ("sanction", models.CharField(max_length=40)),
                ("article", models.CharField(max_length=60)),
                ("set_at", models.DateTimeField()),
                ("entry_id", models.UUIDField()),
            ],
            options={
                "ordering": ["-year", "department"],
            },
        ),
        migrations.CreateModel(
            name="RulingApplication",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.CharField(max_length=2000)),
                ("applied_at", models.DateTimeField()),
                ("entry_id", models.UUIDField(unique=True)),
            ],
            options={
                "ordering": ["applied_at", "id"],
            },
        ),
        migrations.CreateModel(
            name="Dispute",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.CharField(max_length=20, unique=True)),
                ("kind", models.CharField(max_length=40)),
                ("case_kind", models.CharField(blank=True, max_length=20)),
                ("case_number", models.CharField(blank=True, max_length=20)),
                ("resource", models.CharField(blank=True, max_length=30)),
                ("subject", models.CharField(blank=True, max_length=200)),
                ("reason", models.CharField(max_length=2000)),
                ("article", models.CharField(max_length=60)),
                ("regulation", models.CharField(max_length=40)),
                ("state", models.CharField(max_length=40)),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("waiting", "waiting"),
                            ("granted", "granted"),
                            ("refused", "refused"),
                            ("disputed", "disputed"),
                            ("closed", "closed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("final", models.BooleanField(default=False)),
                ("step", models.PositiveSmallIntegerField(default=1)),
                ("shared", models.BooleanField(null=True)),
                ("opened_at", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "applicant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="disputes_brought",
                        to="organisations.department",
                    ),
                ),
                (
                    "opened_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "respondent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="disputes_answered",
                        to="organisations.department",
                    ),
                ),
            ],
            options={
                "ordering": ["-opened_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="AgendaItem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "dispute",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="agenda_items",
                        to="disputes.dispute",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="DisputeEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sequence", models.PositiveSmallIntegerField()),
                ("previous", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("regulation", models.CharField(max_length=40)),
                ("action", models.CharField(max_length=40)),
                ("from_state", models.CharField(blank=True, max_length=40)),
                ("to_state", models.CharField(max_length=40)),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("waiting", "waiting"),
                            ("granted", "granted"),
                            ("refused", "refused"),
                            ("disputed", "disputed"),
                            ("closed", "closed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("final", models.BooleanField()),
                ("requires", models.CharField(blank=True, max_length=200)),
                ("publishes", models.BooleanField(default=False)),
                ("occurred_at", models.DateTimeField()),
                ("article", models.CharField(max_length=60)),
                ("entry_id", models.UUIDField(unique=True)),
                ("minutes", models.CharField(blank=True, max_length=10000)),
                ("result", models.CharField(blank=True, max_length=2000)),
                ("opinion", models.CharField(blank=True, max_length=2000)),
                ("reason", models.CharField(blank=True, max_length=2000)),
                ("shared", models.BooleanField(null=True)),
                ("decided_on", models.DateField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["dispute", "sequence"],
            },
        ),
        migrations.AddField(
            model_name="disputeevent",
            name="attachment",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="documents.document",
            ),
        ),
        migrations.AddField(
            model_name="disputeevent",
            name="department",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="organisations.department",
            ),
        ),
        migrations.AddField(
            model_name="disputeevent",
            name="dispute",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="events", to="disputes.dispute"
            ),
        ),
        migrations.AddField(
            model_name="disputeevent",
            name="record",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="documents.document"
            ),
        ),
        migrations.AddField(
            model_name="jointreviewsession",
            name="convened_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="jointreviewsession",
            name="members",
            field=models.ManyToManyField(related_name="+", to="organisations.department"),
        ),
        migrations.AddField(
            model_name="disputeevent",
            name="session",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="disputes.jointreviewsession",
            ),
        ),
        migrations.AddField(
            model_name="agendaitem",
            name="session",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="agenda",
                to="disputes.jointreviewsession",
            ),
        ),
        migrations.AddField(
            model_name="projectbar",
            name="department",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="project_bars",
                to="organisations.department",
            ),
        ),
        migrations.AddField(
            model_name="projectbar",
            name="dispute",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="bars", to="disputes.dispute"
            ),
        ),
        migrations.AddField(
            model_name="rulingapplication",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="rulingapplication",
            name="department",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="organisations.department"
            ),
        ),
        migrations.AddField(
            model_name="rulingapplication",
            name="dispute",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="ruling_applications",
                to="disputes.dispute",
            ),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(fields=["state", "-changed_at"], name="dispute_by_state"),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(fields=["applicant", "-changed_at"], name="dispute_by_applicant"),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(fields=["respondent", "-changed_at"], name="dispute_by_respondent"),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(fields=["case_kind", "case_number"], name="dispute_by_case"),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__regex", "^D-[0-9]{4}-[0-9]{4,9}$")),
                name="dispute_number_is_well_formed",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("case_kind", ""), ("case_number", "")),
                    models.Q(
                        models.Q(("case_kind", ""), _negated=True),
                        models.Q(("case_number", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="dispute_has_all_of_a_case_or_none",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(("applicant", models.F("respondent")), _negated=True),
                name="dispute_has_two_sides",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="dispute_has_its_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("phase__in", ["draft", "waiting", "granted", "refused", "disputed", "closed"])
                ),
                name="dispute_phase_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("closed_at", None), ("final", False)),
                    models.Q(("closed_at__isnull", False), ("final", True)),
                    _connector="OR",
                ),
                name="ended_dispute_has_its_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("phase__in", ["granted", "refused"]), _negated=True),
                    ("shared__isnull", False),
                    _connector="OR",
                ),
                name="decided_dispute_says_what",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.UniqueConstraint(
                condition=models.Q(("final", False), models.Q(("case_number", ""), _negated=True)),
                fields=("case_kind", "case_number"),
                name="one_open_dispute_for_a_case",
            ),
        ),
        migrations.AddConstraint(
            model_name="jointreviewsession",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__regex", "^S-[0-9]{4}-[0-9]{4,9}$")),
                name="session_number_is_well_formed",
            ),
        ),
        migrations.AddConstraint(
            model_name="jointreviewsession",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("convened_at", None), ("convened_by", None), ("held_on", None)),
                    models.Q(
                        ("convened_at__isnull", False),
                        ("convened_by__isnull", False),
                        ("held_on__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="convened_session_has_its_day",
            ),
        ),
        migrations.AddConstraint(
            model_name="jointreviewsession",
            constraint=models.UniqueConstraint(
                condition=models.Q(("convened_at", None)),
                fields=("regulation",),
                name="one_session_being_prepared",
            ),
        ),
        migrations.AddIndex(
            model_name="disputeevent",
            index=models.Index(
                condition=models.Q(("publishes", True)),
                fields=["-occurred_at"],
                name="dispute_result_published",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.UniqueConstraint(fields=("dispute", "sequence"), name="dispute_event_once"),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("action", "open"), ("from_state", ""), ("previous", None), ("sequence", 1)),
                    models.Q(
                        (
                            "sequence",
                            django.db.models.expressions.CombinedExpression(
                                models.F("previous"), "+", models.Value(1)
                            ),
                        ),
                        models.Q(("from_state", ""), _negated=True),
                        models.Q(("action", "open"), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="event_has_its_place",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("account", None), ("department", None)),
                    models.Q(("account__isnull", False), ("department__isnull", False)),
                    _connector="OR",
                ),
                name="event_has_its_actor",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("article", ""), _negated=True), name="event_has_its_article"
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("requires__contains", ",minutes,"), _negated=True),
                    models.Q(("minutes", ""), _negated=True),
                    _connector="OR",
                ),
                name="event_has_its_minutes",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("requires__contains", ",result,"), _negated=True),
                    models.Q(("result", ""), _negated=True),
                    _connector="OR",
                ),
                name="event_has_its_result",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("requires__contains", ",opinion,"), _negated=True),
                    models.Q(("opinion", ""), _negated=True),
                    _connector="OR",
                ),
                name="event_has_its_opinion",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("requires__contains", ",reason,"), _negated=True),
                    models.Q(("reason", ""), _negated=True),
                    _connector="OR",
                ),
                name="event_has_its_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("requires__contains", ",session,"), _negated=True),
                    ("session__isnull", False),
                    _connector="OR",
                ),
                name="event_has_its_session",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("requires__contains", ",decided_on,"), _negated=True),
                    ("decided_on__isnull", False),
                    _connector="OR",
                ),
                name="event_has_its_decided_on",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("requires__contains", ",document,"), _negated=True),
                    ("attachment__isnull", False),
                    _connector="OR",
                ),
                name="event_has_its_document",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevent",
            constraint=models.UniqueConstraint(
                condition=models.Q(("opinion", ""), _negated=True),
                fields=("dispute", "session", "department"),
                name="one_opinion_of_a_member",
            ),
        ),
        migrations.AddConstraint(
            model_name="agendaitem",
            constraint=models.UniqueConstraint(
                fields=("session", "dispute"), name="dispute_once_on_an_agenda"
            ),
        ),
        migrations.AddConstraint(
            model_name="projectbar",
            constraint=models.UniqueConstraint(
                fields=("department", "year", "sanction", "dispute"), name="one_bar_a_year"
            ),
        ),
        migrations.AddConstraint(
            model_name="projectbar",
            constraint=models.CheckConstraint(
                condition=models.Q(("year__gte", 2000), ("year__lte", 2999)), name="bar_year_is_plausible"
            ),
        ),
        migrations.AddConstraint(
            model_name="rulingapplication",
            constraint=models.UniqueConstraint(
                fields=("dispute", "department"), name="one_application_of_a_party"
            ),
        ),
        migrations.AddConstraint(
            model_name="rulingapplication",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="application_has_its_reason"
            ),
        ),
        migrations.RunSQL(sql=[SQL.read_text(encoding="utf-8")]),
    ]
