"""Bodies that take part, what the law has them do, who is in charge, and their systems."""

from django.db import models
from django.db.models import Q


class DepartmentKind(models.TextChoices):
    """What sort of body it is. Source: guangzhou-2016 art. 2."""

    ORGAN = "organ", "行政机关"
    INSTITUTION = "institution", "授权或受委托的事业单位"
    SOCIAL = "social", "社会组织"
    STATIONED = "stationed", "中央或省驻本地单位"
    ENTERPRISE = "enterprise", "公共服务企业"


class DepartmentLevel(models.TextChoices):
    """On which level of government the body stands."""

    CITY = "city", "市级"
    DISTRICT = "district", "区级"
    TOWN = "town", "镇街"


class Department(models.Model):
    """A body that provides or uses information; its code is used in subjects, grants and the log."""

    code = models.CharField(primary_key=True, max_length=40)
    word = models.CharField(max_length=33)
    region = models.CharField(max_length=6)
    name_zh = models.CharField(max_length=100)
    short_zh = models.CharField(max_length=40)
    name_en = models.CharField(max_length=160)
    kind = models.CharField(max_length=12, choices=DepartmentKind.choices)
    level = models.CharField(max_length=10, choices=DepartmentLevel.choices)
    roles = models.JSONField(default=list)
    credit_code = models.CharField(max_length=18, blank=True)
    active = models.BooleanField(default=False)
    # The bodies of the law this one answers for, in the words of the regulation.
    legal_names = models.JSONField(default=list)

    class Meta:
        """Codes are a region, a dash and a word; one word is used once in a region."""

        constraints = [
            models.CheckConstraint(
                condition=Q(code__regex=r"^[1-9][0-9]{5}-[a-z][a-z0-9]*(-[a-z0-9]+){0,5}$"),
                name="department_code_is_well_formed",
            ),
            models.UniqueConstraint(fields=["region", "word"], name="department_word_once_in_a_region"),
        ]

    def __str__(self) -> str:
        """Return the code: names differ by language."""
        return self.code


class PersonDuty(models.TextChoices):
    """The three persons each sharing department must name. Source: guangzhou-2016 art. 8."""

    LEADER = "leader", "分管领导"
    SHARING = "sharing", "信息共享责任人"
    TECHNICAL = "technical", "技术实施责任人"


class PersonInCharge(models.Model):
    """One of the three named persons of a department; earlier ones stay, with their last day."""

    department = models.ForeignKey(Department, models.PROTECT, related_name="persons_in_charge")
    duty = models.CharField(max_length=10, choices=PersonDuty.choices)
    name = models.CharField(max_length=60)
    phone = models.CharField(max_length=40, blank=True)
    since = models.DateField()
    until = models.DateField(null=True, blank=True)

    class Meta:
        """At any time at most one person holds a duty of a department."""

        constraints = [
            models.UniqueConstraint(
                fields=["department", "duty"], condition=Q(until=None), name="one_person_per_duty"
            )
        ]

    def __str__(self) -> str:
        """Return department and duty, not the person's name: this text may reach a log."""
        return f"{self.department_id}:{self.duty}"


class Duty(models.Model):
    """A statutory duty registered for a department; requests must rest on one (guangzhou-2016 art. 4, 35)."""

    department = models.ForeignKey(Department, models.PROTECT, related_name="duties")
    number = models.PositiveSmallIntegerField()
    text_zh = models.CharField(max_length=300)
    text_en = models.CharField(max_length=400)
    ground = models.CharField(max_length=200)

    class Meta:
        """Duties are numbered within their department."""

        ordering = ["department", "number"]
        constraints = [
            models.UniqueConstraint(fields=["department", "number"], name="duty_number_once_in_a_department")
        ]

    def __str__(self) -> str:
        """Return department and number."""
        return f"{self.department_id}#{self.number}"


class SignatureAlgorithm(models.TextChoices):
    """The request signature algorithms that the plane checks."""

    ED25519 = "ed25519", "Ed25519"
    P256 = "ecdsa-p256-sha256", "ECDSA P-256"
    SM2 = "sm2-sm3", "SM2"


class Application(models.Model):
    """A system of a department that signs calls; `exchange.application` mirrors it for the plane."""

    id = models.CharField(primary_key=True, max_length=60)
    department = models.ForeignKey(Department, models.PROTECT, related_name="applications")
    name_zh = models.CharField(max_length=100)
    name_en = models.CharField(max_length=160)
    algorithm = models.CharField(max_length=20, choices=SignatureAlgorithm.choices)
    public_key = models.BinaryField()
    active = models.BooleanField(default=True)
    # The pages themselves call the plane as the portal application of the clerk's department.
    portal = models.BooleanField(default=False)

    class Meta:
        """One active portal application for a department."""

        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(id__regex=r"^app-[a-z0-9]+(-[a-z0-9]+)*$"), name="application_id_is_well_formed"
            ),
            models.UniqueConstraint(
                fields=["department"],
                condition=Q(portal=True, active=True),
                name="one_active_portal_application",
            ),
        ]

    def __str__(self) -> str:
        """Return the id."""
        return self.id


class NumberSeries(models.Model):
    """The last number given out of a series in a year; requests and grants take theirs under its row lock."""

    prefix = models.CharField(max_length=4)
    year = models.PositiveSmallIntegerField()
    last = models.PositiveIntegerField(default=0)

    class Meta:
        """One row a series and year."""

        constraints = [models.UniqueConstraint(fields=["prefix", "year"], name="one_row_per_series_and_year")]

    def __str__(self) -> str:
        """Return prefix and year."""
        return f"{self.prefix}-{self.year}"
