"""What pages show across parts: the task list, notices, the audit list and the proof of an entry."""

from dataclasses import dataclass
from datetime import date, datetime

from shuqiao.control.accounts.actors import ActorRef
from shuqiao.control.organisations.queries import DepartmentRef
from shuqiao.control.regulations.queries import ArticleRef, Clock
from shuqiao.control.requests.queries import RequestRow
from shuqiao.control.texts import Text


@dataclass(frozen=True)
class Task:
    """Something the viewer must do; `reference` tells the page where it leads."""

    kind: str
    reference: str
    title: Text
    detail: Text
    stage: Text
    clock: Clock | None
    # What the term is called, where one runs.
    term: Text | None
    action: Text


@dataclass(frozen=True)
class TaskGroup:
    """Tasks of one urgency: overdue, today, week or later."""

    key: str
    label: Text
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class StripDay:
    """One working day of the strip, with what falls due on it; `overdue` days come first."""

    day: date
    today: bool
    overdue: bool
    provisional: bool
    week_ends: bool
    items: tuple[tuple[str, Text], ...]


@dataclass(frozen=True)
class Notice:
    """Something the viewer's department is told; `kind` and `reference` tell where it leads."""

    id: int
    code: str
    reference: str
    title: Text
    detail: Text
    at: datetime
    read: bool


@dataclass(frozen=True)
class TaskList:
    """The first page: groups in order of urgency, own requests, notices, and this month's figures.

    `is_cut` tells that there may be more tasks than are listed.
    """

    today: date
    groups: tuple[TaskGroup, ...]
    task_count: int
    is_cut: bool
    strip: tuple[StripDay, ...]
    my_requests: tuple[RequestRow, ...]
    notices: tuple[Notice, ...]
    unread: int
    overdue: int
    due_today: int
    answered_this_month: int
    mean_reply_days: float | None


@dataclass(frozen=True)
class AuditFilters:
    """What the audit list is narrowed to; empty means everything the viewer may see."""

    since: date | None = None
    until: date | None = None
    department: str = ""
    resource: str = ""
    event: str = ""
    entry: str = ""
    case: str = ""
    actor: str = ""


@dataclass(frozen=True)
class AuditRow:
    """One entry of the log; `position` is null until the integrator has numbered it."""

    id: str
    position: int | None
    at: datetime
    event: str
    event_label: Text
    department: DepartmentRef | None
    actor: str
    who: ActorRef | None
    resource: str
    resource_name: Text | None
    record: str
    grant: str
    case: str
    outcome: str
    outcome_label: Text


@dataclass(frozen=True)
class AuditPage:
    """A page of the audit list. `next_before` continues it; searching is itself recorded."""

    rows: tuple[AuditRow, ...]
    filters: AuditFilters
    total_integrated: int
    events: tuple[tuple[str, Text], ...]
    departments: tuple[DepartmentRef, ...]
    next_before: str


@dataclass(frozen=True)
class Sibling:
    """One hash of the inclusion path; `side` is where it stands, `computed` the hash it leads to."""

    level: int
    side: str
    hash: str
    computed: str


@dataclass(frozen=True)
class Check:
    """One check of a proof, computed now, never remembered."""

    key: str
    label: Text
    passed: bool
    detail: Text


@dataclass(frozen=True)
class AuditProof:
    """The proof of one entry against the newest checkpoint that covers it."""

    row: AuditRow
    facts: tuple[tuple[Text, str], ...]
    body: str
    digest: str
    salt: str
    leaf_hash: str
    path: tuple[Sibling, ...]
    size: int | None
    root: str
    signed_at: datetime | None
    key_id: str
    articles: tuple[ArticleRef, ...]
    checks: tuple[Check, ...]
    proved: bool
