"""Entries of the resource catalogue and their items, the sharing catalogue derived from it, its history."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.organisations.models import Department
from shuqiao.control.texts import Text


class Resource(models.Model):
    """One entry of the resource catalogue in force: what a department holds, how it is shared and why.

    `content` is everything it says (`rules.entries.Entry`); the columns beside it are what is searched and
    joined. `shared` tells whether it stands in the sharing catalogue too.
    """

    id = models.CharField(primary_key=True, max_length=17)
    code = models.CharField(max_length=30, unique=True)
    # The list of the law it was built from, once in a region; of other entries their own id.
    list_key = models.CharField(max_length=60)
    regulation = models.CharField(max_length=40)
    article = models.CharField(max_length=60)
    category_zh = models.CharField(max_length=100, blank=True)
    category_en = models.CharField(max_length=160, blank=True)
    name_zh = models.CharField(max_length=100)
    name_en = models.CharField(max_length=160, blank=True)
    summary_zh = models.CharField(max_length=500)
    summary_en = models.CharField(max_length=700, blank=True)
    department = models.ForeignKey(Department, models.PROTECT, related_name="resources")
    # Lists that the law gives to several bodies name all of them here, the provider included.
    joint_departments = models.ManyToManyField(Department, related_name="joint_resources")
    record_key = models.CharField(max_length=63, blank=True)
    library = models.CharField(max_length=30, blank=True)
    update_cycle = models.CharField(max_length=20, blank=True)
    modes = ArrayField(models.CharField(max_length=12), default=list, blank=True)
    platform_zh = models.CharField(max_length=200, blank=True)
    scope_zh = models.CharField(max_length=200, blank=True)
    content = models.JSONField(default=dict)
    # Classification without the number: 类, 项, 目 and 细目.
    subject = models.CharField(max_length=11)
    region = models.CharField(max_length=6)
    format = models.CharField(max_length=20, blank=True)
    library_kind = models.CharField(max_length=10)
    share_type = models.CharField(max_length=63, blank=True)
    open_to_public = models.BooleanField(default=False)
    shared = models.BooleanField(default=True)
    # The entry of the city that a district's entry belongs to.
    city_entry = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="district_entries"
    )
    state = models.CharField(max_length=12, default="published")
    version = models.PositiveIntegerField(default=1)
    published_at = models.DateTimeField(null=True, blank=True)
    # The last legal day of its sharing period.
    shared_until = models.DateField()

    class Meta:
        """Ids become table and function names, so their form is checked."""

        indexes = [
            models.Index(fields=["department", "state"], name="resource_by_department"),
            models.Index(fields=["subject"], name="resource_by_subject"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["list_key", "region"], name="list_once_in_a_region"),
            models.CheckConstraint(
                condition=Q(id__regex=r"^r[0-9]{6}[a-z2-7]{10}$"), name="resource_id_is_well_formed"
            ),
            models.CheckConstraint(condition=Q(state__in=["published", "withdrawn"]), name="resource_state"),
            models.CheckConstraint(
                condition=Q(subject__regex=r"^[123][0-9]{5,10}$"), name="resource_is_classified"
            ),
            models.CheckConstraint(
                condition=Q(library_kind__in=["base", "thematic", "business"]), name="resource_library_kind"
            ),
        ]

    def __str__(self) -> str:
        """Return the id."""
        return self.id

    @property
    def name(self) -> Text:
        """The entry's name in the reader's language; one without an English name keeps its own."""
        return Text(self.name_zh, self.name_en or self.name_zh)


class SearchRow(models.Model):
    """What searches look at of an entry: a table in partitions, of which Django knows only these columns.

    Searches and the writing of rows are SQL (`catalogue.search`, `sql/0002_search.sql`); a trigger keeps all
    but the words in step with the entry.
    """

    resource = models.OneToOneField(Resource, models.CASCADE, primary_key=True, related_name="search_row")
    name = models.CharField(max_length=100)
    pinyin_key = models.CharField(max_length=400)
    in_force = models.BooleanField()
    shared = models.BooleanField()

    class Meta:
        """Named as the SQL names it."""

        db_table = "catalogue_search"

    def __str__(self) -> str:
        """Return the entry's id."""
        return self.resource_id


class EntryUse(models.Model):
    """How much an entry was used in the last 30 days, as counted by a job; without calls it has no row."""

    resource = models.OneToOneField(Resource, models.CASCADE, primary_key=True, related_name="use")
    calls = models.PositiveIntegerField()
    departments = models.PositiveIntegerField()
    counted_at = models.DateTimeField()

    def __str__(self) -> str:
        """Return the entry and its calls."""
        return f"{self.resource_id}:{self.calls}"


class CurrentItems(models.Manager["Item"]):
    """The items that an entry has now; those that a later version left out are passed over."""

    def get_queryset(self) -> models.QuerySet["Item"]:
        """Leave out what was removed."""
        return super().get_queryset().filter(removed_in=None)


class EveryItem(models.Manager["Item"]):
    """All items that an entry has or has had."""


class Item(models.Model):
    """One data item of an entry; a compound item of the law is stored as its parts.

    An item that a version removed stays, for the requests that name it; `objects` and `resource.items` pass
    it over, `every` finds it.
    """

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="items")
    # Number in the law's list; the parts of one compound item share it.
    number = models.PositiveSmallIntegerField()
    part = models.PositiveSmallIntegerField(default=0)
    part_of_zh = models.CharField(max_length=100, blank=True)
    field = models.CharField(max_length=63)
    zh = models.CharField(max_length=100)
    en = models.CharField(max_length=160, blank=True)
    type = models.CharField(max_length=12)
    length = models.PositiveIntegerField(null=True, blank=True)
    identity = models.BooleanField()
    kind = models.CharField(max_length=20)
    sensitivity = models.PositiveSmallIntegerField()
    # The letter of the catalogue's data type; `type` is how the platform keeps the value.
    data_type = models.CharField(max_length=1, default="C")
    business_secret = models.BooleanField(default=False)
    is_key = models.BooleanField(default=False)
    is_timestamp = models.BooleanField(default=False)
    code_list = models.CharField(max_length=60, blank=True)
    standard = models.CharField(max_length=60, blank=True)
    codes = models.JSONField(null=True, blank=True)
    required = models.BooleanField(default=False)
    modes = ArrayField(models.CharField(max_length=12), default=list, blank=True)
    # Not in the list itself: an article of its own adds it, so that records can be compared.
    companion = models.BooleanField(default=False)
    # Another item and its values, beside which alone this one may have a value.
    only_with = models.JSONField(null=True, blank=True)
    article = models.CharField(max_length=60, blank=True)
    # The version of the entry that left it out.
    removed_in = models.PositiveIntegerField(null=True, blank=True)

    objects = CurrentItems()
    every = EveryItem()

    class Meta:
        """Fields become column names, so their form is checked."""

        ordering = ["resource", "number", "part"]
        constraints = [
            models.UniqueConstraint(fields=["resource", "field"], name="item_field_once_in_a_resource"),
            models.UniqueConstraint(
                fields=["resource", "number", "part"],
                condition=Q(removed_in=None),
                name="item_place_once_in_a_resource",
            ),
            models.CheckConstraint(
                condition=Q(field__regex=r"^[a-z][a-z0-9_]{0,62}$"), name="item_field_is_a_column"
            ),
            models.CheckConstraint(condition=Q(sensitivity__lte=4), name="item_sensitivity_is_0_to_4"),
        ]

    def __str__(self) -> str:
        """Return resource and field."""
        return f"{self.resource_id}.{self.field}"

    @property
    def name(self) -> Text:
        """The item's name in the reader's language; one without an English name keeps its own."""
        return Text(self.zh, self.en or self.zh)


class ResourceVersion(models.Model):
    """What an entry of the resource catalogue said in one version; versions are added, never changed."""

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    content = models.JSONField()
    note_zh = models.CharField(max_length=200)
    note_en = models.CharField(max_length=300)
    published_at = models.DateTimeField()
    # The case it came by; empty for what was built from the law's lists and for changes of the share type.
    compilation = models.CharField(max_length=20, blank=True)
    withdrawn = models.BooleanField(default=False)

    class Meta:
        """Each version once."""

        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["resource", "version"], name="resource_version_once")]

    def __str__(self) -> str:
        """Return resource and version."""
        return f"{self.resource_id} v{self.version}"


class SharingChange(models.TextChoices):
    """What a version of the resource catalogue did to the sharing catalogue."""

    ADDED = "added", "新增"
    CHANGED = "changed", "变更"
    REMOVED = "removed", "移出"


class SharingVersion(models.Model):
    """One change of the sharing catalogue, in step with the version of the resource catalogue it follows.

    Rows are added, never changed. Source: guangzhou-2019-165 art. 11(2).
    """

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="sharing_versions")
    of = models.OneToOneField(ResourceVersion, models.CASCADE, related_name="sharing")
    change = models.CharField(max_length=8, choices=SharingChange.choices)
    published_at = models.DateTimeField()

    class Meta:
        """Newest first."""

        ordering = ["-published_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(change__in=["added", "changed", "removed"]), name="sharing_change_is_known"
            )
        ]

    def __str__(self) -> str:
        """Return the entry and what happened."""
        return f"{self.resource_id}:{self.change}"


class ServiceKind(models.TextChoices):
    """What an entry is served by (CAT-24)."""

    TABLE = "table", "平台数据表"
    FILE = "file", "文件"
    INTERFACE = "interface", "接口"
    NODE = "node", "部门留存，前置机应答"


class Service(models.Model):
    """A data set or interface that serves an entry; one withdrawn stays, with its end (CAT-24, MOD-13)."""

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="services")
    kind = models.CharField(max_length=10, choices=ServiceKind.choices)
    # Where it is found: empty for the platform's own table, else a name or address for people.
    place = models.CharField(max_length=200, blank=True)
    offered_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """An entry's records are in one place: a table of the platform, or with the department."""

        ordering = ["resource", "offered_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["table", "file", "interface", "node"]), name="service_kind_is_known"
            ),
            models.UniqueConstraint(
                fields=["resource"],
                condition=Q(kind__in=["table", "node"], ended_at=None),
                name="entry_is_kept_in_one_place",
            ),
        ]

    def __str__(self) -> str:
        """Return the entry and the kind."""
        return f"{self.resource_id}:{self.kind}"


class SubjectSequence(models.Model):
    """The last number given out within a classification; codes take theirs under its row lock."""

    subject = models.CharField(primary_key=True, max_length=11)
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        """Return the classification."""
        return self.subject


class SharingOrigin(models.TextChoices):
    """Who said how an entry is shared."""

    INITIAL = "initial", "初始设定"
    PROVIDER = "provider", "责任部门"
    RULING = "ruling", "领导小组核定"


class Sharing(models.Model):
    """How an entry, or one item that differs from it, is shared; earlier rows stay, with their end.

    A regulation without share types has none of these rows. A ruling stands beside the provider's own
    choice and goes before it.
    """

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="sharings")
    item = models.ForeignKey(Item, models.CASCADE, null=True, blank=True, related_name="sharings")
    regulation = models.CharField(max_length=40)
    share_type = models.CharField(max_length=63)
    openness = models.PositiveSmallIntegerField()
    ground = models.CharField(max_length=500, blank=True)
    ground_rank = models.CharField(max_length=30, blank=True)
    conditions = models.CharField(max_length=500, blank=True)
    # Codes of the only departments it is shared with; empty is all of them.
    departments = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    relations = ArrayField(models.CharField(max_length=63), default=list, blank=True)
    origin = models.CharField(max_length=8, choices=SharingOrigin.choices)
    document = models.CharField(max_length=200, blank=True)
    decided_on = models.DateField(null=True, blank=True)
    version = models.PositiveIntegerField()
    set_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True)
    set_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    entry_id = models.UUIDField(null=True, blank=True)

    class Meta:
        """At any time an entry and each item have one choice, and an entry at most one ruling."""

        ordering = ["-set_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource"],
                condition=Q(item=None, ended_at=None) & ~Q(origin="ruling"),
                name="entry_has_one_share_type",
            ),
            models.UniqueConstraint(
                fields=["resource", "item"],
                condition=Q(item__isnull=False, ended_at=None),
                name="item_has_one_share_type",
            ),
            models.UniqueConstraint(
                fields=["resource"], condition=Q(origin="ruling", ended_at=None), name="entry_has_one_ruling"
            ),
            models.CheckConstraint(condition=Q(openness__lte=2), name="sharing_openness_is_0_to_2"),
            models.CheckConstraint(
                condition=Q(origin__in=["initial", "provider", "ruling"]), name="sharing_origin_is_known"
            ),
            models.CheckConstraint(
                condition=~Q(origin="ruling")
                | (Q(item=None, decided_on__isnull=False) & ~Q(document="") & Q(openness=2)),
                name="ruling_of_share_type_is_complete",
            ),
            models.CheckConstraint(
                condition=~Q(origin="provider") | Q(set_by__isnull=False, entry_id__isnull=False),
                name="chosen_share_type_names_who_chose",
            ),
        ]

    def __str__(self) -> str:
        """Return the entry or item and its type."""
        return f"{self.resource_id}.{self.item_id or ''}:{self.share_type}"
