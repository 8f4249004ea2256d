"""What pages show of requests: the form, the lists, the inbox, and the case with its timeline."""

from dataclasses import dataclass
from datetime import date, datetime

from shuqiao.control.catalogue.platforms import Counterpart, PlatformView
from shuqiao.control.catalogue.queries import ItemRow
from shuqiao.control.clocks.queries import CaseClock
from shuqiao.control.grants.terms import GrantView, TermsView
from shuqiao.control.interfaces.granting import OperationOption
from shuqiao.control.organisations.queries import ApplicationRef, DepartmentRef
from shuqiao.control.regulations.queries import ArticleRef, ArticleText, Clock
from shuqiao.control.requests.row_editor import OPERATORS, RowLine
from shuqiao.control.requests.terms import Kept
from shuqiao.control.texts import Text
from shuqiao.rules.rows import Row


@dataclass(frozen=True)
class DutyOption:
    """A registered duty of the requester that a request may rest on."""

    id: int
    number: int
    text: Text
    ground: str


@dataclass(frozen=True)
class Condition:
    """A condition of use that every requester accepts, with its article."""

    key: str
    text: Text
    article: ArticleRef


@dataclass(frozen=True)
class Forecast:
    """Latest days if the request were submitted today (REQ-15).

    `starts_with` names the step with which the term begins where that is not the submission itself.
    `provide_due_on` is None where access opens with the approval and the text sets no term.
    """

    reply_due_on: date
    reply_days: int
    provide_due_on: date | None
    provisional: bool
    starts_with: Text | None
    article: ArticleRef
    provide_article: ArticleRef | None


@dataclass(frozen=True)
class WayOf:
    """How what a draft asks for would be dealt with (at once, by review, not at all), and what decides it."""

    kind: str
    article: ArticleRef
    because: str
    items: tuple[Text, ...]


@dataclass(frozen=True)
class ChannelOption:
    """A channel to choose; `bulk_only` ones give a whole data set."""

    key: str
    label: Text
    chosen: bool
    bulk_only: bool


@dataclass(frozen=True)
class RowEditor:
    """The editor of row conditions: its lines, the items and the operators to choose from."""

    lines: tuple[RowLine, ...]
    fields: tuple[tuple[str, Text], ...]
    operators: tuple[tuple[str, Text], ...] = OPERATORS


@dataclass(frozen=True)
class DraftItem:
    """An item that can be asked for, with what the draft says about it."""

    item: ItemRow
    chosen: bool
    reason: str
    masked: bool
    unmask_reason: str


@dataclass(frozen=True)
class RequestForm:
    """What the request form needs; `draft` is its key once it has been saved."""

    draft: int | None
    resource: str
    resource_code: str
    resource_name: Text
    provider: DepartmentRef
    article: ArticleRef
    modes: tuple[tuple[str, Text], ...]
    mode: str
    items: tuple[DraftItem, ...]
    duties: tuple[DutyOption, ...]
    duty: int | None
    purpose: str
    case_wording: str
    applications: tuple[ApplicationRef, ...]
    chosen_applications: tuple[str, ...]
    conditions: tuple[Condition, ...]
    accepted_conditions: tuple[str, ...]
    max_period_months: int
    wanted_until: date | None
    forecast: Forecast
    way: WayOf
    channels: tuple[ChannelOption, ...]
    interface_only: ArticleRef | None
    masked_article: ArticleRef
    editor: RowEditor
    kept_rows: tuple[Row, ...]
    terms: TermsView
    renews: str
    at: PlatformView | None
    others: tuple[Counterpart, ...]


@dataclass(frozen=True)
class RequestRow:
    """One request in a list: the requester's own, or one a provider has received."""

    key: int
    number: str
    resource: str
    resource_name: Text
    requester: DepartmentRef
    provider: DepartmentRef
    item_count: int
    granted_count: int
    mode: str
    mode_label: Text
    purpose: str
    state: str
    phase: str
    state_label: Text
    regulation: str
    submitted_at: datetime | None
    clock: Clock | None
    clock_label: Text | None
    running: CaseClock | None
    grant: str | None


@dataclass(frozen=True)
class RequestList:
    """A page of requests with the count of every state for the tabs, in the words of the files."""

    rows: tuple[RequestRow, ...]
    total: int
    page: int
    pages: int
    state: str
    counts: tuple[tuple[str, Text, int], ...]


@dataclass(frozen=True)
class CaseItem:
    """One item of a request: why it is needed and what was decided (`granted` is null before)."""

    field: str
    name: Text
    sensitivity: int
    reason: str
    granted: bool | None
    refusal_reason: str
    masked: bool
    unmask_reason: str


@dataclass(frozen=True)
class Step:
    """A step of the timeline: `status` is done, current, ahead or dispute (begins only in a dispute)."""

    key: str
    label: Text
    status: str
    detail: Text | None
    at: datetime | None
    by: str
    due_on: date | None
    clock: Clock | None
    article: ArticleText | None
    start_rule: Text | None


@dataclass(frozen=True)
class HistoryRow:
    """One event of the case; `entry` is its audit entry."""

    at: datetime
    label: Text
    by: str
    entry: str | None
    reason: str
    operations: tuple[Text, ...] = ()


@dataclass(frozen=True)
class GivenField:
    """A field that a step asks for: `name` is its own on a page, `kind` is text, date or yes."""

    key: str
    name: str
    label: Text
    kind: str


@dataclass(frozen=True)
class ActionOffer:
    """A step this viewer may take from a page, in the regulation's words, with the fields it asks for."""

    action: str
    label: Text
    fields: tuple[GivenField, ...]
    article: ArticleRef


@dataclass(frozen=True)
class ProposedAnswer:
    """An answer that waits for confirmation: what it would give and refuse, by whom, and how it ended."""

    label: Text
    by: str
    at: datetime
    grants: GrantView | None
    refused: tuple[tuple[Text, str], ...]
    note: str
    outcome: str
    outcome_label: Text
    reason: str


@dataclass(frozen=True)
class RequestCase:
    """Everything the case page shows to this viewer; `offers` and `can_…` decide what it offers.

    `operations` are those of an interface that may be given, `opened` the ones that are proposed;
    `files` the files of an entry that files serve, with their titles.
    """

    key: int
    number: str
    state: str
    phase: str
    state_label: Text
    resource: str
    resource_code: str
    resource_name: Text
    requester: DepartmentRef
    provider: DepartmentRef
    written_by: str
    first_request: bool
    renews: str
    purpose: str
    case_wording: str
    mode: str
    mode_label: Text
    modes_offered: tuple[tuple[str, Text], ...]
    regulation: Text
    regulation_ref: str
    duty: DutyOption | None
    duty_confirmed: bool
    duty_article: ArticleRef
    items: tuple[CaseItem, ...]
    applications: tuple[ApplicationRef, ...]
    accepted_conditions: tuple[Condition, ...]
    wanted_until: date | None
    submitted_at: datetime | None
    form_received_on: date | None
    clocks: tuple[CaseClock, ...]
    running: CaseClock | None
    provide_forecast: Forecast | None
    steps: tuple[Step, ...]
    history: tuple[HistoryRow, ...]
    grants: tuple[str, ...]
    disputes: tuple[str, ...]
    must_share: str
    answer_note: str
    begins_on: date
    max_valid_until: date
    terms: TermsView
    terms_article: ArticleRef
    channels: tuple[ChannelOption, ...]
    editor: RowEditor
    operations: tuple[OperationOption, ...]
    opened: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    kept: Kept | None
    proposals: tuple[ProposedAnswer, ...]
    offers: tuple[ActionOffer, ...]
    can_answer: bool
    can_refuse: bool
    proposes: bool
    prints_form: bool
    answer_refusal: Text | None
    can_withdraw: bool
    can_dispute: bool
