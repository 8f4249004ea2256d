"""Sessions of the joint review as their pages show them."""

from dataclasses import dataclass
from datetime import date

from django.db.models import Count

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.disputes.access import (
    disputes_visible,
    is_coordinator,
)
from shuqiao.control.disputes.case import EventRow, event_row
from shuqiao.control.disputes.models import Dispute, DisputeEvent, JointReviewSession
from shuqiao.control.disputes.queries import DisputeRow, dispute_rows, sees_reviews
from shuqiao.control.disputes.sessions import next_review_on, waiting_for_review
from shuqiao.control.organisations.bodies import JOINT_REVIEW, bodies_with, body_roles
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref

MAX_SESSIONS = 50


@dataclass(frozen=True)
class SessionRow:
    """One session in the list."""

    number: str
    collected_on: date
    held_on: date | None
    is_convened: bool
    disputes: int


@dataclass(frozen=True)
class SessionList:
    """The sessions, and when the next one is due. `article` sets the interval, which may be a setting."""

    rows: tuple[SessionRow, ...]
    waiting: int
    next_on: date
    every_days: int
    article: ArticleRef
    can_convene: bool


@dataclass(frozen=True)
class AgendaRow:
    """A dispute on an agenda with each member's opinion (None where not given yet) and the decision."""

    dispute: DisputeRow
    opinions: tuple[EventRow | None, ...]
    decision: EventRow | None
    may_be_chosen: bool
    needs_own_opinion: bool


@dataclass(frozen=True)
class SessionPage:
    """One session: its members in the order of the opinions of each row."""

    number: str
    collected_on: date
    held_on: date | None
    is_convened: bool
    members: tuple[DepartmentRef, ...]
    agenda: tuple[AgendaRow, ...]
    article: ArticleRef
    can_convene: bool


def session_list(viewer: Viewer) -> SessionList:
    """Return the sessions the viewer may see: the co-ordinator and supervision all, members their own."""
    coordinates = is_coordinator(viewer, body_roles(viewer.department.code))
    found = _visible(viewer).annotate(count=Count("agenda"))[:MAX_SESSIONS]
    disputes = regulation().disputes
    return SessionList(
        rows=tuple(
            SessionRow(one.number, one.collected_on, one.held_on, one.convened_at is not None, one.count)
            for one in found
        ),
        waiting=waiting_for_review().count() if coordinates else 0,
        next_on=next_review_on(),
        every_days=disputes.review_every_days,
        article=article_ref(disputes.review_every_days_article),
        can_convene=coordinates,
    )


def _visible(viewer: Viewer):  # type: ignore[no-untyped-def] # a query set with annotations
    if not sees_reviews(viewer):
        raise NotFound
    every = JointReviewSession.objects.order_by("-collected_on", "-pk")
    if is_coordinator(viewer, body_roles(viewer.department.code)) or viewer.can(Capability.AUDIT_VIEW_ALL):
        return every
    return every.filter(convened_at__isnull=False, members=viewer.department.code)


def session_page(viewer: Viewer, number: str) -> SessionPage:
    """Return one session with its agenda, opinions and decisions."""
    session = _visible(viewer).filter(number=number).first()
    if session is None:
        raise NotFound
    departments = department_refs()
    codes = list(session.members.order_by("code").values_list("code", flat=True))
    if session.convened_at is None:
        codes = bodies_with(JOINT_REVIEW)
    can_convene = is_coordinator(viewer, body_roles(viewer.department.code)) and session.convened_at is None
    return SessionPage(
        number=session.number,
        collected_on=session.collected_on,
        held_on=session.held_on,
        is_convened=session.convened_at is not None,
        members=tuple(departments[code] for code in codes),
        agenda=_agenda(viewer, session, codes),
        article=_review_article(session.regulation),
        can_convene=can_convene,
    )


def _review_article(regulation_id: str) -> ArticleRef:
    steps = named(regulation_id).procedure("dispute").transitions
    found = next((step.article for step in steps if step.action == "schedule"), "setting")
    return article_ref(found, regulation_id)


def _agenda(viewer: Viewer, session: JointReviewSession, codes: list[str]) -> tuple[AgendaRow, ...]:
    keys = list(session.agenda.order_by("pk").values_list("dispute_id", flat=True))
    found = {one.pk: one for one in disputes_visible(viewer).filter(pk__in=keys)}
    disputes = [found[key] for key in keys if key in found]
    events = _review_events(session, disputes)
    departments = department_refs()
    choosable = set(waiting_for_review().filter(pk__in=keys).values_list("pk", flat=True))
    rows = []
    for dispute, row in zip(disputes, dispute_rows(disputes), strict=True):
        own = events.get(dispute.pk, [])
        said = {event.department_id: event_row(event, departments) for event in own if event.opinion}
        decided = [event_row(event, departments) for event in own if ",opinions," in event.requires]
        mine = viewer.department.code
        open_to_me = mine in codes and mine not in said and viewer.can(Capability.REVIEW_OPINE)
        rows.append(
            AgendaRow(
                dispute=row,
                opinions=tuple(said.get(code) for code in codes),
                decision=decided[-1] if decided else None,
                may_be_chosen=dispute.pk in choosable,
                needs_own_opinion=session.convened_at is not None and open_to_me and not decided,
            )
        )
    return tuple(rows)


def _review_events(session: JointReviewSession, disputes: list[Dispute]) -> dict[int, list[DisputeEvent]]:
    found: dict[int, list[DisputeEvent]] = {}
    events = DisputeEvent.objects.filter(session=session, dispute__in=disputes).order_by("sequence")
    for event in events.select_related("account", "record", "attachment").defer(
        "record__content", "attachment__content"
    ):
        found.setdefault(event.dispute_id, []).append(event)
    return found
