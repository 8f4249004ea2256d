"""Requests for information, item by item, and everything that happened to them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.organisations.models import Application, Department, Duty

STATES = [
    "draft",
    "submitted",
    "approved",
    "partly_approved",
    "refused",
    "negotiation",
    "settled_no",
    "withdrawn",
]


class Request(models.Model):
    """One request of a department for items of one resource, from draft to answer."""

    number = models.CharField(max_length=20, unique=True, null=True, blank=True)
    requester = models.ForeignKey(Department, models.PROTECT, related_name="requests_made")
    provider = models.ForeignKey(Department, models.PROTECT, related_name="requests_received")
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="requests")
    created_by = models.ForeignKey(Account, models.PROTECT, related_name="requests_written")
    mode = models.CharField(max_length=12)
    duty = models.ForeignKey(Duty, models.PROTECT, null=True, blank=True)
    purpose = models.CharField(max_length=200, blank=True)
    # How the requester will word the case number of each use, e.g. the number of a housing application.
    case_wording = models.CharField(max_length=100, blank=True)
    applications = models.ManyToManyField(Application, related_name="requests")
    accepted_conditions = models.JSONField(default=list)
    wanted_until = models.DateField(null=True, blank=True)
    state = models.CharField(max_length=20, default="draft")
    regulation = models.CharField(max_length=40)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    # Legal days. `provisional` is true when the calendar of a year in the term is not announced yet.
    reply_due_on = models.DateField(null=True, blank=True)
    provide_due_on = models.DateField(null=True, blank=True)
    provisional = models.BooleanField(default=False)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        Account, models.PROTECT, null=True, blank=True, related_name="requests_decided"
    )
    granted_mode = models.CharField(max_length=12, blank=True)
    answer_note = models.CharField(max_length=500, blank=True)
    escalated_at = models.DateTimeField(null=True, blank=True)
    # Counts the answers a request may still get: one, and one more for each dispute.
    round = models.PositiveSmallIntegerField(default=1)

    class Meta:
        """What two people at once could otherwise break is a constraint here."""

        indexes = [
            models.Index(fields=["provider", "state", "reply_due_on"], name="request_inbox"),
            models.Index(fields=["requester", "state", "-changed_at"], name="request_mine"),
            models.Index(fields=["reply_due_on"], condition=Q(state="submitted"), name="request_clock"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=STATES), name="request_state_is_known"),
            models.CheckConstraint(
                condition=Q(state="draft", submitted_at=None, number=None)
                | Q(state="withdrawn", submitted_at=None, number=None)
                | Q(submitted_at__isnull=False, number__isnull=False, duty__isnull=False),
                name="submitted_request_is_complete",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "partly_approved", "refused"])
                | Q(decided_at__isnull=False, decided_by__isnull=False),
                name="decided_request_has_its_time",
            ),
            models.UniqueConstraint(
                fields=["created_by", "resource"], condition=Q(state="draft"), name="one_draft_per_account"
            ),
            models.CheckConstraint(
                condition=~Q(state="submitted") | Q(reply_due_on__isnull=False),
                name="open_request_has_its_due_date",
            ),
        ]

    def __str__(self) -> str:
        """Return the number, or the key of a draft."""
        return self.number or f"draft {self.pk}"


class RequestItem(models.Model):
    """One item asked for: why it is needed, and what the provider decided about it."""

    request = models.ForeignKey(Request, models.CASCADE, related_name="items")
    item = models.ForeignKey(Item, models.PROTECT)
    reason = models.CharField(max_length=200, blank=True)
    granted = models.BooleanField(null=True)
    refusal_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        """Each item once; a refused item always has its reason."""

        ordering = ["item__number", "item__part"]
        constraints = [
            models.UniqueConstraint(fields=["request", "item"], name="request_item_once"),
            models.CheckConstraint(
                condition=~Q(granted=False) | ~Q(refusal_reason=""), name="refused_item_has_a_reason"
            ),
        ]

    def __str__(self) -> str:
        """Return request and item keys."""
        return f"{self.request_id}:{self.item_id}"


class RequestEvent(models.Model):
    """One step of a request's history; rows are added, never changed."""

    request = models.ForeignKey(Request, models.CASCADE, related_name="events")
    code = models.CharField(max_length=30)
    occurred_at = models.DateTimeField()
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True)
    department = models.ForeignKey(Department, models.PROTECT, null=True, blank=True)
    round = models.PositiveSmallIntegerField(default=1)
    params = models.JSONField(default=dict)
    entry_id = models.UUIDField(null=True, blank=True)
    articles = ArrayField(models.CharField(max_length=40), default=list)

    class Meta:
        """In order of time; some steps happen once in the life of a request."""

        ordering = ["occurred_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "code", "round"],
                condition=Q(code__in=["submitted", "answered", "escalated"]),
                name="request_step_once_a_round",
            )
        ]

    def __str__(self) -> str:
        """Return request and code."""
        return f"{self.request_id}:{self.code}"
