"""Catalogue entries and their items, with the columns that search needs."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Q

from shuqiao.control.organisations.models import Department


class Resource(models.Model):
    """One entry of the sharing catalogue: what is shared, by whom, how, and under which article."""

    id = models.CharField(primary_key=True, max_length=17)
    code = models.CharField(max_length=30, unique=True)
    list_key = models.CharField(max_length=60, unique=True)
    regulation = models.CharField(max_length=40)
    article = models.CharField(max_length=20)
    category_zh = models.CharField(max_length=100)
    category_en = models.CharField(max_length=160)
    name_zh = models.CharField(max_length=100)
    name_en = models.CharField(max_length=160)
    summary_zh = models.CharField(max_length=500)
    summary_en = models.CharField(max_length=700)
    department = models.ForeignKey(Department, models.PROTECT, related_name="resources")
    # Lists that the law gives to several bodies name all of them here, the provider included.
    joint_departments = models.ManyToManyField(Department, related_name="joint_resources")
    record_key = models.CharField(max_length=63)
    library = models.CharField(max_length=30)
    update_cycle = models.CharField(max_length=20)
    modes = ArrayField(models.CharField(max_length=12))
    # Guangzhou 2016 names no share types: null there, never a guess.
    share_type = models.CharField(max_length=20, null=True, blank=True)  # noqa: DJ001
    platform_zh = models.CharField(max_length=100)
    scope_zh = models.CharField(max_length=200)
    state = models.CharField(max_length=12, default="published")
    version = models.PositiveIntegerField(default=1)
    published_at = models.DateTimeField(null=True, blank=True)
    # Names of the entry and its items, line by line: what exact substrings are checked against.
    search_text = models.TextField(default="")
    words = SearchVectorField(null=True)
    grams = SearchVectorField(null=True)
    pinyin = SearchVectorField(null=True)
    pinyin_key = models.CharField(max_length=400, default="")

    class Meta:
        """Ids become table and function names, so their form is checked."""

        indexes = [
            GinIndex(fields=["words"], name="resource_words"),
            GinIndex(fields=["grams"], name="resource_grams"),
            GinIndex(fields=["pinyin"], name="resource_pinyin"),
            models.Index(fields=["pinyin_key"], name="resource_by_pinyin"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(id__regex=r"^r[0-9]{6}[a-z2-7]{10}$"), name="resource_id_is_well_formed"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["compiled", "published", "withdrawn"]), name="resource_state"
            ),
        ]

    def __str__(self) -> str:
        """Return the id."""
        return self.id


class Item(models.Model):
    """One data item of an entry; a compound item of the law is stored as its parts."""

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="items")
    # Number in the law's list; the parts of one compound item share it.
    number = models.PositiveSmallIntegerField()
    part = models.PositiveSmallIntegerField(default=0)
    part_of_zh = models.CharField(max_length=100, blank=True)
    field = models.CharField(max_length=63)
    zh = models.CharField(max_length=100)
    en = models.CharField(max_length=160)
    type = models.CharField(max_length=12)
    length = models.PositiveIntegerField(null=True, blank=True)
    identity = models.BooleanField()
    kind = models.CharField(max_length=20)
    sensitivity = models.PositiveSmallIntegerField()
    standard = models.CharField(max_length=60, blank=True)
    codes = models.JSONField(null=True, blank=True)
    required = models.BooleanField(default=False)
    modes = ArrayField(models.CharField(max_length=12))
    # Not in the list itself: an article of its own adds it, so that records can be compared.
    companion = models.BooleanField(default=False)
    article = models.CharField(max_length=20, blank=True)

    class Meta:
        """Fields become column names, so their form is checked."""

        ordering = ["resource", "number", "part"]
        constraints = [
            models.UniqueConstraint(fields=["resource", "field"], name="item_field_once_in_a_resource"),
            models.UniqueConstraint(
                fields=["resource", "number", "part"], name="item_place_once_in_a_resource"
            ),
            models.CheckConstraint(
                condition=Q(field__regex=r"^[a-z][a-z0-9_]{0,62}$"), name="item_field_is_a_column"
            ),
            models.CheckConstraint(condition=Q(sensitivity__lte=4), name="item_sensitivity_is_0_to_4"),
        ]

    def __str__(self) -> str:
        """Return resource and field."""
        return f"{self.resource_id}.{self.field}"


class ResourceVersion(models.Model):
    """What an entry said in one version; versions are added, never changed."""

    resource = models.ForeignKey(Resource, models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    content = models.JSONField()
    note_zh = models.CharField(max_length=200)
    note_en = models.CharField(max_length=300)
    published_at = models.DateTimeField()

    class Meta:
        """Each version once."""

        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["resource", "version"], name="resource_version_once")]

    def __str__(self) -> str:
        """Return resource and version."""
        return f"{self.resource_id} v{self.version}"
