"""What the pages show of planned collections."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.onesource.access import access_plan, may_plan, visible_plans, watches
from shuqiao.control.onesource.models import CollectionPlan, PlannedItem, PlannedOutcome
from shuqiao.control.onesource.planning import Planned
from shuqiao.control.organisations.models import Duty
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.sharing import RANKS

PAGE_SIZE = 20

OUTCOMES = {
    PlannedOutcome.FREE: Text("目录中没有", "Not in the catalogue"),
    PlannedOutcome.AGAIN: Text("另有规定，可再采集", "A norm lets it be collected again"),
    PlannedOutcome.OTHER: Text("另一数据", "Another datum"),
}


@dataclass(frozen=True)
class PlanRow:
    """One planned collection of a list; `flagged` counts its items without a duty."""

    number: str
    title: str
    department: DepartmentRef
    items: int
    again: int
    flagged: int
    at: datetime
    withdrawn: bool


@dataclass(frozen=True)
class PlanList:
    """A page of planned collections; `flagged_only` leaves those with an item without a duty."""

    rows: tuple[PlanRow, ...]
    flagged_only: bool
    may_plan: bool
    may_watch: bool
    page: int
    pages: int
    total: int
    repeat: ArticleRef
    within_duty: ArticleRef


@dataclass(frozen=True)
class HeldItem:
    """The source an item can be had from."""

    resource: str
    resource_name: Text
    name: Text
    holder: DepartmentRef


@dataclass(frozen=True)
class ItemRow:
    """One item of a plan."""

    name: str
    duty: Text | None
    duty_ground: str
    outcome: Text
    held: HeldItem | None
    rank: Text | None
    ground: str
    article: ArticleRef


@dataclass(frozen=True)
class PlanView:
    """Everything the page of a plan shows."""

    number: str
    title: str
    purpose: str
    department: DepartmentRef
    by: str
    at: datetime
    withdrawn_at: datetime | None
    items: tuple[ItemRow, ...]
    flagged: int
    may_withdraw: bool
    within_duty: ArticleRef
    entry: str


@dataclass(frozen=True)
class PlanForm:
    """What the form of a plan needs."""

    duties: tuple[tuple[str, Text], ...]
    ranks: tuple[tuple[str, Text], ...]
    repeat: ArticleRef
    again: ArticleRef
    within_duty: ArticleRef


@dataclass(frozen=True)
class LookedUp:
    """One item of a plan that is being written, with what was found of it."""

    place: str
    planned: Planned
    held: HeldItem | None


def plan_list(viewer: Viewer, *, flagged: bool, page: int) -> PlanList:
    """List planned collections, the newest first."""
    rules = regulation()
    found = visible_plans(viewer).select_related("department")
    if flagged:
        found = found.filter(items__duty=None, withdrawn_at=None).distinct()
    total = found.count()
    number = max(1, min(page, -(-total // PAGE_SIZE) or 1))
    rows = found.annotate(
        count=Count("items", distinct=True),
        again=Count("items", filter=Q(items__outcome=PlannedOutcome.AGAIN), distinct=True),
        unassigned=Count("items", filter=Q(items__duty=None), distinct=True),
    )[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return PlanList(
        rows=tuple(
            PlanRow(
                plan.number,
                plan.title,
                department_ref(plan.department),
                plan.count,
                plan.again,
                plan.unassigned,
                plan.registered_at,
                plan.withdrawn_at is not None,
            )
            for plan in rows
        ),
        flagged_only=flagged,
        may_plan=may_plan(viewer),
        may_watch=watches(viewer),
        page=number,
        pages=max(1, -(-total // PAGE_SIZE)),
        total=total,
        repeat=article_ref(rules.collection.repeat_article),
        within_duty=article_ref(rules.collection.duty_article),
    )


def plan_view(viewer: Viewer, number: str) -> PlanView:
    """Show one planned collection with the ground of every item."""
    plan = access_plan(viewer, number)
    rows = list(plan.items.select_related("duty"))
    held = _held([(row.held_resource_id, row.held_field) for row in rows if row.held_resource_id])
    own = plan.department_id == viewer.department.code
    return PlanView(
        number=plan.number,
        title=plan.title,
        purpose=plan.purpose,
        department=department_ref(plan.department),
        by=plan.account.display_name,
        at=plan.registered_at,
        withdrawn_at=plan.withdrawn_at,
        items=tuple(_item(plan, row, held) for row in rows),
        flagged=sum(row.duty_id is None for row in rows),
        may_withdraw=own and may_plan(viewer) and plan.withdrawn_at is None,
        within_duty=article_ref(regulation().collection.duty_article),
        entry=str(plan.entry_id),
    )


def plan_form(viewer: Viewer) -> PlanForm:
    """What a department may fill in: its duties, and the ranks of norm that let it collect again."""
    at = regulation().collection
    duties = Duty.objects.filter(department_id=viewer.department.code)
    return PlanForm(
        duties=tuple((str(one.pk), Text(one.text_zh, one.text_en)) for one in duties),
        ranks=tuple((rank, Text(RANKS[rank].zh, RANKS[rank].en)) for rank in at.again_ranks),
        repeat=article_ref(at.repeat_article),
        again=article_ref(at.again_article),
        within_duty=article_ref(at.duty_article),
    )


def looked_up(planned: Sequence[Planned]) -> tuple[LookedUp, ...]:
    """Items of a plan being written, each with the source it can be had from."""
    held = _held([(one.held.resource, one.held.field) for one in planned if one.held])
    return tuple(
        LookedUp(f"item-{at}", one, held.get((one.held.resource, one.held.field)) if one.held else None)
        for at, one in enumerate(planned)
    )


def _held(places: Sequence[tuple[str | None, str]]) -> dict[tuple[str, str], HeldItem]:
    ids = [key for key, _ in places if key]
    resources = Resource.objects.select_related("department").in_bulk(ids)
    items = Item.every.filter(
        resource_id__in=list(resources), field__in={name for _, name in places}
    ).order_by()
    return {
        (item.resource_id, item.field): HeldItem(
            item.resource_id,
            Text(resources[item.resource_id].name_zh, resources[item.resource_id].name_en),
            Text(item.zh, item.en or item.zh),
            department_ref(resources[item.resource_id].department),
        )
        for item in items
    }


def _item(plan: CollectionPlan, row: PlannedItem, held: dict[tuple[str, str], HeldItem]) -> ItemRow:
    rank = RANKS.get(row.ground_rank)
    return ItemRow(
        name=row.name,
        duty=Text(row.duty.text_zh, row.duty.text_en) if row.duty else None,
        duty_ground=row.duty.ground if row.duty else "",
        outcome=OUTCOMES[PlannedOutcome(row.outcome)],
        held=held.get((row.held_resource_id or "", row.held_field)),
        rank=Text(rank.zh, rank.en) if rank else None,
        ground=row.ground,
        article=article_ref(row.article, plan.regulation),
    )
