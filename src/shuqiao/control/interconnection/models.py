"""Business systems, what was done about each, and the certificates that they can share."""

from django.db import models
from django.db.models import F, Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Department
from shuqiao.rules.interconnection import PLANNED, RETIRED, STATES

STEPS = (
    "registered",
    "changed",
    "planned",
    "connected",
    "disconnected",
    "tested",
    "retired",
    "accepted",
    "refused",
)
"""What is recorded of a system; `disconnected` is what the platform notices by itself."""


class BusinessSystem(models.Model):
    """A system with which a department does its work, and how it stands to the platform of its level.

    Source: guangzhou-2019-165 art. 16¶2-3; guangzhou-2016 art. 43; shenyang-2016 art. 8; ONB-02, SUP-11.
    """

    number = models.CharField(primary_key=True, max_length=20)
    department = models.ForeignKey(Department, models.PROTECT, related_name="business_systems")
    name = models.CharField(max_length=100)
    purpose = models.CharField(max_length=300)
    # The key it calls with; empty where it asks for nothing. One of the department's, known by its id.
    application = models.CharField(max_length=60, blank=True)
    # The entry whose data it brings through the department's node; empty where it brings nothing.
    brings = models.ForeignKey(Resource, models.PROTECT, null=True, blank=True, related_name="+")
    state = models.CharField(max_length=12)
    planned_until = models.DateField(null=True, blank=True)
    registered_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()

    class Meta:
        """A department registers a system once; what is planned has its day."""

        ordering = ["department", "number"]
        constraints = [
            models.UniqueConstraint(fields=["department", "name"], name="business_system_once"),
            # The calls of a key prove one system.
            models.UniqueConstraint(
                fields=["application"],
                condition=~Q(application="") & ~Q(state=RETIRED),
                name="key_of_one_system",
            ),
            models.CheckConstraint(condition=Q(state__in=STATES), name="business_system_state_is_known"),
            models.CheckConstraint(
                condition=~Q(state=PLANNED) | Q(planned_until__isnull=False),
                name="planned_system_has_its_day",
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class SystemStep(models.Model):
    """Something that was done about a system or found out; rows are added, never changed.

    Of a passed test `way` says which (calls or brings) and `proof` is the entry of the call or batch itself.
    """

    system = models.ForeignKey(BusinessSystem, models.PROTECT, related_name="steps")
    kind = models.CharField(max_length=12)
    way = models.CharField(max_length=6, blank=True)
    proof = models.UUIDField(null=True, blank=True)
    proof_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)
    due_on = models.DateField(null=True, blank=True)
    # None is the platform itself.
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    occurred_at = models.DateTimeField()
    entry_id = models.UUIDField()

    class Meta:
        """Newest first; only a test has a proof."""

        ordering = ["-occurred_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=STEPS), name="system_step_kind_is_known"),
            models.CheckConstraint(
                condition=Q(
                    kind="tested", way__in=["calls", "brings"], proof__isnull=False, proof_at__isnull=False
                )
                | ~Q(kind="tested") & Q(way="", proof=None),
                name="only_a_test_has_its_proof",
            ),
        ]

    def __str__(self) -> str:
        """Return the system and the step."""
        return f"{self.system_id}:{self.kind}"


class ConnectionCertificate(models.Model):
    """A certificate that a system is registered, connected and tested; it ends when it lapses or is revoked.

    `code` is what whoever holds the paper looks it up with; nobody can guess it.
    """

    number = models.CharField(primary_key=True, max_length=20)
    system = models.ForeignKey(BusinessSystem, models.PROTECT, related_name="certificates")
    code = models.CharField(max_length=40, unique=True)
    issued_at = models.DateTimeField()
    issued_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    issuer = models.ForeignKey(Department, models.PROTECT, related_name="+")
    pdf = models.BinaryField()
    digest = models.CharField(max_length=64)
    entry_id = models.UUIDField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_how = models.CharField(max_length=8, blank=True)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        """One certificate in force for a system; whoever ends one says how and why."""

        ordering = ["-issued_at", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["system"], condition=Q(ended_at=None), name="one_certificate_in_force"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_how="", reason="")
                | Q(ended_at__gte=F("issued_at"), ended_how__in=["lapsed", "revoked"]) & ~Q(reason=""),
                name="ended_certificate_says_how_and_why",
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number
