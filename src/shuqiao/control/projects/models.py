"""Special projects with participants, lines and history; the register of cross-department applications."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Application, Department, Duty
from shuqiao.rules.regulation import Phase

MAX_TITLE_CHARS = 100
MAX_PURPOSE_CHARS = 200
MAX_REASON_CHARS = 500


class Project(models.Model):
    """One special task: who leads it, what it is for, and from when to when."""

    number = models.CharField(primary_key=True, max_length=20)
    lead = models.ForeignKey(Department, models.PROTECT, related_name="projects_led")
    title = models.CharField(max_length=MAX_TITLE_CHARS)
    purpose = models.CharField(max_length=MAX_PURPOSE_CHARS, blank=True)
    duty = models.ForeignKey(Duty, models.PROTECT, null=True, blank=True, related_name="+")
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(null=True, blank=True)
    regulation = models.CharField(max_length=40)
    state = models.CharField(max_length=40)
    phase = models.CharField(max_length=10)
    created_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_reason = models.CharField(max_length=MAX_REASON_CHARS, blank=True)

    class Meta:
        """A project that runs is complete; its period goes forward; an ended one has its time."""

        ordering = ["-changed_at", "-number"]
        indexes = [
            models.Index(fields=["lead", "-changed_at"], name="project_by_lead"),
            models.Index(
                fields=["valid_until"], condition=Q(phase=Phase.GRANTED.value), name="project_running"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(phase__in=[phase.value for phase in Phase]), name="project_phase_is_known"
            ),
            models.CheckConstraint(
                condition=Q(phase__in=[Phase.DRAFT.value, Phase.CLOSED.value])
                | (
                    Q(started_at__isnull=False, duty__isnull=False)
                    & Q(valid_from__isnull=False, valid_until__isnull=False)
                    & ~Q(purpose="")
                ),
                name="running_project_is_complete",
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_from=None) | Q(valid_until__gte=F("valid_from")),
                name="project_period_is_forward",
            ),
            models.CheckConstraint(
                condition=Q(phase=Phase.CLOSED.value, ended_at__isnull=False)
                | (~Q(phase=Phase.CLOSED.value) & Q(ended_at=None, ended_reason="")),
                name="ended_project_has_its_time",
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class Participant(models.Model):
    """A department that takes part; the lead always does and has no row here."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="participants")
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    added_at = models.DateTimeField()

    class Meta:
        """Once in a project."""

        ordering = ["department"]
        constraints = [
            models.UniqueConstraint(fields=["project", "department"], name="project_participant_once")
        ]

    def __str__(self) -> str:
        """Return project and department."""
        return f"{self.project_id}:{self.department_id}"


class Line(models.Model):
    """What one department needs of one entry for the project.

    `request_number` is the ordinary request made for it; `covered_by` a grant that gives all of it already.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="lines")
    user = models.ForeignKey(Department, models.PROTECT, related_name="+")
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    mode = models.CharField(max_length=12)
    fields = ArrayField(models.CharField(max_length=63))
    reason = models.CharField(max_length=MAX_PURPOSE_CHARS)
    added_at = models.DateTimeField()
    request_number = models.CharField(max_length=20, unique=True, null=True, blank=True)
    covered_by = models.CharField(max_length=20, blank=True)

    class Meta:
        """Something is asked for, and it is asked for once."""

        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(fields__len__gt=0) & ~Q(reason=""), name="line_is_complete"),
            models.CheckConstraint(
                condition=Q(covered_by="") | Q(request_number=None), name="line_is_asked_for_or_covered"
            ),
        ]

    def __str__(self) -> str:
        """Return project and entry."""
        return f"{self.project_id}:{self.resource_id}"


class ProjectEvent(models.Model):
    """One step of a project; rows are added, never changed."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="events")
    action = models.CharField(max_length=40)
    to_state = models.CharField(max_length=40)
    occurred_at = models.DateTimeField()
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    department = models.ForeignKey(Department, models.PROTECT, null=True, blank=True, related_name="+")
    words = models.JSONField(default=dict)
    article = models.CharField(max_length=60)
    entry_id = models.UUIDField()

    class Meta:
        """In order of time; a project starts and ends once."""

        ordering = ["occurred_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "action"],
                condition=Q(action__in=["start", "end"]),
                name="project_starts_and_ends_once",
            )
        ]

    def __str__(self) -> str:
        """Return project and action."""
        return f"{self.project_id}:{self.action}"


class Scope(models.TextChoices):
    """How far an application reaches across departments. Source: shenyang-2016 art. 8."""

    CITY = "city", "全市性"
    SECTOR = "sector", "行业性"
    DOMAIN = "domain", "领域性"


class CrossApplication(models.Model):
    """An application that several departments work in together, registered as part of sharing (SPC-04)."""

    name_zh = models.CharField(max_length=MAX_TITLE_CHARS, unique=True)
    name_en = models.CharField(max_length=160, blank=True)
    scope = models.CharField(max_length=6, choices=Scope.choices)
    lead = models.ForeignKey(Department, models.PROTECT, related_name="+")
    departments = models.ManyToManyField(Department, related_name="+")
    systems = models.ManyToManyField(Application, related_name="+", blank=True)
    purpose = models.CharField(max_length=MAX_PURPOSE_CHARS)
    regulation = models.CharField(max_length=40)
    registered_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_reason = models.CharField(max_length=MAX_REASON_CHARS, blank=True)
    entry_id = models.UUIDField()

    class Meta:
        """A known scope; an ended one has time and reason."""

        ordering = ["name_zh"]
        constraints = [
            models.CheckConstraint(
                condition=Q(scope__in=[scope.value for scope in Scope]), name="cross_application_scope"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_reason="")
                | (Q(ended_at__isnull=False) & ~Q(ended_reason="")),
                name="ended_application_has_its_reason",
            ),
        ]

    def __str__(self) -> str:
        """Return the name."""
        return self.name_zh
