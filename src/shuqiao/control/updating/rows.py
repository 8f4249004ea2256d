"""The rows of updates as pages show them: changes with their days, notices, exceptions, force majeure."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.clocks.queries import CaseClock, clocks_of
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import calendar
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.control.updating import ledger
from shuqiao.control.updating.access import may_decide, may_provide
from shuqiao.control.updating.changes import KIND, rule_of
from shuqiao.control.updating.models import DataChange, Decision, Hindrance, SlowUpdate, Told
from shuqiao.rules.updating import Period, exception_of, next_window, window_of

DECISIONS = {
    Decision.ASKED.value: Text("待审核", "To be decided"),
    Decision.APPROVED.value: Text("已批准", "Approved"),
    Decision.REFUSED.value: Text("未批准", "Not approved"),
}


@dataclass(frozen=True)
class ChangeRow:
    """One change: `clock` where a term of the regulation runs, else `due_on`, which may be none."""

    number: str
    resource: str
    name: Text
    provider: DepartmentRef
    noticed_by: DepartmentRef
    happened_on: date
    description: str
    rule: Text
    article: ArticleRef | None
    clock: CaseClock | None
    due_on: date | None
    provisional: bool
    is_over: bool
    done_on: date | None
    was_late: bool
    by_batch: int | None
    statement: str
    may_state: bool


@dataclass(frozen=True)
class ToldRow:
    """An update that a recipient was told of."""

    key: int
    resource: str
    name: Text
    recipient: DepartmentRef
    ways: tuple[Text, ...]
    told_at: datetime
    change: str
    confirmed_at: datetime | None
    by: str
    by_receipt: bool
    may_confirm: bool


@dataclass(frozen=True)
class SlowRow:
    """An application for slower updating; `windows` are the next ones of an approval that stands."""

    key: int
    resource: str
    name: Text
    provider: DepartmentRef
    reason: str
    asked_at: datetime
    decision: str
    words: Text
    decided_on: date | None
    note: str
    ended_on: date | None
    article: ArticleRef | None
    windows: tuple[Period, ...]
    may_decide: bool
    may_end: bool


@dataclass(frozen=True)
class HindranceRow:
    """A record of force majeure."""

    key: int
    resource: str
    name: Text
    provider: DepartmentRef
    began_on: date
    cause: str
    remedy: str
    expected_on: date | None
    recorded_at: datetime
    ended_on: date | None
    may_end: bool


def change_rows(viewer: Viewer, found: QuerySet[DataChange]) -> tuple[ChangeRow, ...]:
    """The changes as rows; a fixed number of queries."""
    rows = list(found.select_related("resource"))
    clocks, refs, today = clocks_of(KIND, [row.number for row in rows]), department_refs(), clock.today()
    shown = []
    for row in rows:
        rule, running = rule_of(row), clocks.get(row.number, ())
        due_on = running[-1].due_on if running else row.due_on
        shown.append(
            ChangeRow(
                number=row.number,
                resource=row.resource_id,
                name=row.resource.name,
                provider=refs[row.department_id],
                noticed_by=refs[row.noticed_by_id],
                happened_on=row.happened_on,
                description=row.description,
                rule=Text(rule.zh, rule.en) if rule else Text("现行规则未定", "The regulation sets none"),
                article=article_ref(rule.article, row.regulation) if rule else None,
                clock=running[-1] if running else None,
                due_on=due_on,
                provisional=running[-1].provisional if running else row.provisional,
                is_over=row.done_on is None and due_on is not None and due_on < today,
                done_on=row.done_on,
                was_late=row.done_on is not None and due_on is not None and row.done_on > due_on,
                by_batch=row.by_batch,
                statement=row.statement,
                may_state=row.done_on is None and may_provide(viewer, row.department_id),
            )
        )
    return tuple(shown)


def told_rows(viewer: Viewer, found: QuerySet[Told]) -> tuple[ToldRow, ...]:
    """Who was told of updates, as rows; one query."""
    refs = department_refs()
    return tuple(
        ToldRow(
            key=row.pk,
            resource=row.resource_id,
            name=row.resource.name,
            recipient=refs[row.recipient_id],
            ways=tuple(ledger.WAYS[way] for way in row.ways),
            told_at=row.told_at,
            change=row.change_id or "",
            confirmed_at=row.confirmed_at,
            by=row.confirmed_by.display_name if row.confirmed_by else "",
            by_receipt=row.receipt is not None,
            may_confirm=row.confirmed_at is None
            and row.recipient_id == viewer.department.code
            and viewer.can(Capability.GRANT_USE),
        )
        for row in found.select_related("resource", "confirmed_by")
    )


def slow_rows(viewer: Viewer, found: QuerySet[SlowUpdate]) -> tuple[SlowRow, ...]:
    """Applications for slower updating, with the windows of those that stand."""
    refs, shown = department_refs(), []
    for row in found.select_related("resource"):
        rule = exception_of(rules_for(row.department_id).updates)
        stands = row.decision == Decision.APPROVED and row.ended_on is None and rule is not None
        own, decides = may_provide(viewer, row.department_id), may_decide(viewer, row.department_id)
        is_asked = row.decision == Decision.ASKED and row.ended_on is None
        windows: tuple[Period, ...] = ()
        if stands and rule is not None:
            first = next_window(rule, clock.today(), calendar())
            windows = (first, window_of(rule, _after(first), calendar()))
        shown.append(
            SlowRow(
                key=row.pk,
                resource=row.resource_id,
                name=row.resource.name,
                provider=refs[row.department_id],
                reason=row.reason,
                asked_at=row.asked_at,
                decision=row.decision,
                words=DECISIONS[row.decision],
                decided_on=row.decided_on,
                note=row.note,
                ended_on=row.ended_on,
                article=article_ref(rule.article, row.regulation) if rule else None,
                windows=windows,
                may_decide=is_asked and decides,
                may_end=(is_asked and own) or (stands and (own or decides)),
            )
        )
    return tuple(shown)


def _after(window: Period) -> date:
    """A day of the quarter after that of a window."""
    month = window.first.month + 3
    return date(window.first.year + (month > 12), month if month <= 12 else 1, 1)


def hindrance_rows(viewer: Viewer, found: QuerySet[Hindrance]) -> tuple[HindranceRow, ...]:
    """Records of force majeure, as rows; one query."""
    refs = department_refs()
    return tuple(
        HindranceRow(
            key=row.pk,
            resource=row.resource_id,
            name=row.resource.name,
            provider=refs[row.department_id],
            began_on=row.began_on,
            cause=row.cause,
            remedy=row.remedy,
            expected_on=row.expected_on,
            recorded_at=row.recorded_at,
            ended_on=row.ended_on,
            may_end=row.ended_on is None and may_provide(viewer, row.department_id),
        )
        for row in found.select_related("resource")
    )
