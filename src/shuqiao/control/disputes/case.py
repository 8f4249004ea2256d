"""One dispute as its page shows it: its course and terms, what was written, and what may be done."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.clocks.queries import CaseClock, clocks_of, next_clock
from shuqiao.control.disputes.access import access_dispute
from shuqiao.control.disputes.advance import KIND, is_provided, session_of
from shuqiao.control.disputes.forms import StepForm, step_forms
from shuqiao.control.disputes.models import Dispute, DisputeEvent
from shuqiao.control.disputes.queries import DisputeRow, dispute_rows
from shuqiao.control.disputes.statements import may_state
from shuqiao.control.disputes.steps import OPEN, STATE, action_label, procedure_of, rules_of, state_label
from shuqiao.control.documents.queries import DocumentRow, document_rows, documents_of
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import ArticleRef, ArticleText, Clock, article_ref, cited_text
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Regulation


@dataclass(frozen=True)
class CourseStep:
    """A step of the timeline: `status` is done, current or next."""

    key: str
    label: Text
    status: str
    detail: Text | None = None
    at: datetime | None = None
    by: str = ""
    due_on: date | None = None
    clock: Clock | None = None
    article: ArticleText | None = None
    start_rule: Text | None = None


@dataclass(frozen=True)
class EventRow:
    """One event with what it brought, its documents and its audit entry."""

    action: str
    label: Text
    at: datetime
    by: str
    article: ArticleRef
    minutes: str
    result: str
    opinion: str
    reason: str
    shared: bool | None
    decided_on: date | None
    published: bool
    documents: tuple[DocumentRow, ...]
    entry: UUID


@dataclass(frozen=True)
class MemberRow:
    """A member of the joint review and its opinion, or none yet."""

    department: DepartmentRef
    opinion: EventRow | None


@dataclass(frozen=True)
class DisputeCase:
    """Everything the page of a dispute shows to this viewer."""

    row: DisputeRow
    reason: str
    resource: str
    case_kind: str
    case_number: str
    regulation: Text
    shared: bool | None
    provided: bool | None
    session: str
    clocks: tuple[CaseClock, ...]
    steps: tuple[CourseStep, ...]
    negotiation: tuple[EventRow, ...]
    members: tuple[MemberRow, ...]
    review: EventRow | None
    applications: tuple[EventRow, ...]
    ruling: EventRow | None
    history: tuple[EventRow, ...]
    documents: tuple[DocumentRow, ...]
    bars: tuple[tuple[int, ArticleRef], ...]
    forms: tuple[StepForm, ...]
    may_state: bool


def dispute_case(viewer: Viewer, number: str) -> DisputeCase:
    """Return a dispute with everything that has happened in it."""
    dispute = access_dispute(viewer, number)
    rules, departments = rules_of(dispute), department_refs()
    events = list(
        dispute.events.select_related("account", "record", "attachment")
        .defer("record__content", "attachment__content")
        .order_by("sequence")
    )
    rows = [event_row(event, departments) for event in events]
    clocks = clocks_of(KIND, [number]).get(number, ())
    session = session_of(dispute)
    return DisputeCase(
        row=dispute_rows([dispute])[0],
        reason=dispute.reason,
        resource=dispute.resource,
        case_kind=dispute.case_kind,
        case_number=dispute.case_number,
        regulation=Text(rules.title.zh, rules.title.en),
        shared=dispute.shared,
        provided=is_provided(dispute),
        session=session.number if session else "",
        clocks=clocks,
        steps=_course(dispute, events, rows, clocks),
        negotiation=tuple(row for row in rows if row.minutes or row.action == STATE),
        members=tuple(
            MemberRow(departments[code], _opinion_of(code, events, rows))
            for code in (session.members.order_by("code").values_list("code", flat=True) if session else ())
        ),
        review=_last(row for row, event in zip(rows, events, strict=True) if ",opinions," in event.requires),
        applications=tuple(row for row in rows if row.action in ("apply_ruling", "join_ruling")),
        ruling=_last(row for row in rows if row.decided_on),
        history=tuple(rows),
        documents=documents_of(KIND, number),
        bars=tuple((bar.year, article_ref(bar.article)) for bar in dispute.bars.order_by("year")),
        forms=step_forms(viewer, dispute),
        may_state=may_state(viewer, dispute),
    )


def event_row(event: DisputeEvent, departments: dict[str, DepartmentRef]) -> EventRow:
    """Show one event."""
    documents = [one for one in (event.attachment, event.record) if one is not None]
    return EventRow(
        action=event.action,
        label=action_label(named(event.regulation), event.action),
        at=event.occurred_at,
        by=_actor(event, departments),
        article=article_ref(event.article),
        minutes=event.minutes,
        result=event.result,
        opinion=event.opinion,
        reason=event.reason,
        shared=event.shared,
        decided_on=event.decided_on,
        published=event.publishes,
        documents=document_rows(documents),
        entry=event.entry_id,
    )


def _actor(event: DisputeEvent, departments: dict[str, DepartmentRef]) -> str:
    if event.department_id is None or event.account is None:
        return str(Text("平台", "The platform"))
    return f"{departments[event.department_id].short} {event.account.display_name}"


def _opinion_of(code: str, events: Sequence[DisputeEvent], rows: Sequence[EventRow]) -> EventRow | None:
    pairs = zip(events, rows, strict=True)
    return next((row for event, row in pairs if event.opinion and event.department_id == code), None)


def _last(rows: Iterable[EventRow]) -> EventRow | None:
    found = list(rows)
    return found[-1] if found else None


def _course(
    dispute: Dispute,
    events: Sequence[DisputeEvent],
    rows: Sequence[EventRow],
    clocks: tuple[CaseClock, ...],
) -> tuple[CourseStep, ...]:
    """What was done, where the dispute stands with its term and article, and what may still come."""
    rules = rules_of(dispute)
    done = [
        CourseStep(
            key=str(event.sequence),
            label=row.label,
            status="done",
            detail=_detail(row),
            at=row.at,
            by=row.by,
            article=cited_text(event.article),
        )
        for event, row in zip(events, rows, strict=True)
    ]
    if dispute.final:
        return tuple(done)
    running = next_clock(clocks)
    now = CourseStep(
        key=dispute.state,
        label=state_label(rules, dispute.state),
        status="current",
        due_on=running.due_on if running else None,
        clock=running.shown if running else None,
        article=cited_text(running.due.article) if running else None,
    )
    return (*done, now, *_ahead(dispute, rules, {event.to_state for event in events}))


def _detail(row: EventRow) -> Text | None:
    words = row.result or row.reason or row.opinion
    return Text(words[:80], words[:80]) if words and row.action != OPEN else None


def _ahead(dispute: Dispute, rules: Regulation, visited: set[str]) -> list[CourseStep]:
    """The stages that may still come, nearest first: what the steps of the regulation lead to."""
    procedure = procedure_of(rules)
    waiting, seen, found = [dispute.state], set(visited), []
    while waiting:
        at = waiting.pop(0)
        for step in procedure.transitions:
            state = procedure.state(step.to_state)
            if at not in step.from_states or state is None or state.key in seen or state.final:
                continue
            seen.add(state.key)
            waiting.append(state.key)
            label = Text(state.zh, state.en)
            found.append(CourseStep(state.key, label, "next", article=cited_text(step.article, rules.id)))
    return found
