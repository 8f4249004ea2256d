"""The page on which a department says how an entry, or one of its items, is shared."""

from dataclasses import dataclass

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Item
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.catalogue.sharing import (
    Current,
    PastSharing,
    ShareMark,
    SharingView,
    current,
    history,
    may_rule,
    share_mark,
    sharing_view,
)
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.sharing import RANKS, Choice, base_items


@dataclass(frozen=True)
class TypeChoice:
    """One share type to choose, what it demands and of which ranks its ground may be."""

    mark: ShareMark
    needs_ground: bool
    needs_conditions: bool
    ranks: tuple[Text, ...]


@dataclass(frozen=True)
class ItemSharingRow:
    """One item with its type; `own` where it differs from the entry, `base` where the law fixes it."""

    field: str
    name: Text
    sensitivity: int
    mark: ShareMark | None
    own: bool
    base: bool


@dataclass(frozen=True)
class RelationChoice:
    """A kind of work that information may be connected with, and its article."""

    key: str
    label: Text
    article: ArticleRef


@dataclass(frozen=True)
class SharingPage:
    """Everything the page shows; `item` is empty for the entry as a whole.

    `choice` is what is in force, or the regulation's default where nobody has chosen. `fixed` says whose
    word goes before any choice: base, ruling or empty.
    """

    id: str
    name: Text
    provider: str
    version: int
    item: str
    item_name: Text
    own: bool
    fixed: str
    now: SharingView
    choice: Choice
    default: ShareMark | None
    default_article: ArticleRef
    types: tuple[TypeChoice, ...]
    ranks: tuple[tuple[str, Text], ...]
    relations: tuple[RelationChoice, ...]
    departments: tuple[DepartmentRef, ...]
    items: tuple[ItemSharingRow, ...]
    history: tuple[PastSharing, ...]
    can_edit: bool
    can_rule: bool
    ruled_article: ArticleRef


def sharing_page(viewer: Viewer, resource_id: str, item_field: str = "") -> SharingPage:
    """Return the page; raises `NotFound` under a regulation that names no share types."""
    rules = regulation()
    resource = access_resource(viewer, resource_id)
    if not rules.share_types.types:
        raise NotFound
    at = current([resource])[resource.id]
    item = next((one for one in resource.items.all() if one.field == item_field), None)
    if item_field and item is None:
        raise NotFound
    provides = resource.department_id == viewer.department.code
    return SharingPage(
        id=resource.id,
        name=resource.name,
        provider=resource.department_id,
        version=resource.version,
        item=item_field,
        item_name=item.name if item else Text("", ""),
        own=item_field in at.items,
        fixed=_fixed(at, item, rules),
        now=sharing_view(at, item),
        choice=_choice(at, item, rules),
        default=share_mark(rules.share_types.default, rules),
        default_article=article_ref(rules.share_types.default_article, rules.id),
        types=tuple(_type_choices(rules)),
        ranks=tuple((key, Text(words.zh, words.en)) for key, words in RANKS.items()),
        relations=tuple(
            RelationChoice(one.key, Text(one.zh, one.en), article_ref(one.article, rules.id))
            for one in rules.share_types.relations
        ),
        departments=_others(resource.department_id),
        items=_rows(at, rules),
        history=history(resource),
        can_edit=provides and viewer.can(Capability.CATALOGUE_EDIT),
        can_rule=may_rule(viewer, rules) and at.ruling is None,
        ruled_article=article_ref(rules.share_types.ruled_by_article, rules.id),
    )


def _fixed(at: Current, item: Item | None, rules: Regulation) -> str:
    if at.ruling is not None:
        return "ruling"
    return "base" if item and item.field in base_items(at.resource.list_key, rules) else ""


def _choice(at: Current, item: Item | None, rules: Regulation) -> Choice:
    row = (at.items.get(item.field) if item else None) or at.entry
    if row is None:
        return Choice(rules.share_types.default or "")
    named = rules.share_types.named(row.share_type)
    return Choice(
        row.share_type if named and row.origin != "initial" else rules.share_types.default or "",
        row.ground if row.origin != "initial" else "",
        row.ground_rank if row.origin != "initial" else "",
        row.conditions if row.origin != "initial" else "",
        frozenset(row.departments),
        frozenset(row.relations),
    )


def _type_choices(rules: Regulation) -> list[TypeChoice]:
    found = []
    for named in sorted(rules.share_types.types, key=lambda one: -one.openness):
        mark = share_mark(named.key, rules)
        if mark is not None:
            ranks = tuple(Text(RANKS[rank].zh, RANKS[rank].en) for rank in named.ground_ranks)
            needs_ground = "ground" in named.requires or bool(named.ground_ranks)
            found.append(TypeChoice(mark, needs_ground, "conditions" in named.requires, ranks))
    return found


def _others(provider: str) -> tuple[DepartmentRef, ...]:
    found = Department.objects.filter(active=True).exclude(code=provider).order_by("code")
    return tuple(department_ref(department) for department in found)


def _rows(at: Current, rules: Regulation) -> tuple[ItemSharingRow, ...]:
    base = base_items(at.resource.list_key, rules)
    return tuple(
        ItemSharingRow(
            field=item.field,
            name=item.name,
            sensitivity=item.sensitivity,
            mark=share_mark(at.type_of(item, rules), rules),
            own=item.field in at.items,
            base=item.field in base,
        )
        for item in at.resource.items.all()
    )
