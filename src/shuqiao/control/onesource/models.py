"""The register of sources, second claims and how they were settled, planned collections, checks of forms.

Nothing here holds data of persons: names of items, departments, reasons and articles only.
"""

from django.db import models
from django.db.models import F, Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.documents.models import Document
from shuqiao.control.organisations.models import Department, Duty

MAX_REASON_CHARS = 1000
MAX_TITLE_CHARS = 200
MAX_NAME_CHARS = 100
LEAF = 8
"""The first digits of a classification within which a name stands for one datum."""


class SourceRole(models.TextChoices):
    """As what a department holds an item."""

    RESPONSIBLE = "responsible", "责任采集部门"
    JOINT = "joint", "共同采集部门"
    REPEATED = "repeated", "本部门另一条目"
    OTHER = "other", "另一数据"
    CONTESTED = "contested", "来源待定"


class Source(models.Model):
    """One item of an entry in force, and as what its department holds it.

    A datum is a name within a 细目; one department is responsible for it, and the database keeps it so. What
    was published beside it without being settled stands as contested, for everybody to see.
    Source: guangzhou-2016 art. 3(3); guangzhou-2019 art. 18.
    """

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="sources")
    field = models.CharField(max_length=63)
    name = models.CharField(max_length=MAX_NAME_CHARS)
    key = models.CharField(max_length=MAX_NAME_CHARS)
    subject = models.CharField(max_length=11)
    leaf = models.CharField(max_length=LEAF)
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    standard = models.CharField(max_length=60, blank=True)
    role = models.CharField(max_length=11, choices=SourceRole.choices)

    class Meta:
        """One responsible department for a datum; found by name, by element and by code within a subject."""

        indexes = [
            models.Index(fields=["key", "leaf"], name="source_by_key"),
            models.Index(
                fields=["standard", "subject"], condition=~Q(standard=""), name="source_by_standard"
            ),
            models.Index(fields=["department", "key"], name="source_by_department"),
            models.Index(fields=["key"], condition=Q(role="contested"), name="source_contested"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["resource", "field"], name="source_once_for_an_item"),
            models.UniqueConstraint(
                fields=["key", "leaf"], condition=Q(role="responsible"), name="one_source_for_a_datum"
            ),
            models.CheckConstraint(
                condition=Q(role__in=["responsible", "joint", "repeated", "other", "contested"]),
                name="source_role_is_known",
            ),
        ]

    def __str__(self) -> str:
        """Return entry and field."""
        return f"{self.resource_id}.{self.field}"


class DatumPlace(models.Model):
    """A 目 in which a name or an element is found: how widely it is spread is read from here."""

    word = models.CharField(max_length=MAX_NAME_CHARS)
    family = models.CharField(max_length=6)

    class Meta:
        """Each pair once."""

        constraints = [models.UniqueConstraint(fields=["word", "family"], name="datum_place_once")]

    def __str__(self) -> str:
        """Return both."""
        return f"{self.word}:{self.family}"


class ClaimKind(models.TextChoices):
    """How a department answers that its item is already collected."""

    OTHER = "other", "另一数据"
    JOINT = "joint", "共同采集"
    COORDINATION = "coordination", "提请协调"


class ClaimState(models.TextChoices):
    """Where a second claim stands."""

    EXPLAINED = "explained", "已说明"
    PROPOSED = "proposed", "待对方同意"
    AGREED = "agreed", "已同意共同采集"
    DECLINED = "declined", "对方不同意"
    OPEN = "open", "协调中"
    DECIDED = "decided", "已确定来源"
    WITHDRAWN = "withdrawn", "已撤回"


ENDED = (ClaimState.DECLINED, ClaimState.WITHDRAWN)
"""What answers nothing any more: the item may be claimed anew."""

_BY_KIND = {
    "other": ["explained", "withdrawn"],
    "joint": ["proposed", "agreed", "declined", "withdrawn"],
    "coordination": ["open", "decided", "withdrawn"],
}


class Claim(models.Model):
    """A second claim to a datum that somebody collects already, and how the claimant answers it.

    `resource` and `field` are those of the entry being compiled, which need not be published yet. `because`
    are the reasons for which both count as the same datum, as they stood then.
    """

    number = models.CharField(max_length=20, unique=True)
    resource = models.CharField(max_length=17)
    entry_name = models.CharField(max_length=MAX_NAME_CHARS)
    field = models.CharField(max_length=63)
    name = models.CharField(max_length=MAX_NAME_CHARS)
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    held_resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    held_field = models.CharField(max_length=63)
    held_name = models.CharField(max_length=MAX_NAME_CHARS)
    holder = models.ForeignKey(Department, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=ClaimKind.choices)
    state = models.CharField(max_length=10, choices=ClaimState.choices)
    score = models.PositiveSmallIntegerField()
    because = models.JSONField(default=list)
    reason = models.CharField(max_length=MAX_REASON_CHARS)
    reply = models.CharField(max_length=MAX_REASON_CHARS, blank=True)
    dispute = models.CharField(max_length=20, blank=True)
    regulation = models.CharField(max_length=40)
    article = models.CharField(max_length=60)
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    entry_id = models.UUIDField()

    class Meta:
        """An item answers another one once at a time; each way of answering has its own states."""

        ordering = ["-changed_at", "-id"]
        indexes = [
            models.Index(fields=["resource", "field"], name="claim_by_item"),
            models.Index(fields=["department", "-changed_at"], name="claim_by_department"),
            models.Index(fields=["holder", "state"], name="claim_by_holder"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "field", "held_resource", "held_field"],
                condition=~Q(state__in=["declined", "withdrawn"]),
                name="one_answer_to_a_conflict",
            ),
            models.CheckConstraint(
                condition=~Q(department=F("holder")), name="claim_is_between_two_departments"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="claim_has_its_reason"),
            models.CheckConstraint(condition=Q(score__lte=100), name="claim_score_is_0_to_100"),
            models.CheckConstraint(
                condition=Q(kind="other", state__in=_BY_KIND["other"], dispute="")
                | Q(kind="joint", state__in=_BY_KIND["joint"], dispute="")
                | (Q(kind="coordination", state__in=_BY_KIND["coordination"]) & ~Q(dispute="")),
                name="claim_state_fits_its_kind",
            ),
            models.CheckConstraint(
                condition=~Q(state="declined") | ~Q(reply=""), name="declined_joint_collection_says_why"
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class LeadSourceDecision(models.Model):
    """Which department is the source of a datum from now on, by whom decided, when, and on which paper."""

    claim = models.OneToOneField(Claim, models.PROTECT, related_name="decision")
    lead = models.ForeignKey(Department, models.PROTECT, related_name="+")
    # Both collect together from now on, `lead` being responsible.
    together = models.BooleanField(default=False)
    body = models.ForeignKey(Department, models.PROTECT, related_name="+")
    decided_on = models.DateField()
    # Number and title of the paper; the paper itself may stand beside it.
    document_no = models.CharField(max_length=MAX_TITLE_CHARS)
    document = models.OneToOneField(Document, models.PROTECT, null=True, blank=True, related_name="+")
    # What the body says that the regulation gives a say in it.
    opinion = models.CharField(max_length=MAX_REASON_CHARS, blank=True)
    article = models.CharField(max_length=60)
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    entry_id = models.UUIDField()

    class Meta:
        """A decision names its paper."""

        constraints = [
            models.CheckConstraint(condition=~Q(document_no=""), name="lead_source_decision_names_its_paper")
        ]

    def __str__(self) -> str:
        """Return the claim."""
        return str(self.claim_id)


class CollectionPlan(models.Model):
    """What a department plans to collect itself (COL-02, COL-03)."""

    number = models.CharField(max_length=20, unique=True)
    department = models.ForeignKey(Department, models.PROTECT, related_name="collection_plans")
    title = models.CharField(max_length=MAX_TITLE_CHARS)
    purpose = models.CharField(max_length=MAX_REASON_CHARS)
    subject = models.CharField(max_length=11, blank=True)
    regulation = models.CharField(max_length=40)
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    entry_id = models.UUIDField()

    class Meta:
        """Newest first; a plan says what it is for."""

        ordering = ["-registered_at", "-id"]
        indexes = [models.Index(fields=["department", "-registered_at"], name="plan_by_department")]
        constraints = [
            models.CheckConstraint(condition=~Q(title="") & ~Q(purpose=""), name="plan_says_what_it_is_for")
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class PlannedOutcome(models.TextChoices):
    """Why an item may be collected."""

    FREE = "free", "目录中没有"
    AGAIN = "again", "另有规定，可再采集"
    OTHER = "other", "另一数据"


class PlannedItem(models.Model):
    """One item of a plan. Without a duty it is flagged: collecting beyond one's duty."""

    plan = models.ForeignKey(CollectionPlan, models.CASCADE, related_name="items")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=MAX_NAME_CHARS)
    duty = models.ForeignKey(Duty, models.PROTECT, null=True, blank=True, related_name="+")
    outcome = models.CharField(max_length=5, choices=PlannedOutcome.choices)
    held_resource = models.ForeignKey(Resource, models.PROTECT, null=True, blank=True, related_name="+")
    held_field = models.CharField(max_length=63, blank=True)
    ground_rank = models.CharField(max_length=30, blank=True)
    # The norm that lets it be collected again, or why it is another datum.
    ground = models.CharField(max_length=MAX_REASON_CHARS, blank=True)
    article = models.CharField(max_length=60)

    class Meta:
        """What can be had by sharing is collected only on a ground of its own."""

        ordering = ["plan", "position"]
        indexes = [models.Index(fields=["plan"], condition=Q(duty=None), name="planned_without_duty")]
        constraints = [
            models.UniqueConstraint(fields=["plan", "position"], name="planned_item_has_its_place"),
            models.CheckConstraint(
                condition=Q(outcome="free", held_resource=None, ground="", ground_rank="")
                | (Q(outcome="again", held_resource__isnull=False) & ~Q(ground="") & ~Q(ground_rank=""))
                | (Q(outcome="other", held_resource__isnull=False, ground_rank="") & ~Q(ground="")),
                name="planned_item_has_its_ground",
            ),
        ]

    def __str__(self) -> str:
        """Return plan and place."""
        return f"{self.plan_id}:{self.position}"


class FormCheck(models.Model):
    """A form or list of fields looked up for what needn't be asked (COL-04). The file itself is not kept."""

    number = models.CharField(max_length=20, unique=True)
    department = models.ForeignKey(Department, models.PROTECT, related_name="form_checks")
    title = models.CharField(max_length=MAX_TITLE_CHARS)
    # Whom the form asks: people and bodies outside, or other departments.
    audience = models.CharField(
        max_length=8, choices=[("public", "公众"), ("licence", "电子证照"), ("internal", "部门")]
    )
    branch = models.CharField(max_length=3, blank=True)
    origin = models.CharField(max_length=5, choices=[("paste", "粘贴"), ("xlsx", "XLSX"), ("csv", "CSV")])
    fields = models.PositiveSmallIntegerField()
    available = models.PositiveSmallIntegerField()
    regulation = models.CharField(max_length=40)
    article = models.CharField(max_length=60)
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    checked_at = models.DateTimeField()
    entry_id = models.UUIDField()

    class Meta:
        """Newest first."""

        ordering = ["-checked_at", "-id"]
        indexes = [models.Index(fields=["department", "-checked_at"], name="form_check_by_department")]
        constraints = [
            models.CheckConstraint(condition=Q(available__lte=F("fields")), name="check_finds_what_was_asked")
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class CheckedField(models.Model):
    """One field of a checked form: what was found then, and what else it may be."""

    check_of = models.ForeignKey(FormCheck, models.CASCADE, related_name="rows")
    position = models.PositiveSmallIntegerField()
    label = models.CharField(max_length=MAX_NAME_CHARS)
    verdict = models.CharField(
        max_length=10,
        choices=[
            ("available", "可共享取得"),
            ("own", "本部门已有"),
            ("choice", "待选择"),
            ("closed", "已有但不予共享"),
            ("none", "目录中没有"),
        ],
    )
    # Each an `availability.Option`, the likeliest first.
    found = models.JSONField(default=list)

    class Meta:
        """In the order of the form."""

        ordering = ["check_of", "position"]
        constraints = [
            models.UniqueConstraint(fields=["check_of", "position"], name="checked_field_has_its_place")
        ]

    def __str__(self) -> str:
        """Return check and place."""
        return f"{self.check_of_id}:{self.position}"
