"""Disputes, every step taken in them, and the sessions, applications and bars that come of them.

What a step has brought (minutes, result, opinion, ruling) stands in its event: there is nothing of a dispute
that no event tells of. sql/0001_disputes.sql binds each event to the one before it and to a step that the
dispute's regulation allows, and the dispute to its last event.
"""

from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.documents.models import Document
from shuqiao.control.organisations.models import Department
from shuqiao.rules.regulation import Phase

MAX_SUBJECT_CHARS = 200
MAX_REASON_CHARS = 2000
MAX_RESULT_CHARS = 2000
MAX_OPINION_CHARS = 2000
MAX_MINUTES_CHARS = 10000

_PHASES = [(phase.value, phase.value) for phase in Phase]


class Dispute(models.Model):
    """One dispute of two departments; tied to a case of its owner by kind and number, or to none."""

    number = models.CharField(max_length=20, unique=True)
    kind = models.CharField(max_length=40)
    case_kind = models.CharField(max_length=20, blank=True)
    case_number = models.CharField(max_length=20, blank=True)
    applicant = models.ForeignKey(Department, models.PROTECT, related_name="disputes_brought")
    respondent = models.ForeignKey(Department, models.PROTECT, related_name="disputes_answered")
    resource = models.CharField(max_length=30, blank=True)
    subject = models.CharField(max_length=MAX_SUBJECT_CHARS, blank=True)
    reason = models.CharField(max_length=MAX_REASON_CHARS)
    article = models.CharField(max_length=60)
    regulation = models.CharField(max_length=40)
    state = models.CharField(max_length=40)
    phase = models.CharField(max_length=10, choices=_PHASES)
    final = models.BooleanField(default=False)
    # How many events the dispute has; the last one led to its state.
    step = models.PositiveSmallIntegerField(default=1)
    # Whether the information is to be shared, once that has been agreed or decided.
    shared = models.BooleanField(null=True)
    opened_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    opened_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """What must not be half there is a constraint; a case has one open dispute at a time."""

        ordering = ["-opened_at", "-id"]
        indexes = [
            models.Index(fields=["state", "-changed_at"], name="dispute_by_state"),
            models.Index(fields=["applicant", "-changed_at"], name="dispute_by_applicant"),
            models.Index(fields=["respondent", "-changed_at"], name="dispute_by_respondent"),
            models.Index(fields=["case_kind", "case_number"], name="dispute_by_case"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(number__regex=r"^D-[0-9]{4}-[0-9]{4,9}$"), name="dispute_number_is_well_formed"
            ),
            models.CheckConstraint(
                condition=Q(case_kind="", case_number="") | (~Q(case_kind="") & ~Q(case_number="")),
                name="dispute_has_all_of_a_case_or_none",
            ),
            models.CheckConstraint(
                condition=~Q(applicant=models.F("respondent")), name="dispute_has_two_sides"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="dispute_has_its_reason"),
            models.CheckConstraint(
                condition=Q(phase__in=[p.value for p in Phase]), name="dispute_phase_is_known"
            ),
            models.CheckConstraint(
                condition=Q(final=False, closed_at=None) | Q(final=True, closed_at__isnull=False),
                name="ended_dispute_has_its_time",
            ),
            models.CheckConstraint(
                condition=~Q(phase__in=["granted", "refused"]) | Q(shared__isnull=False),
                name="decided_dispute_says_what",
            ),
            models.UniqueConstraint(
                fields=["case_kind", "case_number"],
                condition=Q(final=False) & ~Q(case_number=""),
                name="one_open_dispute_for_a_case",
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class DisputeStep(models.Model):
    """A step that a regulation allows, as its file says; the database accepts no event of another kind.

    `requires` are the words of the file, each between commas; `final` and `phase` are those of the state it
    leads to.
    """

    regulation = models.CharField(max_length=40)
    action = models.CharField(max_length=40)
    from_state = models.CharField(max_length=40, blank=True)
    to_state = models.CharField(max_length=40)
    phase = models.CharField(max_length=10, choices=_PHASES)
    final = models.BooleanField()
    requires = models.CharField(max_length=200, blank=True)
    publishes = models.BooleanField(default=False)

    def __str__(self) -> str:
        """Return regulation and action."""
        return f"{self.regulation}:{self.action}"


class JointReviewSession(models.Model):
    """A meeting of the joint review: first collected, then convened for a day with its members.

    Source: guangzhou-2016 art. 35(2).
    """

    number = models.CharField(max_length=20, unique=True)
    regulation = models.CharField(max_length=40)
    collected_on = models.DateField()
    held_on = models.DateField(null=True, blank=True)
    convened_at = models.DateTimeField(null=True, blank=True)
    convened_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    members = models.ManyToManyField(Department, related_name="+")

    class Meta:
        """At any time one session at most is being prepared."""

        ordering = ["-collected_on", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(number__regex=r"^S-[0-9]{4}-[0-9]{4,9}$"), name="session_number_is_well_formed"
            ),
            models.CheckConstraint(
                condition=Q(held_on=None, convened_at=None, convened_by=None)
                | Q(held_on__isnull=False, convened_at__isnull=False, convened_by__isnull=False),
                name="convened_session_has_its_day",
            ),
            models.UniqueConstraint(
                fields=["regulation"], condition=Q(convened_at=None), name="one_session_being_prepared"
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return self.number


class AgendaItem(models.Model):
    """A dispute on the agenda of a session."""

    session = models.ForeignKey(JointReviewSession, models.PROTECT, related_name="agenda")
    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="agenda_items")

    class Meta:
        """A dispute stands once on an agenda."""

        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["session", "dispute"], name="dispute_once_on_an_agenda")
        ]

    def __str__(self) -> str:
        """Return the keys."""
        return f"{self.session_id}:{self.dispute_id}"


def _needs(word: str, given: Q) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=~Q(requires__contains=f",{word},") | given, name=f"event_has_its_{word}"
    )


class DisputeEvent(models.Model):
    """One step of a dispute: who, when, from which state to which, under which article, with which document.

    `record` is the document of the step, written by the platform; `attachment` is what the actor brought.
    Without account and department it is the platform's own step. `shared` is the stance of an opinion and
    the outcome of a decision. Rows are added, never changed.
    """

    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="events")
    sequence = models.PositiveSmallIntegerField()
    previous = models.PositiveSmallIntegerField(null=True, blank=True)
    regulation = models.CharField(max_length=40)
    action = models.CharField(max_length=40)
    from_state = models.CharField(max_length=40, blank=True)
    to_state = models.CharField(max_length=40)
    phase = models.CharField(max_length=10, choices=_PHASES)
    final = models.BooleanField()
    requires = models.CharField(max_length=200, blank=True)
    publishes = models.BooleanField(default=False)
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="+")
    department = models.ForeignKey(Department, models.PROTECT, null=True, blank=True, related_name="+")
    occurred_at = models.DateTimeField()
    article = models.CharField(max_length=60)
    record = models.OneToOneField(Document, models.PROTECT, related_name="+")
    attachment = models.OneToOneField(Document, models.PROTECT, null=True, blank=True, related_name="+")
    entry_id = models.UUIDField(unique=True)
    minutes = models.CharField(max_length=MAX_MINUTES_CHARS, blank=True)
    result = models.CharField(max_length=MAX_RESULT_CHARS, blank=True)
    opinion = models.CharField(max_length=MAX_OPINION_CHARS, blank=True)
    reason = models.CharField(max_length=MAX_REASON_CHARS, blank=True)
    shared = models.BooleanField(null=True)
    decided_on = models.DateField(null=True, blank=True)
    session = models.ForeignKey(JointReviewSession, models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        """What the regulation requires of a step is there, whoever writes the row."""

        ordering = ["dispute", "sequence"]
        indexes = [
            models.Index(
                fields=["-occurred_at"], condition=Q(publishes=True), name="dispute_result_published"
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["dispute", "sequence"], name="dispute_event_once"),
            models.CheckConstraint(
                condition=Q(sequence=1, previous=None, from_state="", action="open")
                | (Q(sequence=models.F("previous") + 1) & ~Q(from_state="") & ~Q(action="open")),
                name="event_has_its_place",
            ),
            models.CheckConstraint(
                condition=Q(account=None, department=None)
                | Q(account__isnull=False, department__isnull=False),
                name="event_has_its_actor",
            ),
            models.CheckConstraint(condition=~Q(article=""), name="event_has_its_article"),
            _needs("minutes", ~Q(minutes="")),
            _needs("result", ~Q(result="")),
            _needs("opinion", ~Q(opinion="")),
            _needs("reason", ~Q(reason="")),
            _needs("session", Q(session__isnull=False)),
            _needs("decided_on", Q(decided_on__isnull=False)),
            _needs("document", Q(attachment__isnull=False)),
            models.UniqueConstraint(
                fields=["dispute", "session", "department"],
                condition=~Q(opinion=""),
                name="one_opinion_of_a_member",
            ),
        ]

    def __str__(self) -> str:
        """Return dispute and place."""
        return f"{self.dispute_id}#{self.sequence}"


class RulingApplication(models.Model):
    """One party's application for a ruling; where both must apply, the first one waits for the other.

    Source: guangzhou-2016 art. 35(2).
    """

    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="ruling_applications")
    department = models.ForeignKey(Department, models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=MAX_REASON_CHARS)
    applied_at = models.DateTimeField()
    entry_id = models.UUIDField(unique=True)

    class Meta:
        """A party applies once, and says why."""

        ordering = ["applied_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["dispute", "department"], name="one_application_of_a_party"),
            models.CheckConstraint(condition=~Q(reason=""), name="application_has_its_reason"),
        ]

    def __str__(self) -> str:
        """Return the keys."""
        return f"{self.dispute_id}:{self.department_id}"


class ProjectBar(models.Model):
    """For this year no application of the department for a government-invested IT project is accepted.

    Source: guangzhou-2016 art. 35(3).
    """

    department = models.ForeignKey(Department, models.PROTECT, related_name="project_bars")
    year = models.PositiveSmallIntegerField()
    sanction = models.CharField(max_length=40)
    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="bars")
    article = models.CharField(max_length=60)
    set_at = models.DateTimeField()
    entry_id = models.UUIDField()

    class Meta:
        """A dispute bars a department once for a year."""

        ordering = ["-year", "department"]
        constraints = [
            models.UniqueConstraint(
                fields=["department", "year", "sanction", "dispute"], name="one_bar_a_year"
            ),
            models.CheckConstraint(condition=Q(year__gte=2000, year__lte=2999), name="bar_year_is_plausible"),
        ]

    def __str__(self) -> str:
        """Return department and year."""
        return f"{self.department_id}:{self.year}"
