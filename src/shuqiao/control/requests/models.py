"""Requests for information, item by item, and everything that happened to them.

States are keys of the request's own regulation file; constraints and indexes go by phase. The terms that run
in a request stand in `clocks`.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.grants.models import Grant
from shuqiao.control.organisations.models import Application, Department, Duty
from shuqiao.rules.regulation import Phase

KIND = "request"
"""The kind of case, as procedures, clocks, disputes and documents call it."""

OPEN_PHASES = [Phase.WAITING.value, Phase.DISPUTED.value]
"""The phases in which somebody still has to do something about a request that was sent."""

DECIDED_PHASES = [Phase.GRANTED.value, Phase.REFUSED.value]


class Request(models.Model):
    """One request of a department for items of one resource, from draft to answer."""

    number = models.CharField(max_length=20, unique=True, null=True, blank=True)
    requester = models.ForeignKey(Department, models.PROTECT, related_name="requests_made")
    provider = models.ForeignKey(Department, models.PROTECT, related_name="requests_received")
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="requests")
    created_by = models.ForeignKey(Account, models.PROTECT, related_name="requests_written")
    mode = models.CharField(max_length=12)
    # By which channels, and of which rows: a list of {field, op, values} as `rules.rows` reads it.
    channels = ArrayField(models.CharField(max_length=10), default=list, blank=True)
    rows = models.JSONField(default=list)
    duty = models.ForeignKey(Duty, models.PROTECT, null=True, blank=True)
    purpose = models.CharField(max_length=200, blank=True)
    # How the requester will word the case number of each use, e.g. the number of a housing application.
    case_wording = models.CharField(max_length=100, blank=True)
    applications = models.ManyToManyField(Application, related_name="requests")
    accepted_conditions = models.JSONField(default=list)
    wanted_until = models.DateField(null=True, blank=True)
    # The grant that this request wants continued; its successor takes its place when it begins.
    renews = models.ForeignKey(Grant, models.PROTECT, null=True, blank=True, related_name="renewal_requests")
    regulation = models.CharField(max_length=40)
    state = models.CharField(max_length=40)
    phase = models.CharField(max_length=10)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    # The legal day on which the provider received the written application, where a city wants one.
    form_received_on = models.DateField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        Account, models.PROTECT, null=True, blank=True, related_name="requests_decided"
    )
    granted_mode = models.CharField(max_length=12, blank=True)
    answer_note = models.CharField(max_length=500, blank=True)
    # The dispute in which it was decided that the information must be shared.
    must_share = models.CharField(max_length=20, blank=True)
    # Counts the answers a request may still get: one, and one more for each dispute about an answer.
    round = models.PositiveSmallIntegerField(default=1)

    class Meta:
        """What two people at once could otherwise break is a constraint here."""

        indexes = [
            models.Index(
                fields=["provider", "state"], condition=Q(phase__in=OPEN_PHASES), name="request_waiting"
            ),
            models.Index(fields=["regulation"], condition=Q(phase__in=OPEN_PHASES), name="request_open"),
            models.Index(
                fields=["provider", "phase", "state", "-changed_at"],
                condition=Q(submitted_at__isnull=False),
                name="request_inbox",
            ),
            models.Index(
                fields=["provider", "-changed_at", "-id"],
                condition=Q(submitted_at__isnull=False),
                name="request_received",
            ),
            models.Index(fields=["provider", "-decided_at"], name="request_decided"),
            models.Index(fields=["requester", "phase", "state", "-changed_at"], name="request_mine"),
            models.Index(fields=["requester", "-changed_at", "-id"], name="request_made"),
            models.Index(
                fields=["requester", "phase"],
                condition=Q(phase__in=[Phase.DRAFT.value, *OPEN_PHASES]),
                name="request_own_open",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(phase__in=[phase.value for phase in Phase]), name="request_phase_is_known"
            ),
            models.CheckConstraint(condition=~Q(requester=F("provider")), name="request_has_two_sides"),
            models.CheckConstraint(
                condition=Q(phase__in=[Phase.DRAFT.value, Phase.CLOSED.value], submitted_at=None, number=None)
                | (
                    Q(submitted_at__isnull=False, number__isnull=False, duty__isnull=False)
                    & Q(wanted_until__isnull=False)
                    & ~Q(phase=Phase.DRAFT.value)
                    & ~Q(purpose="")
                ),
                name="submitted_request_is_complete",
            ),
            models.CheckConstraint(
                condition=~Q(phase__in=DECIDED_PHASES) | Q(decided_at__isnull=False),
                name="decided_request_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(decided_by=None) | Q(decided_at__isnull=False), name="decider_has_decided"
            ),
            models.UniqueConstraint(
                fields=["created_by", "resource"],
                condition=Q(phase=Phase.DRAFT.value),
                name="one_draft_per_account",
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
    # Why the value itself is needed, where the item is sensitive and would be masked; empty is not asked.
    unmask_reason = models.CharField(max_length=200, blank=True)
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
    """One step of a request's history; rows are added, never changed.

    `code` is the action of the regulation file, or one of our own steps (see `labels`). `decides` marks the
    answers. Without account it is the platform's own step.
    """

    request = models.ForeignKey(Request, models.CASCADE, related_name="events")
    code = models.CharField(max_length=40)
    from_state = models.CharField(max_length=40)
    to_state = models.CharField(max_length=40)
    decides = models.BooleanField(default=False)
    occurred_at = models.DateTimeField()
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True)
    department = models.ForeignKey(Department, models.PROTECT, null=True, blank=True)
    round = models.PositiveSmallIntegerField(default=1)
    params = models.JSONField(default=dict)
    entry_id = models.UUIDField(null=True, blank=True)
    articles = ArrayField(models.CharField(max_length=60), default=list)

    class Meta:
        """In order of time; a request is submitted once and answered once a round."""

        ordering = ["occurred_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["request"], condition=Q(code="submit"), name="request_is_submitted_once"
            ),
            models.UniqueConstraint(
                fields=["request", "round"], condition=Q(decides=True), name="one_answer_a_round"
            ),
            models.CheckConstraint(
                condition=Q(account=None, department=None)
                | Q(account__isnull=False, department__isnull=False),
                name="request_event_has_its_actor",
            ),
        ]

    def __str__(self) -> str:
        """Return request and code."""
        return f"{self.request_id}:{self.code}"


class Outcome(models.TextChoices):
    """What became of a proposed answer."""

    PENDING = "pending", "待审核"
    CONFIRMED = "confirmed", "已审核"
    SENT_BACK = "sent_back", "已退回"
    DROPPED = "dropped", "已失效"


class Proposal(models.Model):
    """An answer that somebody else of the provider must confirm before it goes out (REQ-10).

    `answer` is the whole answer as its form gave it. It is dropped when the request moves on without it.
    """

    request = models.ForeignKey(Request, models.CASCADE, related_name="proposals")
    round = models.PositiveSmallIntegerField()
    action = models.CharField(max_length=40)
    to_state = models.CharField(max_length=40)
    answer = models.JSONField()
    proposed_by = models.ForeignKey(Account, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.PENDING)
    closed_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        """One at a time; nobody confirms what they have proposed themselves."""

        ordering = ["proposed_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["request"], condition=Q(outcome="pending"), name="one_pending_proposal"
            ),
            models.CheckConstraint(
                condition=Q(outcome="pending", closed_at=None, closed_by=None)
                | (~Q(outcome="pending") & Q(closed_at__isnull=False)),
                name="closed_proposal_has_its_time",
            ),
            models.CheckConstraint(
                condition=~Q(outcome="confirmed")
                | (Q(closed_by__isnull=False) & ~Q(closed_by=F("proposed_by"))),
                name="proposal_is_confirmed_by_another",
            ),
            models.CheckConstraint(
                condition=~Q(outcome="sent_back") | (Q(closed_by__isnull=False) & ~Q(reason="")),
                name="sent_back_proposal_has_a_reason",
            ),
        ]

    def __str__(self) -> str:
        """Return request and target."""
        return f"{self.request_id}:{self.to_state}"
