"""What the pages show of checked forms: per field whether, from whom and how it can be had, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.labels import mode_labels
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.catalogue.queries import held_grants, open_requests
from shuqiao.control.onesource.access import access_check, visible_checks, watches
from shuqiao.control.onesource.checks import AUDIENCES, OUTSIDE
from shuqiao.control.onesource.models import CheckedField, FormCheck
from shuqiao.control.organisations.queries import DepartmentRef, department_ref, department_refs
from shuqiao.control.regulations.queries import ArticleRef, article_ref, matter_ref
from shuqiao.control.texts import Text
from shuqiao.rules.datum_names import How
from shuqiao.rules.onesource import because_of
from shuqiao.rules.sharing import WayKind

PAGE_SIZE = 20
FIELDS_ON_A_PAGE = 100
MOST_SOURCES = 30

VERDICTS = {
    "available": Text("可共享取得", "Can be had by sharing"),
    "own": Text("本部门已有", "Your department has it"),
    "choice": Text("待选择", "To be chosen"),
    "closed": Text("已有但不予共享", "There, but not shared"),
    "none": Text("目录中没有", "Not in the catalogue"),
}
_WAYS = {
    WayKind.IMMEDIATE: Text("即时开通", "granted at once"),
    WayKind.REVIEW: Text("经责任部门答复", "after an answer"),
}
_CONTAINED = Text("名称中含有该信息项", "Its name holds the name of this item")


@dataclass(frozen=True)
class CheckRow:
    """One check of a list."""

    number: str
    title: str
    department: DepartmentRef
    audience: Text
    public: bool
    fields: int
    available: int
    at: datetime


@dataclass(frozen=True)
class CheckList:
    """A page of checks; `asking` are those of others' forms that ask for what can be had."""

    rows: tuple[CheckRow, ...]
    asking: bool
    may_watch: bool
    page: int
    pages: int
    total: int
    article: ArticleRef


@dataclass(frozen=True)
class FoundItem:
    """A source that a field may be, as a page shows it."""

    resource: str
    resource_name: Text
    field: str
    name: Text
    holder: DepartmentRef
    confidence: int
    why: Text
    modes: tuple[tuple[str, Text], ...]
    way: Text | None
    standing: str


@dataclass(frozen=True)
class FieldRow:
    """One field of the form."""

    position: int
    label: str
    verdict: str
    verdict_label: Text
    found: tuple[FoundItem, ...]


@dataclass(frozen=True)
class WantedItem:
    """An item that can be asked for at once, with the field of the form it answers."""

    field: str
    name: Text
    label: str
    sure: bool


@dataclass(frozen=True)
class SourceCard:
    """An entry that answers fields of the form, with a request for them or the grant that is there."""

    resource: str
    name: Text
    holder: DepartmentRef
    items: tuple[WantedItem, ...]
    sure: int
    granted_until: date | None
    open_request: str | None


@dataclass(frozen=True)
class CheckView:
    """Everything the page of a check shows."""

    number: str
    title: str
    department: DepartmentRef
    by: str
    at: datetime
    audience: Text
    public: bool
    fields: int
    counts: Mapping[str, int]
    rows: tuple[FieldRow, ...]
    sources: tuple[SourceCard, ...]
    can_request: bool
    page: int
    pages: int
    article: ArticleRef
    entry: str


def check_list(viewer: Viewer, *, asking: bool, page: int) -> CheckList:
    """List checks, the newest first; `asking` leaves those that ask people for what can be had by sharing."""
    found = visible_checks(viewer).select_related("department")
    if asking:
        found = found.filter(available__gt=0, audience__in=OUTSIDE)
    total = found.count()
    number = max(1, min(page, -(-total // PAGE_SIZE) or 1))
    rows = found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return CheckList(
        rows=tuple(_row(check) for check in rows),
        asking=asking,
        may_watch=watches(viewer),
        page=number,
        pages=max(1, -(-total // PAGE_SIZE)),
        total=total,
        article=matter_ref("no_repeat"),
    )


def check_view(viewer: Viewer, number: str, page: int = 1) -> CheckView:
    """Show one check: a page of its fields, and the entries that answer them."""
    check = access_check(viewer, number)
    rows = list(check.rows.all())
    about = _About.of(rows)
    pages = max(1, -(-len(rows) // FIELDS_ON_A_PAGE))
    at = max(1, min(page, pages))
    shown = rows[(at - 1) * FIELDS_ON_A_PAGE : at * FIELDS_ON_A_PAGE]
    own = viewer.department.code == check.department_id
    return CheckView(
        number=check.number,
        title=check.title,
        department=department_ref(check.department),
        by=check.account.display_name,
        at=check.checked_at,
        audience=AUDIENCES[check.audience],
        public=check.audience in OUTSIDE,
        fields=check.fields,
        counts={verdict: sum(row.verdict == verdict for row in rows) for verdict in VERDICTS},
        rows=tuple(_field(row, about) for row in shown),
        sources=_sources(viewer, rows, about) if own else (),
        can_request=own and viewer.can(Capability.REQUEST_SUBMIT),
        page=at,
        pages=pages,
        article=_cited(check),
        entry=str(check.entry_id),
    )


def check_rows(viewer: Viewer, number: str) -> tuple[FormCheck, tuple[FieldRow, ...]]:
    """All fields of a check, for its table to take away."""
    check = access_check(viewer, number)
    rows = list(check.rows.all())
    about = _About.of(rows)
    return check, tuple(_field(row, about) for row in rows)


def wanted_fields(viewer: Viewer, number: str, resource: str) -> frozenset[str]:
    """The items of an entry that fields of a checked form may be: what a request from it may name."""
    rows = access_check(viewer, number).rows.all()
    return frozenset(
        one["field"]
        for row in rows
        for one in row.found
        if one["resource"] == resource and one["standing"] == "available"
    )


@dataclass(frozen=True)
class _About:
    """The entries, items and departments that checked fields name."""

    resources: Mapping[str, Resource]
    items: Mapping[tuple[str, str], Item]
    departments: Mapping[str, DepartmentRef]

    @classmethod
    def of(cls, rows: Sequence[CheckedField]) -> "_About":
        named = {(one["resource"], one["field"]) for row in rows for one in row.found}
        ids = {resource for resource, _ in named}
        items = Item.every.filter(resource_id__in=ids, field__in={field for _, field in named}).order_by()
        return cls(
            Resource.objects.in_bulk(list(ids)),
            {(item.resource_id, item.field): item for item in items},
            department_refs(),
        )

    def knows(self, one: Mapping[str, Any]) -> bool:
        """Whether the item is still there."""
        return one["resource"] in self.resources and (one["resource"], one["field"]) in self.items


def _row(check: FormCheck) -> CheckRow:
    return CheckRow(
        check.number,
        check.title,
        department_ref(check.department),
        AUDIENCES[check.audience],
        check.audience in OUTSIDE,
        check.fields,
        check.available,
        check.checked_at,
    )


def _cited(check: FormCheck) -> ArticleRef:
    return article_ref(check.article, check.regulation)


def _field(row: CheckedField, about: _About) -> FieldRow:
    found = tuple(_found(one, about) for one in row.found if about.knows(one))
    # Where it is sure the first one is meant; the others would only confuse.
    shown = found[:1] if row.verdict in ("available", "own") else found
    return FieldRow(row.position, row.label, row.verdict, VERDICTS[row.verdict], shown)


def _found(one: Mapping[str, Any], about: _About) -> FoundItem:
    resource, item = about.resources[one["resource"]], about.items[one["resource"], one["field"]]
    how = one["how"]
    why = _CONTAINED if how == "contained" else Text(*because_of(How(how)))
    return FoundItem(
        resource=resource.id,
        resource_name=resource.name,
        field=item.field,
        name=item.name,
        holder=about.departments[resource.department_id],
        confidence=one["confidence"],
        why=why,
        modes=mode_labels(one["modes"]),
        way=_WAYS.get(WayKind(one["way"])) if one["way"] else None,
        standing=one["standing"],
    )


def _sources(viewer: Viewer, rows: Sequence[CheckedField], about: _About) -> tuple[SourceCard, ...]:
    """The entries that answer fields, those that answer most surely first."""
    wanted: dict[str, dict[str, WantedItem]] = {}
    likely = {row.found[0]["resource"] for row in rows if row.verdict == "available"}
    for row in rows:
        if row.verdict not in ("available", "choice"):
            continue
        found = row.found[:1] if row.verdict == "available" else row.found
        # What may be several is offered where the form's other fields come from, if it is there.
        found = [one for one in found if one["resource"] in likely] or found
        for one in found:
            if one["standing"] != "available" or not about.knows(one):
                continue
            item = about.items[one["resource"], one["field"]]
            sure = row.verdict == "available"
            made = WantedItem(item.field, item.name, row.label, sure)
            of = wanted.setdefault(one["resource"], {})
            if item.field not in of or sure:
                of[item.field] = made
    ids = list(wanted)
    held, asked = held_grants(viewer.department.code, ids), open_requests(viewer.department.code, ids)
    cards = [
        SourceCard(
            resource=key,
            name=Text(about.resources[key].name_zh, about.resources[key].name_en),
            holder=about.departments[about.resources[key].department_id],
            items=tuple(of.values()),
            sure=sum(one.sure for one in of.values()),
            granted_until=held.get(key),
            open_request=asked.get(key),
        )
        for key, of in wanted.items()
    ]
    cards.sort(key=lambda card: (-card.sure, -len(card.items), card.resource))
    return tuple(cards[:MOST_SOURCES])
