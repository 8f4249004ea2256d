"""What pages show of the catalogue: search with facets, and one entry."""

from dataclasses import dataclass
from datetime import date, datetime

from shuqiao.control.organisations.queries import DepartmentRef, PersonRow
from shuqiao.control.regulations.queries import ArticleRef, ArticleText
from shuqiao.control.texts import Text

PAGE_SIZE = 10
MAX_CANDIDATES = 10_000
MAX_QUERY_CHARS = 60


@dataclass(frozen=True)
class SearchFilters:
    """Chosen facet values; within one facet they add up, between facets they narrow."""

    department: tuple[str, ...] = ()
    mode: tuple[str, ...] = ()
    library: tuple[str, ...] = ()
    update_cycle: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fragment:
    """A piece of a title or item name; `hit` marks what matched."""

    text: str
    hit: bool


@dataclass(frozen=True)
class Hit:
    """One entry found. `matched_items` are the item names that matched, each in fragments."""

    id: str
    code: str
    name: Text
    title: tuple[Fragment, ...]
    summary: Text
    department: DepartmentRef
    item_count: int
    matched_items: tuple[tuple[Fragment, ...], ...]
    library: Text
    update_cycle: Text
    modes: tuple[tuple[str, Text], ...]
    article: ArticleRef
    share_type: Text | None
    granted_until: date | None
    open_request: str | None


@dataclass(frozen=True)
class FacetValue:
    """One value of a facet with the number of entries it would leave."""

    value: str
    label: Text
    count: int
    selected: bool


@dataclass(frozen=True)
class Facet:
    """A facet; `key` is the name of the filter field."""

    key: str
    label: Text
    values: tuple[FacetValue, ...]


@dataclass(frozen=True)
class SearchPage:
    """One page of results. `total_is_exact` is false beyond `MAX_CANDIDATES`: show "10,000+"."""

    query: str
    filters: SearchFilters
    hits: tuple[Hit, ...]
    total: int
    total_is_exact: bool
    page: int
    pages: int
    facets: tuple[Facet, ...]
    elapsed_ms: int


@dataclass(frozen=True)
class ItemRow:
    """One item of an entry; the parts of a compound item of the law share its number."""

    number: int
    part: int
    part_of: str
    field: str
    name: Text
    type: str
    type_label: Text
    length: int | None
    standard: str
    sensitivity: int
    identity: bool
    required: bool
    codes: tuple[str, ...]
    modes: tuple[tuple[str, Text], ...]
    record_key: bool


@dataclass(frozen=True)
class ModeUse:
    """A mode in which the entry is offered, and how many departments use it now."""

    mode: str
    label: Text
    departments: int


@dataclass(frozen=True)
class UserRow:
    """A department that uses the entry under a grant."""

    department: DepartmentRef
    applications: tuple[Text, ...]
    mode: str
    mode_label: Text
    valid_until: date
    calls_30_days: int


@dataclass(frozen=True)
class VersionRow:
    """One published version of an entry, newest first."""

    version: int
    note: Text
    published_at: datetime
    current: bool


@dataclass(frozen=True)
class EntryPage:
    """Everything the entry page shows; `can_request` says why not in `request_refusal` when false."""

    id: str
    code: str
    name: Text
    summary: Text
    version: int
    published_at: datetime | None
    category: Text
    article: ArticleText
    reply_article: ArticleRef
    reply_days: int
    provide_days: int
    share_type: Text | None
    provider: DepartmentRef
    joint_departments: tuple[DepartmentRef, ...]
    legal_departments_zh: tuple[str, ...]
    persons: tuple[PersonRow, ...]
    library: Text
    update_cycle: Text
    platform: str
    scope: str
    max_period_months: int
    conditions: tuple[Text, ...]
    record_key: str
    items: tuple[ItemRow, ...]
    services: tuple[ModeUse, ...]
    users: tuple[UserRow, ...]
    versions: tuple[VersionRow, ...]
    record_count: int
    last_received_at: datetime | None
    calls_30_days: int
    can_request: bool
    request_refusal: Text | None
    granted_until: date | None = None
    open_request: str | None = None
