"""How entries and their items are shared, as stored: for deciding on a request and for pages."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Item, Resource, Sharing, SharingOrigin
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules import sharing as rules
from shuqiao.rules.regulation import SETTING, Regulation, Words


@dataclass(frozen=True)
class Current:
    """The rows in force of one entry: its own choice, a ruling, and the choices of items by field."""

    resource: Resource
    entry: Sharing | None
    ruling: Sharing | None
    items: dict[str, Sharing]

    def subject(self, item: Item | None = None) -> rules.Subject:
        """What a choice about the entry, or one of its items, is about."""
        return _subject(self.resource, self.ruling is not None, item)

    def type_of(self, item: Item | None, regulation: Regulation) -> str | None:
        """The one share type of the entry or of an item."""
        own = self.items.get(item.field) if item else None
        return rules.type_in_force(
            self.subject(item),
            own.share_type if own else None,
            self.entry.share_type if self.entry else None,
            regulation,
        )

    def departments_of(self, item: Item, regulation: Regulation) -> frozenset[str]:
        """The only departments an item is shared with; none named where a ruling or the law opens it."""
        base = item.field in rules.base_items(self.resource.list_key, regulation)
        row = self.items.get(item.field) or self.entry
        confined = row is not None and self.ruling is None and not base
        return frozenset(row.departments) if row is not None and confined else frozenset()


def current(resources: Iterable[Resource]) -> dict[str, Current]:
    """Read the rows in force of several entries, by their ids: one query."""
    found = {one.id: Current(one, None, None, {}) for one in resources}
    rows = Sharing.objects.filter(resource_id__in=found, ended_at=None).select_related("item")
    for row in rows:
        at = found[row.resource_id]
        if row.item is not None:
            at.items[row.item.field] = row
        elif row.origin == SharingOrigin.RULING:
            found[row.resource_id] = Current(at.resource, at.entry, row, at.items)
        else:
            found[row.resource_id] = Current(at.resource, row, at.ruling, at.items)
    return found


def entry_types(resources: Iterable[Resource], regulation: Regulation) -> dict[str, str | None]:
    """The share type in force of several entries, their items apart, by their ids: one query."""
    found = {one.id: one for one in resources}
    rows = Sharing.objects.filter(resource_id__in=found, item=None, ended_at=None)
    chosen: dict[str, str] = {}
    ruled = set()
    for key, share_type, origin in rows.order_by().values_list("resource_id", "share_type", "origin"):
        if origin == SharingOrigin.RULING:
            ruled.add(key)
        else:
            chosen[key] = share_type
    return {
        key: rules.type_in_force(_subject(one, key in ruled), None, chosen.get(key), regulation)
        for key, one in found.items()
    }


def _subject(resource: Resource, ruled: bool, item: Item | None = None) -> rules.Subject:
    names = Words(item.zh, item.en) if item else Words(resource.name_zh, resource.name_en)
    return rules.Subject(resource.list_key, names, item.field if item else "", ruled=ruled)


def way_of_request(
    resource: Resource, fields: Collection[str], requester: str, mode: str, regulation: Regulation
) -> rules.Way:
    """Decide how a department's request for items of an entry is dealt with; see `rules.sharing.way_of`.

    Fields the entry doesn't have are left out: the request itself refuses them.
    """
    at = current([resource])[resource.id]
    asked = [item for item in resource.items.all() if item.field in fields]
    return rules.way_of([_item_sharing(at, item, regulation) for item in asked], requester, mode, regulation)


def _item_sharing(at: Current, item: Item, regulation: Regulation) -> rules.ItemSharing:
    return rules.ItemSharing(
        item.field,
        at.type_of(item, regulation),
        at.departments_of(item, regulation),
        item.sensitivity,
        frozenset(item.modes),
    )


def is_available(at: Current, requester: str) -> bool:
    """Tell whether a department can ask for anything of an entry at all, in any mode."""
    in_force = regulation()
    return any(
        rules.way_of([_item_sharing(at, item, in_force)], requester, mode, in_force).kind
        != rules.WayKind.NOT_AVAILABLE
        for item in at.resource.items.all()
        for mode in item.modes
    )


def may_rule(viewer: Viewer, in_force: Regulation) -> bool:
    """Tell whether the viewer records rulings of the body that may open an entry."""
    role = in_force.share_types.ruled_by
    if role is None or not viewer.can(Capability.RULING_RECORD):
        return False
    return Department.objects.filter(code=viewer.department.code, roles__contains=[role]).exists()


@dataclass(frozen=True)
class ShareMark:
    """A share type as a page shows it; `openness` chooses the shape beside the words."""

    key: str
    label: Text
    openness: int
    article: ArticleRef

    @property
    def kind(self) -> str:
        """Name the shape: a full, half or crossed circle."""
        return ("not_shared", "conditional", "unconditional")[self.openness]


@dataclass(frozen=True)
class SharingView:
    """How an entry or item is shared, with what the law demands to be said of it."""

    mark: ShareMark | None
    ground: str
    ground_rank: Text | None
    conditions: str
    departments: tuple[DepartmentRef, ...]
    relations: tuple[Text, ...]
    origin: str
    document: str
    decided_on: date | None


@dataclass(frozen=True)
class PastSharing:
    """One choice of the history, newest first; `item` is None for the entry."""

    item: Text | None
    mark: ShareMark | None
    origin: Text
    by: str
    at: datetime
    ended_at: datetime | None
    version: int
    entry: str


def share_mark(key: str | None, rules_in_force: Regulation) -> ShareMark | None:
    """Show a share type; one that the regulation doesn't name is none."""
    named = rules_in_force.share_types.named(key)
    if named is None:
        return None
    return ShareMark(
        named.key, Text(named.zh, named.en), named.openness, article_ref(named.article, rules_in_force.id)
    )


def sharing_view(at: Current, item: Item | None = None) -> SharingView:
    """Show how an entry, or one of its items, is shared now, and why."""
    in_force = regulation()
    row = at.items.get(item.field) if item else None
    row = row or at.entry
    base = item is not None and item.field in rules.base_items(at.resource.list_key, in_force)
    shown = at.ruling or (None if base else row)
    departments = department_refs() if shown and shown.departments else {}
    names = {one.key: Text(one.zh, one.en) for one in in_force.share_types.relations}
    rank = rules.RANKS.get(shown.ground_rank) if shown else None
    return SharingView(
        mark=share_mark(at.type_of(item, in_force), in_force),
        ground=shown.ground if shown else "",
        ground_rank=Text(rank.zh, rank.en) if rank else None,
        conditions=shown.conditions if shown else "",
        departments=tuple(departments[code] for code in shown.departments if code in departments)
        if shown
        else (),
        relations=tuple(names[key] for key in (at.entry.relations if at.entry else ()) if key in names),
        origin="ruling" if at.ruling else "base" if base else row.origin if row else "",
        document=shown.document if shown else "",
        decided_on=shown.decided_on if shown else None,
    )


def history(resource: Resource) -> tuple[PastSharing, ...]:
    """List every choice ever made for an entry and its items."""
    in_force = regulation()
    rows = resource.sharings.select_related("item", "set_by").order_by("-set_at", "-id")
    return tuple(
        PastSharing(
            item=row.item.name if row.item else None,
            mark=share_mark(row.share_type, in_force),
            origin=_ORIGINS[row.origin],
            by=row.set_by.display_name if row.set_by else "",
            at=row.set_at,
            ended_at=row.ended_at,
            version=row.version,
            entry=str(row.entry_id) if row.entry_id else "",
        )
        for row in rows
    )


_ORIGINS = {
    "initial": Text("初始设定", "Initial setting"),
    "provider": Text("责任部门选定", "Chosen by the provider"),
    "ruling": Text("领导小组核定", "Ruled by the leading group"),
}


def initial_sharing(resource: Resource, in_force: Regulation) -> Sharing | None:
    """How a new entry is shared until its department chooses: on conditions, by our own setting (TYP-05).

    None where the regulation names no types.
    """
    middle = rules.middle_type(in_force)
    if middle is None:
        return None
    return Sharing(
        resource=resource,
        regulation=in_force.id,
        share_type=middle.key,
        openness=middle.openness,
        ground="平台设定：条文未列明为基础信息项的，在责任部门核定之前按本类型办理",
        ground_rank="other",
        conditions="由责任部门逐件审核",
        origin=SharingOrigin.INITIAL,
        version=resource.version,
        set_at=resource.published_at or clock.now(),
    )


def free_of_charge(in_force: Regulation) -> ArticleRef:
    """The article by which information is given free of charge, or that it is a setting (COL-10)."""
    return article_ref(in_force.citations.get("free", SETTING), in_force.id)
