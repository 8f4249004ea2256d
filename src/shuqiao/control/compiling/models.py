"""Entries on their way into the catalogue: what is proposed, who looked at each item, and every step."""

from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.organisations.models import Department
from shuqiao.rules.regulation import Phase

_PHASES = [phase.value for phase in Phase]


class CompilationKind(models.TextChoices):
    """What a case does to the catalogue."""

    NEW = "new", "新增条目"
    CHANGE = "change", "变更条目"
    CORRECTION = "correction", "文字更正"
    WITHDRAWAL = "withdrawal", "撤出条目"


class CompilationOrigin(models.TextChoices):
    """By which of the ways an entry was compiled (CAT-18)."""

    WIZARD = "wizard", "在线编制"
    WORKBOOK = "workbook", "离线工作簿"
    INTERFACE = "interface", "接口"
    TABLE = "table", "读取表结构"


class Compilation(models.Model):
    """One entry, or a change of one, from draft to publication; `content` is a `rules.entries.Entry`.

    The entry's id is given at the start and never changes. `key` is the stable key under which a department's
    own system knows the entry. `revision` counts saves, so that of two people at once the second is told.
    """

    number = models.CharField(primary_key=True, max_length=20)
    kind = models.CharField(max_length=10, choices=CompilationKind.choices)
    origin = models.CharField(max_length=10, choices=CompilationOrigin.choices)
    resource = models.CharField(max_length=17, db_index=True)
    key = models.CharField(max_length=100, blank=True)
    base_version = models.PositiveIntegerField(default=0)
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    # The regulation whose procedure the case follows: a district may have one of its own.
    regulation = models.CharField(max_length=40)
    state = models.CharField(max_length=40)
    phase = models.CharField(max_length=10)
    name_zh = models.CharField(max_length=100, blank=True)
    content = models.JSONField()
    revision = models.PositiveIntegerField(default=1)
    compiler = models.ForeignKey(Account, models.PROTECT, related_name="+")
    submitted_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    # Who declared that the entry holds no state secret, and when (CAT-26).
    declared_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    declared_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """An entry has one open case; what was submitted was declared; what was published has its time."""

        indexes = [
            models.Index(fields=["department", "-changed_at"], name="compilation_by_department"),
            models.Index(fields=["phase", "state", "-changed_at"], name="compilation_by_state"),
            models.Index(fields=["department", "key"], condition=~Q(key=""), name="compilation_by_key"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(phase__in=_PHASES), name="compilation_phase_is_known"),
            models.CheckConstraint(
                condition=Q(kind__in=["new", "change", "correction", "withdrawal"]),
                name="compilation_kind_is_known",
            ),
            models.CheckConstraint(
                condition=Q(origin__in=["wizard", "workbook", "interface", "table"]),
                name="compilation_origin_is_known",
            ),
            models.CheckConstraint(
                condition=Q(resource__regex=r"^r[0-9]{6}[a-z2-7]{10}$"), name="compilation_resource_id"
            ),
            models.CheckConstraint(
                condition=Q(phase__in=["draft", "closed"])
                | (
                    Q(submitted_by__isnull=False, submitted_at__isnull=False)
                    & (Q(declared_by__isnull=False) | Q(kind="withdrawal"))
                ),
                name="submitted_compilation_is_declared",
            ),
            models.CheckConstraint(
                condition=Q(published_at=None) | Q(phase="granted"), name="compilation_published_has_its_time"
            ),
            models.CheckConstraint(
                condition=Q(declared_by=None, declared_at=None)
                | Q(declared_by__isnull=False, declared_at__isnull=False),
                name="compilation_declaration_is_whole",
            ),
            models.UniqueConstraint(
                fields=["resource"],
                condition=Q(phase__in=["draft", "waiting", "refused", "disputed"]),
                name="entry_has_one_open_compilation",
            ),
            models.UniqueConstraint(
                fields=["department", "key"],
                condition=~Q(key="") & Q(phase__in=["draft", "waiting", "refused", "disputed"]),
                name="compilation_key_is_open_once",
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class Mark(models.Model):
    """What a reviewer found of one field or item of an entry at one step (CAT-09); the last one counts.

    `path` is a field of the entry or `items.<field>`.
    """

    compilation = models.ForeignKey(Compilation, models.CASCADE, related_name="marks")
    state = models.CharField(max_length=40)
    path = models.CharField(max_length=80)
    accepted = models.BooleanField()
    remark = models.CharField(max_length=300, blank=True)
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    made_at = models.DateTimeField()

    class Meta:
        """One mark for each place and step; what is returned says why."""

        constraints = [
            models.UniqueConstraint(fields=["compilation", "state", "path"], name="mark_once_for_a_place"),
            models.CheckConstraint(condition=Q(accepted=True) | ~Q(remark=""), name="returned_mark_says_why"),
        ]

    def __str__(self) -> str:
        """Return case and place."""
        return f"{self.compilation_id}:{self.path}"


class CompilationEvent(models.Model):
    """One step of a case; rows are added, never changed."""

    compilation = models.ForeignKey(Compilation, models.CASCADE, related_name="events")
    action = models.CharField(max_length=40)
    from_state = models.CharField(max_length=40)
    to_state = models.CharField(max_length=40)
    occurred_at = models.DateTimeField()
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    department = models.ForeignKey(Department, models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=1000, blank=True)
    article = models.CharField(max_length=80)
    entry_id = models.UUIDField()

    class Meta:
        """In order of time."""

        ordering = ["occurred_at", "id"]

    def __str__(self) -> str:
        """Return case and action."""
        return f"{self.compilation_id}:{self.action}"
