"""Holding what is shared against its source: asking for it, what was found, and sending ranges again.

Source: guangzhou-2019 art. 19¶1; shenyang-2016 art. 22; guangzhou-2016 art. 8(3); our choice, decision 41.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from django.db import DataError, connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.actors import ActorRef, actor_refs
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.exchange.access import may_order, scope_of
from shuqiao.control.exchange.readings import read_nodes
from shuqiao.control.regulations.queries import ArticleRef, matter_ref
from shuqiao.control.texts import Text

SHOWN = 20
SHOWN_RANGES = 50
_COLUMNS = """
id, asked_by, asked_at, state, failure, phase, done, total, mapping, ranges, source_rows, shared_rows,
differing::text, moving, sampled, sample_agrees, found, is_complete, finished_at,
mend_asked_at, mended_at, mended_rows, mend_failed_at, mend_failure
"""
_NEWEST = f"""
SELECT {_COLUMNS} FROM exchange.reconciliation WHERE department = %s AND resource_id = %s
ORDER BY asked_at DESC, id DESC LIMIT {SHOWN}
"""
_ONE = f"""
SELECT {_COLUMNS} FROM exchange.reconciliation WHERE department = %s AND resource_id = %s AND id = %s
"""
_DIFFERENCES = """
SELECT kind, shown, items FROM exchange.reconciliation_difference WHERE reconciliation = %s ORDER BY number
"""
STATES = {
    "open": Text("对账中", "Under way"),
    "agreed": Text("一致", "Agrees"),
    "differs": Text("有差异", "Differs"),
    "failed": Text("未完成", "Not finished"),
    "withdrawn": Text("已取消", "Called off"),
}
CHIPS = {
    "open": ("", "progress"),
    "agreed": ("ok", "circle-check"),
    "differs": ("bad", "alert-triangle"),
    "failed": ("warn", "alert-circle"),
    "withdrawn": ("", "ban"),
}
# Words of each phase, and between which hundredths of the whole it lies.
PHASES = {
    "asked": (Text("等待前置机", "Waiting for the node"), 0, 5),
    "loading": (Text("等待全量装载完成", "Waiting for the full load"), 5, 10),
    "reading": (Text("前置机读取来源表", "The node reads its table"), 10, 35),
    "comparing": (Text("平台逐段比对", "The platform compares range by range"), 35, 60),
    "narrowing": (Text("查找有差异的行", "Looking for rows that differ"), 60, 70),
    "settling": (Text("等待在途批次入库", "Waiting for batches on their way"), 70, 85),
    "looking_again": (Text("前置机复核", "The node looks again"), 85, 95),
}
KINDS = {
    "absent_here": Text("平台缺少", "Not on the platform"),
    "absent_there": Text("来源已无", "Not at the source"),
    "differs": Text("内容不同", "Differs"),
    "unknown": Text("平台多出，无身份信息", "On the platform without identity"),
}
RANGE_STATES = {
    "found": Text("有差异", "Differs"),
    "differs": Text("未细查", "Not looked into"),
    "too_large": Text("行数过多，未细查", "Too many rows to look into"),
}
FAILURES = {
    "structure": Text(
        "目录条目已变，前置机须更新接入信息", "The entry has changed: the node must renew its admission"
    ),
    "no_mapping": Text("前置机没有此条目的映射", "The node has no mapping for this entry"),
    "no_resource": Text("条目不再提供", "The entry isn't provided any more"),
    "held_back": Text(
        "大量移出待确认，确认后再对账", "Removals are held back: compare once they are let through"
    ),
    "paused": Text("读取已暂停，恢复后再对账", "Reading is paused: compare once it goes on"),
    "not_settled": Text("在途批次一小时内未入库", "Batches on their way were not merged within an hour"),
    "too_many_rows": Text("有差异的行过多，请重新全量装载", "Too many rows differ: load in full"),
    "too_often": Text("前置机多次重新开始", "The node began anew too often"),
    "silent": Text("前置机没有消息", "The node was not heard"),
    "fault": Text("程序出错，请联系平台运维", "A fault of the program: tell the operators"),
    "malformed": Text("前置机的内容无法读取", "What the node said can't be read"),
}


@dataclass(frozen=True)
class Range:
    """A range that differs: rows here and at the source, and what became of it."""

    number: int
    here: int
    there: int
    state: str

    @property
    def words(self) -> Text:
        """What became of it."""
        return RANGE_STATES.get(self.state, Text(self.state, self.state))


@dataclass(frozen=True)
class Difference:
    """One row that differs: its masked key, and the names of the items."""

    kind: Text
    shown: str
    items: tuple[Text, ...]


@dataclass(frozen=True)
class Reconciliation:
    """One reconciliation of the ledger."""

    id: UUID
    asked_by: ActorRef
    asked_at: datetime
    state: str
    failure: Text | None
    phase: str
    done: int
    total: int
    mapping: str
    ranges: int
    source_rows: int | None
    shared_rows: int | None
    differing: tuple[Range, ...]
    moving: int
    sampled: int
    sample_agrees: int
    found: int
    is_complete: bool
    finished_at: datetime | None
    mend_asked_at: datetime | None
    mended_at: datetime | None
    mended_rows: int | None
    mend_failed_at: datetime | None
    mend_code: str | None

    @property
    def mend_failure(self) -> Text | None:
        """Why its ranges could not be sent again, where that was asked for last."""
        return _failure(self.mend_code)

    @property
    def words(self) -> Text:
        """How it stands."""
        return STATES[self.state]

    @property
    def chip(self) -> tuple[str, str]:
        """Its mark: kind and icon."""
        return CHIPS[self.state]

    @property
    def is_open(self) -> bool:
        """It is under way."""
        return self.state == "open"

    @property
    def phase_words(self) -> Text:
        """What is done now."""
        return PHASES.get(self.phase, PHASES["asked"])[0]

    @property
    def percent(self) -> int:
        """How far it is, in hundredths of the whole."""
        _, low, high = PHASES.get(self.phase, PHASES["asked"])
        # The node doesn't know how many rows its table has before it has read them.
        part = self.done / self.total if self.phase in ("comparing",) and self.total else 0.5
        return int(low + (high - low) * min(1.0, part))

    @property
    def agreeing(self) -> int:
        """Ranges that agree."""
        return max(0, self.ranges - len(self.differing))

    @property
    def shown_ranges(self) -> tuple[Range, ...]:
        """The first ranges that differ."""
        return self.differing[:SHOWN_RANGES]


@dataclass(frozen=True)
class ReconciliationPage:
    """The reconciliations of one entry: one in full, the others as rows."""

    department: str
    resource: str
    name: Text
    article: ArticleRef
    shown: Reconciliation | None
    differences: tuple[Difference, ...]
    past: tuple[Reconciliation, ...]
    may_order: bool
    may_ask: bool
    may_mend: bool


def reconciliation_page(
    viewer: Viewer, department: str, resource: str, key: UUID | None = None
) -> ReconciliationPage:
    """Return one entry's reconciliations, one of them or the newest in full; raises `NotFound`."""
    entry = _entry(viewer, department, resource)
    newest = _rows(_NEWEST, [department, resource])
    found = newest[:1] if key is None else _rows(_ONE, [department, resource, key])
    if key is not None and not found:
        raise NotFound
    actors = actor_refs(row[1] for row in (*newest, *found))
    past = tuple(_reconciliation(row, actors) for row in newest)
    shown = _reconciliation(found[0], actors) if found else None
    orders = may_order(viewer, department)
    return ReconciliationPage(
        department=department,
        resource=resource,
        name=Text(entry.name_zh, entry.name_en or entry.name_zh),
        article=matter_ref("consistency"),
        shown=shown,
        differences=_differences(resource, shown.id) if shown is not None and shown.found else (),
        past=past,
        may_order=orders,
        may_ask=orders and not any(one.is_open for one in past),
        may_mend=orders and shown is not None and _may_mend(shown, past),
    )


def _may_mend(shown: Reconciliation, past: tuple[Reconciliation, ...]) -> bool:
    """Only the newest result says how things are."""
    is_newest = bool(past) and past[0].id == shown.id
    return is_newest and shown.state == "differs" and bool(shown.differing) and shown.mend_asked_at is None


def ask_reconciliation(viewer: Viewer, department: str, resource: str) -> bool:
    """Ask for one, with an entry; False where one is under way. Raises `NotFound` for who may not ask."""
    _entry(viewer, department, resource)
    _check_may_order(viewer, department)
    told = [line.resource for node in read_nodes(department) if node.state for line in node.state.lines]
    if resource not in told:
        raise NotFound
    try:
        return _ask(department, resource, f"account:{viewer.username}")
    except DataError:
        # Its node was revoked, or the entry is provided no more, since the node's last word.
        raise NotFound from None


@transaction.atomic
def _ask(department: str, resource: str, actor: str) -> bool:
    sql = "SELECT exchange.ask_reconciliation(%s, %s, %s, %s, %s)"
    return _rows(sql, [uuid4(), department, resource, actor, clock.now()])[0][0] is not None


@transaction.atomic
def take_step(viewer: Viewer, department: str, resource: str, key: UUID, step: str) -> bool:
    """Call one off (`withdraw`) or have its ranges sent again (`mend`); False where it can't be."""
    _entry(viewer, department, resource)
    _check_may_order(viewer, department)
    page = reconciliation_page(viewer, department, resource, key)
    statements = {
        "withdraw": "SELECT exchange.withdraw_reconciliation(%s, %s, %s)",
        "mend": "SELECT exchange.mend_reconciliation(%s, %s, %s)",
    }
    if step not in statements:
        raise NotFound
    if step == "mend" and not page.may_mend:
        return False
    return bool(_rows(statements[step], [key, f"account:{viewer.username}", clock.now()])[0][0])


def _check_may_order(viewer: Viewer, department: str) -> None:
    if not may_order(viewer, department):
        raise NotFound


def _entry(viewer: Viewer, department: str, resource: str) -> Resource:
    if scope_of(viewer) not in (None, department):
        raise NotFound
    entry = Resource.objects.filter(pk=resource, department_id=department).first()
    if entry is None:
        raise NotFound
    return entry


def _differences(resource: str, key: UUID) -> tuple[Difference, ...]:
    found = Item.every.filter(resource_id=resource).values_list("field", "zh", "en")
    names = {field: Text(zh, english or zh) for field, zh, english in found}
    return tuple(
        Difference(KINDS[kind], shown or "—", tuple(names.get(one, Text(one, one)) for one in items))
        for kind, shown, items in _rows(_DIFFERENCES, [key])
    )


def _reconciliation(row: tuple[Any, ...], actors: dict[str, ActorRef]) -> Reconciliation:
    key, by, at, state, failure, phase, done, total, mapping, ranges, *rest = row
    source, shared, differing, *rest = rest
    return Reconciliation(
        key,
        actors[by],
        at,
        state,
        _failure(failure),
        phase,
        done,
        total,
        mapping or "",
        ranges or 0,
        source,
        shared,
        tuple(Range(*one) for one in msgspec.json.decode(differing)),
        *rest,
    )


def _failure(code: str | None) -> Text | None:
    return FAILURES.get(code, Text(code, code)) if code else None


def _rows(sql: str, given: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return list(cursor.fetchall())
