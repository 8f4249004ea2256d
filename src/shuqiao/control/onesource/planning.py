"""Planned collections: what can be had by sharing is not collected again, and every item rests on a duty.

Source: guangzhou-2016 art. 3(1), 8(1); guangzhou-2019 art. 18; xiamen-2015 art. 5(3), 8;
shenyang-2016 art. 4(1), 14, 27(3); guangdong-2008 art. 8; haizhu-draft art. 6.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.onesource.access import may_plan, visible_plans
from shuqiao.control.onesource.availability import Availability, Option, availability
from shuqiao.control.onesource.models import (
    MAX_NAME_CHARS,
    MAX_REASON_CHARS,
    MAX_TITLE_CHARS,
    CollectionPlan,
    PlannedItem,
    PlannedOutcome,
)
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.datum_names import name_key
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.rules.errors import PermissionDenied
from shuqiao.rules.form_fields import Standing
from shuqiao.rules.ids import plan_no
from shuqiao.rules.onesource import may_collect_again
from shuqiao.rules.regulation import SETTING, Regulation
from shuqiao.rules.sharing import RANKS

PLAN = Text("登记采集计划", "Register a planned collection")
MAX_ITEMS = 200


@dataclass(frozen=True)
class PlannedInput:
    """One item a department wants to collect, with the duty it rests on.

    Where it can be had by sharing: the norm that lets it be collected again (`ground_rank`, `ground`), or why
    it is another datum (`other`).
    """

    name: str
    duty: int | None = None
    ground_rank: str = ""
    ground: str = ""
    other: str = ""


@dataclass(frozen=True)
class PlanInput:
    """A planned collection; `branch` is the 项 it is about, or empty."""

    title: str
    purpose: str
    branch: str
    items: tuple[PlannedInput, ...]


@dataclass(frozen=True)
class Planned:
    """One item with what was found of it; `held` is the source it can be had from."""

    given: PlannedInput
    held: Option | None
    outcome: str


def look_up(viewer: Viewer, items: Sequence[PlannedInput], branch: str = "") -> tuple[Planned, ...]:
    """Say of each item whether it can be had by sharing; nothing is kept."""
    found = availability(viewer, [item.name for item in items], branch)
    return tuple(_planned(item, at) for item, at in zip(items, found, strict=True))


@transaction.atomic
def register_plan(viewer: Viewer, given: PlanInput) -> str:
    """Register what a department is going to collect itself, and return the number (COL-02, COL-03).

    Raises `FormRefused` for every item that can be had by sharing, unless the norm that lets it be
    collected again is named or it is said why it is another datum. An item without a duty is registered
    and flagged.
    """
    if not may_plan(viewer):
        raise PermissionDenied(action=str(PLAN))
    rules = regulation()
    given = replace(given, title=given.title.strip(), purpose=given.purpose.strip())
    faults = _head_faults(viewer, given)
    if faults:
        raise FormRefused(tuple(faults))
    planned = look_up(viewer, given.items, given.branch)
    faults = [fault for at, one in enumerate(planned) for fault in _item_faults(at, one, rules)]
    if faults:
        raise FormRefused(tuple(faults))
    return _write(viewer, given, planned, rules)


@transaction.atomic
def withdraw_plan(viewer: Viewer, number: str) -> None:
    """Take a planned collection back; it stays on record."""
    plan = visible_plans(viewer).select_for_update(of=("self",)).filter(number=number).first()
    if plan is None or plan.department_id != viewer.department.code or not may_plan(viewer):
        raise NotFound
    if plan.withdrawn_at is not None:
        return
    plan.withdrawn_at = clock.now()
    plan.save(update_fields=["withdrawn_at"])
    append_entry(
        "collection_withdrawn",
        actor=f"account:{viewer.username}",
        at=plan.withdrawn_at,
        outcome="withdrawn",
        department=viewer.department.code,
        case_no=number,
        facts={"regulation": plan.regulation},
    )


def _planned(item: PlannedInput, found: Availability) -> Planned:
    """What is said of an item; a source that may only perhaps be meant doesn't stand in its way."""
    sure = found.verdict in ("available", "choice")
    held = next((one for one in found.options if one.standing == Standing.AVAILABLE), None) if sure else None
    if held is None or held.how == "contained":
        return Planned(item, None, PlannedOutcome.FREE)
    if item.other.strip():
        return Planned(item, held, PlannedOutcome.OTHER)
    return Planned(item, held, PlannedOutcome.AGAIN)


def _head_faults(viewer: Viewer, given: PlanInput) -> list[Fault]:
    faults = []
    for name, text, limit in (
        ("title", given.title, MAX_TITLE_CHARS),
        ("purpose", given.purpose, MAX_REASON_CHARS),
    ):
        unplain = plain_fault(name, text, limit)
        if unplain:
            faults.append(Fault(name, unplain.code, Text(unplain.zh, unplain.en)))
        elif not text:
            faults.append(Fault(name, "field_required", Text("请填写", "Fill this in")))
    if not 0 < len(given.items) <= MAX_ITEMS:
        words = Text(f"1 至 {MAX_ITEMS} 个信息项", f"1 to {MAX_ITEMS} items")
        faults.append(Fault("names", "items_required", words))
    duties = set(Duty.objects.filter(department_id=viewer.department.code).values_list("pk", flat=True))
    seen: set[str] = set()
    for at, item in enumerate(given.items):
        key = name_key(item.name)
        unplain = plain_fault(f"item-{at}", item.name, MAX_NAME_CHARS)
        if unplain or not key:
            words = Text(unplain.zh, unplain.en) if unplain else Text("填写信息项名称", "Name the item")
            faults.append(Fault(f"item-{at}", "item_name_refused", words))
        elif key in seen:
            faults.append(
                Fault(f"item-{at}", "item_twice", Text("与前面的信息项重复", "It stands here twice"))
            )
        if item.duty is not None and item.duty not in duties:
            words = Text("所选职责不是本部门登记的职责", "Not a registered duty of your department")
            faults.append(Fault(f"item-{at}", "duty_unknown", words))
        seen.add(key)
    return faults


def _item_faults(at: int, one: Planned, rules: Regulation) -> list[Fault]:
    place, given = f"item-{at}", one.given
    if one.held is None:
        return []
    if one.outcome == PlannedOutcome.OTHER:
        return _plain(place, given.other)
    if not given.ground.strip() and not given.ground_rank:
        return [_refusal(place, one, rules)]
    if not given.ground.strip():
        words = Text(
            "写明允许再次采集的规定和条款", "Name the norm and article that lets it be collected again"
        )
        return [Fault(place, "ground_required", words)]
    if not may_collect_again(given.ground_rank, rules):
        ranks = [RANKS[rank] for rank in rules.collection.again_ranks]
        words = Text(
            f"只有{'、'.join(r.zh for r in ranks)}另有规定的才能再次采集",
            f"Only these let it be collected again: {', '.join(r.en.lower() for r in ranks)}",
        )
        return [Fault(place, "ground_rank_refused", words)]
    return _plain(place, given.ground)


def _plain(place: str, text: str) -> list[Fault]:
    unplain = plain_fault(place, text.strip(), MAX_REASON_CHARS)
    return [Fault(place, unplain.code, Text(unplain.zh, unplain.en))] if unplain else []


def _refusal(place: str, one: Planned, rules: Regulation) -> Fault:
    """Why an item is refused: who has it, under which article, and how to ask."""
    held = one.held
    if held is None:
        raise ValueError("nothing stands in the way of this item")
    holder = Department.objects.get(resources__id=held.resource)
    cite = article_ref(rules.collection.repeat_article, rules.id).cite
    words = Text(
        f"可向{holder.name_zh}申请共享取得，不再重复采集（{cite.zh}）；法定须再采集的，写明规定",
        f"It can be had by sharing from {holder.name_en} and is not collected again ({cite.en});"
        " if a norm lets you, name it",
    )
    return Fault(place, "already_available", words)


def _write(viewer: Viewer, given: PlanInput, planned: Sequence[Planned], rules: Regulation) -> str:
    now = clock.now()
    year = clock.legal_day(now).year
    number = plan_no(year, next_number("K", year))
    unassigned = [one.given.name for one in planned if one.given.duty is None]
    entry_id = append_entry(
        "collection_planned",
        actor=f"account:{viewer.username}",
        at=now,
        outcome="planned",
        department=viewer.department.code,
        case_no=number,
        facts={
            "regulation": rules.id,
            "articles": sorted({_article_of(one, rules) for one in planned}),
            "items": [one.given.name for one in planned],
            "again": {
                one.given.name: f"{one.given.ground_rank}: {one.given.ground.strip()}"
                for one in planned
                if one.outcome == PlannedOutcome.AGAIN
            },
            "counts": dict(Counter(str(one.outcome) for one in planned)),
            "without_duty": unassigned,
        },
    )
    plan = CollectionPlan.objects.create(
        number=number,
        department_id=viewer.department.code,
        title=given.title,
        purpose=given.purpose,
        subject=given.branch,
        regulation=rules.id,
        account_id=viewer.account_id,
        registered_at=now,
        entry_id=entry_id,
    )
    PlannedItem.objects.bulk_create(_row(plan, at, one, rules) for at, one in enumerate(planned, 1))
    return number


def _row(plan: CollectionPlan, position: int, one: Planned, rules: Regulation) -> PlannedItem:
    again, other = one.outcome == PlannedOutcome.AGAIN, one.outcome == PlannedOutcome.OTHER
    return PlannedItem(
        plan=plan,
        position=position,
        name=one.given.name.strip(),
        duty_id=one.given.duty,
        outcome=one.outcome,
        held_resource_id=one.held.resource if one.held else None,
        held_field=one.held.field if one.held else "",
        ground_rank=one.given.ground_rank if again else "",
        ground=one.given.ground.strip() if again else one.given.other.strip() if other else "",
        article=_article_of(one, rules),
    )


def _article_of(one: Planned, rules: Regulation) -> str:
    """What speaks of an item: collecting again, collecting within one's duty."""
    at = rules.collection
    if one.outcome == PlannedOutcome.AGAIN:
        return rules.cite(at.again_article)
    return rules.cite(at.duty_article or SETTING)
