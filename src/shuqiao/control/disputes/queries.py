"""What pages show of disputes: the list, and rows that several pages share."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.clocks.queries import clocks_of, next_clock
from shuqiao.control.disputes.access import (
    awaiting,
    disputes_visible,
    is_coordinator,
)
from shuqiao.control.disputes.advance import KIND
from shuqiao.control.disputes.models import Dispute, DisputeEvent, ProjectBar
from shuqiao.control.disputes.steps import action_label, kind_of, rules_of, state_label
from shuqiao.control.organisations.bodies import JOINT_REVIEW, body_roles
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import ArticleRef, Clock, article_ref
from shuqiao.control.texts import Text

PAGE_SIZE = 25


@dataclass(frozen=True)
class DisputeRow:
    """One dispute in a list; `clock` is the term that is due first."""

    number: str
    kind: Text
    subject: str
    case_number: str
    applicant: DepartmentRef
    respondent: DepartmentRef
    state: str
    state_label: Text
    phase: str
    final: bool
    opened_at: datetime
    changed_at: datetime
    clock: Clock | None
    article: ArticleRef


@dataclass(frozen=True)
class DisputeList:
    """A page of disputes with the count of each state for the tabs."""

    rows: tuple[DisputeRow, ...]
    total: int
    page: int
    pages: int
    state: str
    counts: tuple[tuple[str, Text, int], ...]
    can_bring: bool
    can_see_sessions: bool


@dataclass(frozen=True)
class PublishedResult:
    """The published result of a negotiation. Source: guangzhou-2016 art. 35(1)."""

    number: str
    kind: Text
    subject: str
    applicant: DepartmentRef
    respondent: DepartmentRef
    action: Text
    result: str
    shared: bool | None
    published_at: datetime
    article: ArticleRef
    entry: UUID


@dataclass(frozen=True)
class ResultList:
    """A page of published results."""

    rows: tuple[PublishedResult, ...]
    total: int
    page: int
    pages: int


@dataclass(frozen=True)
class BarRow:
    """A department whose applications for IT projects are not accepted in a year."""

    department: DepartmentRef
    year: int
    sanction: Text
    dispute: str
    article: ArticleRef
    set_at: datetime
    entry: UUID
    may_open: bool


@dataclass(frozen=True)
class Gate:
    """The project gate: whether an application of a department may be accepted in a year."""

    department: DepartmentRef | None
    year: int
    bars: tuple[BarRow, ...]
    all_bars: tuple[BarRow, ...]
    departments: tuple[DepartmentRef, ...]
    years: tuple[int, ...]


def dispute_list(viewer: Viewer, state: str = "", page: int = 1) -> DisputeList:
    """Return the disputes the viewer may see: open ones first, the latest change before."""
    if not sees_disputes(viewer):
        raise NotFound
    found = disputes_visible(viewer)
    # Cases under several regulations may share a state's key; the tab then holds them all.
    counted = found.order_by().values_list("regulation", "state").annotate(count=Count("pk"))
    counts: dict[str, tuple[Text, int]] = {}
    for regulation_id, key, count in counted:
        label = state_label(named(regulation_id), key)
        counts[key] = (label, counts.get(key, (label, 0))[1] + count)
    chosen = found.filter(state=state) if state in counts else found
    total = counts[state][1] if state in counts else sum(count for _, count in counts.values())
    pages = max(1, -(-total // PAGE_SIZE))
    number = max(1, min(page, pages))
    window = chosen.order_by("final", "-changed_at", "-pk")[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return DisputeList(
        rows=dispute_rows(window),
        total=total,
        page=number,
        pages=pages,
        state=state if state in counts else "",
        counts=tuple((key, label, count) for key, (label, count) in counts.items()),
        can_bring=viewer.can(Capability.DISPUTE_OPEN),
        can_see_sessions=sees_reviews(viewer),
    )


def sees_disputes(viewer: Viewer) -> bool:
    """Tell whether the viewer has anything to do with disputes, so that the list is offered."""
    return bool(viewer.capabilities & _CONCERNED)


def sees_reviews(viewer: Viewer) -> bool:
    """Tell whether the viewer sees sessions of the joint review."""
    roles = body_roles(viewer.department.code)
    sits = viewer.can(Capability.REVIEW_OPINE) and JOINT_REVIEW in roles
    return sits or is_coordinator(viewer, roles) or viewer.can(Capability.AUDIT_VIEW_ALL)


def waiting_count(viewer: Viewer) -> int:
    """Count the disputes in which the viewer's turn is next: the number beside the navigation."""
    if not viewer.capabilities & _ACTING:
        return 0
    return waiting_disputes(viewer).count()


def waiting_disputes(viewer: Viewer) -> QuerySet[Dispute]:
    """Open disputes that wait for a body of the viewer's department to go on; its opinion is asked once."""
    own = viewer.department.code
    roles = body_roles(own)
    if not roles:
        return Dispute.objects.none()
    due = Q(pk__in=[])
    for capability in viewer.capabilities & _ACTING:
        due |= awaiting(roles, capability)
    mine = disputes_visible(viewer).filter(final=False).filter(due)
    heard = Q(events__department_id=own) & ~Q(events__opinion="")
    return mine.exclude(pk__in=Dispute.objects.filter(heard).values("pk"))


_CONCERNED = frozenset(
    {
        Capability.DISPUTE_OPEN,
        Capability.DISPUTE_COORDINATE,
        Capability.REVIEW_OPINE,
        Capability.RULING_RECORD,
        Capability.AUDIT_VIEW_ALL,
    }
)
_ACTING = frozenset({Capability.DISPUTE_COORDINATE, Capability.REVIEW_OPINE, Capability.RULING_RECORD})


def dispute_rows(found: Iterable[Dispute]) -> tuple[DisputeRow, ...]:
    """Show disputes as rows: three queries, however many they are."""
    disputes, departments = list(found), department_refs()
    clocks = clocks_of(KIND, [dispute.number for dispute in disputes])
    rows = []
    for dispute in disputes:
        running = next_clock(clocks.get(dispute.number, ()))
        kind = kind_of(dispute)
        rows.append(
            DisputeRow(
                number=dispute.number,
                kind=Text(kind.zh, kind.en),
                subject=dispute.subject,
                case_number=dispute.case_number,
                applicant=departments[dispute.applicant_id],
                respondent=departments[dispute.respondent_id],
                state=dispute.state,
                state_label=state_label(rules_of(dispute), dispute.state),
                phase=dispute.phase,
                final=dispute.final,
                opened_at=dispute.opened_at,
                changed_at=dispute.changed_at,
                clock=running.shown if running else None,
                article=article_ref(dispute.article),
            )
        )
    return tuple(rows)


def published_results(page: int = 1) -> ResultList:
    """Return the published results of negotiations, newest first; every account may read them (DIS-02)."""
    found = DisputeEvent.objects.filter(publishes=True).select_related("dispute")
    total = found.count()
    pages = max(1, -(-total // PAGE_SIZE))
    number = max(1, min(page, pages))
    window = found.order_by("-occurred_at", "-pk")[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    departments = department_refs()
    return ResultList(tuple(_published(event, departments) for event in window), total, number, pages)


def _published(event: DisputeEvent, departments: dict[str, DepartmentRef]) -> PublishedResult:
    dispute = event.dispute
    kind = kind_of(dispute)
    return PublishedResult(
        number=dispute.number,
        kind=Text(kind.zh, kind.en),
        subject=dispute.subject,
        applicant=departments[dispute.applicant_id],
        respondent=departments[dispute.respondent_id],
        action=action_label(named(event.regulation), event.action),
        result=event.result,
        shared=event.shared,
        published_at=event.occurred_at,
        article=article_ref(event.article),
        entry=event.entry_id,
    )


def project_gate(viewer: Viewer, department: str = "", year: int | None = None) -> Gate:
    """Say whether a department's application for an IT project may be accepted in a year (DIS-06).

    Every account may ask: whoever accepts or approves projects needs the answer.
    """
    departments = department_refs()
    asked = departments.get(department)
    of_year = year or clock.today().year
    visible = set(disputes_visible(viewer).filter(bars__isnull=False).values_list("pk", flat=True))
    every = [
        _bar_row(bar, departments, bar.dispute_id in visible)
        for bar in ProjectBar.objects.select_related("dispute").order_by("-year", "department_id")
    ]
    matching = [bar for bar in every if asked and bar.department.code == asked.code and bar.year == of_year]
    this_year = clock.today().year
    return Gate(
        department=asked,
        year=of_year,
        bars=tuple(matching),
        all_bars=tuple(every),
        departments=tuple(sorted(departments.values(), key=lambda one: one.code)),
        years=tuple(sorted({this_year, this_year + 1, *(bar.year for bar in every)})),
    )


def is_barred(department: str, year: int) -> bool:
    """Tell whether applications of a department are refused in a year."""
    return ProjectBar.objects.filter(department_id=department, year=year).exists()


def _bar_row(bar: ProjectBar, departments: dict[str, DepartmentRef], may_open: bool) -> BarRow:
    rules = rules_of(bar.dispute)
    sanction = next((one for one in rules.sanctions if one.key == bar.sanction), None)
    return BarRow(
        department=departments[bar.department_id],
        year=bar.year,
        sanction=Text(sanction.zh, sanction.en) if sanction else Text(bar.sanction, bar.sanction),
        dispute=bar.dispute.number,
        article=article_ref(bar.article),
        set_at=bar.set_at,
        entry=bar.entry_id,
        may_open=may_open,
    )


def publishing_article() -> ArticleRef | None:
    """The article by which results are published, or None where the regulation in force does not say so."""
    rules = regulation()
    steps = rules.procedure("dispute").transitions
    found = next((step for step in steps if step.publishes), None)
    return article_ref(found.article, rules.id) if found else None
