"""What pages show of grants, and the verification page."""

from dataclasses import dataclass
from datetime import date, datetime

from shuqiao.control.grants.handing_over import HandoverRow
from shuqiao.control.grants.terms import GrantView
from shuqiao.control.organisations.queries import ApplicationRef, DepartmentRef
from shuqiao.control.regulations.queries import ArticleRef, ArticleText
from shuqiao.control.texts import Text


@dataclass(frozen=True)
class GrantItem:
    """An item a grant covers, with what a form needs to ask for it."""

    field: str
    name: Text
    type: str
    kind: str
    identity: bool
    codes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class GrantRow:
    """One grant in a list or on its page."""

    number: str
    request_number: str
    resource: str
    resource_name: Text
    provider: DepartmentRef
    consumer: DepartmentRef
    mode: str
    mode_label: Text
    match: str
    items: tuple[GrantItem, ...]
    applications: tuple[ApplicationRef, ...]
    purpose: str
    valid_from: date
    valid_until: date
    state: str
    state_label: Text
    issued_at: datetime
    ended_at: datetime | None
    revoked_reason: str
    phase: str
    suspended_at: datetime | None
    suspended_reason: str
    renews: str
    renewed_by: str
    article: ArticleRef
    can_suspend: bool
    can_resume: bool
    can_revoke: bool
    can_renew: bool


@dataclass(frozen=True)
class Delivery:
    """What the page of a grant says of delivery: its terms, who answers from when, what was handed over.

    `gives_copies` tells that copies or browsing can be had of the platform: more than a handover offline.
    `passing_on` is the article by which nothing is given on to others.
    """

    terms: GrantView
    gives_files: bool
    gives_copies: bool
    may_query: bool
    responsibility: ArticleRef
    passing_on: ArticleRef
    is_offline: bool
    handovers: tuple[HandoverRow, ...]
    may_hand_over: bool
    media: tuple[tuple[str, Text], ...]


@dataclass(frozen=True)
class GrantList:
    """A page of grants, those in force first."""

    rows: tuple[GrantRow, ...]
    total: int
    page: int
    pages: int


@dataclass(frozen=True)
class OwnCall:
    """A call the viewer made from the pages today; `matches` is null where nothing was compared."""

    entry: str
    at: datetime
    case: str
    event: str
    outcome: str
    matches: tuple[tuple[Text, bool], ...]


@dataclass(frozen=True)
class VerificationPage:
    """The verification page of one grant, with the others the viewer may switch to."""

    grant: GrantRow
    subject: GrantItem
    claims: tuple[GrantItem, ...]
    case_wording: str
    case_required: bool
    article: ArticleText
    proof_article: ArticleText | None
    others: tuple[GrantRow, ...]
    today: tuple[OwnCall, ...]
