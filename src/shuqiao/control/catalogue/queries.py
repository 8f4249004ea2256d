"""What pages show of one entry, and who may see it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels
from shuqiao.control.catalogue.known import knows
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.catalogue.platforms import PlatformView
from shuqiao.control.catalogue.sharing import ShareMark, SharingView
from shuqiao.control.organisations.queries import DepartmentRef, PersonRow
from shuqiao.control.regulations.queries import ArticleRef, ArticleText, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Phase


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
    codes: tuple[tuple[str, str], ...]
    modes: tuple[tuple[str, Text], ...]
    record_key: bool
    companion: bool
    article: ArticleRef | None
    share_type: ShareMark | None = None
    element: str = ""


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
class TermRow:
    """A term of a request for the entry, in working days, as the regulation names it."""

    label: Text
    working_days: int
    article: ArticleRef


@dataclass(frozen=True)
class EntryPage:
    """Everything the entry page shows; `can_request` says why not in `request_refusal` when false.

    `may_verify` tells that the viewer's department holds a grant to verify.
    """

    id: str
    code: str
    name: Text
    summary: Text
    version: int
    published_at: datetime | None
    category: Text
    article: ArticleText
    terms: tuple[TermRow, ...]
    share_type: ShareMark | None
    sharing: SharingView | None
    may_classify: bool
    free: ArticleRef
    provider: DepartmentRef
    joint_departments: tuple[DepartmentRef, ...]
    persons: tuple[PersonRow, ...]
    library: Text
    update_cycle: Text
    platform: str
    at: PlatformView | None
    scope: str
    max_period_months: int
    shared_until: date
    may_prolong: bool
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
    may_verify: bool = False
    open_request: str | None = None


def access_resource(viewer: Viewer, resource_id: str) -> Resource:
    """Return a published entry that the viewer knows of, for a role that may see the catalogue."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    resource = (
        Resource.objects.select_related("department")
        .prefetch_related("items")
        .filter(knows(viewer), id=resource_id, state="published")
        .first()
    )
    if resource is None:
        raise NotFound
    return resource


def item_row(
    item: Item,
    record_key: str,
    share_type: ShareMark | None = None,
    standards: Mapping[str, Text] | None = None,
    modes: Collection[str] | None = None,
) -> ItemRow:
    """Show one item of an entry: `share_type` is the one in force for it, `standards` names its element.

    `modes` are those of the entry, where it offers fewer than its items.
    """
    named = (standards or {}).get(item.standard)
    return ItemRow(
        number=item.number,
        part=item.part,
        part_of=item.part_of_zh,
        field=item.field,
        name=item.name,
        type=item.type,
        type_label=labels.label(labels.TYPES, item.type),
        length=item.length,
        standard=str(named) if named else "",
        element=item.standard if named else "",
        sensitivity=item.sensitivity,
        identity=item.identity,
        required=item.required,
        codes=tuple((item.codes or {}).items()),
        modes=labels.mode_labels([one for one in item.modes if modes is None or one in modes]),
        record_key=item.field == record_key,
        companion=item.companion,
        article=article_ref(item.article) if item.article else None,
        share_type=share_type,
    )


def held_grants(department: str, ids: Iterable[str]) -> dict[str, date]:
    """Return until when a department holds a grant of each entry."""
    return dict(
        _rows(
            "SELECT resource_id, max(valid_until) FROM grants_grant"
            " WHERE resource_id = ANY(%s) AND consumer_id = %s AND phase = %s GROUP BY resource_id",
            [list(ids), department, Phase.GRANTED.value],
        )
    )


def open_requests(department: str, ids: Iterable[str]) -> dict[str, str]:
    """Return the number of a department's unanswered request for each entry."""
    return dict(
        _rows(
            "SELECT resource_id, max(number) FROM requests_request"
            " WHERE resource_id = ANY(%s) AND requester_id = %s AND phase = ANY(%s) AND number <> ''"
            " GROUP BY resource_id",
            [list(ids), department, [Phase.WAITING.value, Phase.DISPUTED.value]],
        )
    )


def _rows(sql: str, values: Sequence[str | list[str]]) -> list[tuple[str, Any]]:
    """Rows of tables that stand above the catalogue, without the models' own cost on every search."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        found: list[tuple[str, Any]] = cursor.fetchall()
        return found
