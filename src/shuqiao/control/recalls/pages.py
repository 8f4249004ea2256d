"""What the pages show of recalls: a list, and one with what is held and its receipt."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import msgspec

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.actors import actor_refs
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Application
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.recalls import ledger
from shuqiao.control.recalls.access import may_state, scope_of
from shuqiao.control.recalls.ledger import RecallRow
from shuqiao.control.recalls.receipts import Verdict, is_for_person, verdicts
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.wire.recalls import Deleted, Deletion, Held, StatementUnreadable, read_deletion

PAGE_SIZE = 30
SHOWN_HELD = 200

WAYS: Mapping[str, Text] = {
    "feed": Text("订阅落库的数据", "Rows of a feed"),
    "copy": Text("下载的副本", "Copy"),
    "file": Text("文件", "File"),
    "offline": Text("离线介质", "Medium"),
}
REASONS: Mapping[str, Text] = {
    "revoke": Text("授权已停用", "The grant was revoked"),
    "expire": Text("授权已期满或终止", "The grant has expired"),
    "renew": Text("续期的授权不再涵盖", "The renewed grant covers less"),
}
BY: Mapping[str, Text] = {
    "node": Text("前置机删除并签署", "Deleted and signed by the node"),
    "system": Text("系统签名请求", "Signed by the system"),
    "person": Text("具名人员说明", "Stated by a named person"),
}
VERDICTS: Mapping[Verdict, tuple[Text, str]] = {
    "holds": (Text("核验通过", "Verified"), "ok"),
    "key_replaced": (Text("以当时的密钥核验通过", "Verified with the key of then"), "ok"),
    "withheld": (Text("日志内容已到期清除", "The log's words are pruned"), "warn"),
    "broken": (Text("核验不通过", "Does not verify"), "bad"),
}


@dataclass(frozen=True)
class ReceiptRow:
    """A receipt on the page; `deleted` is what it says of each thing that was held."""

    entry: UUID
    at: datetime
    by: Text
    who: object
    note: str
    deleted: Mapping[str, Deleted]
    verdict: Text
    verdict_tone: str


@dataclass(frozen=True)
class RecallShown:
    """One recall of the list, or on its page; `article` is where its term comes from."""

    number: str
    grant: str
    resource: str
    name: Text
    holder: DepartmentRef
    provider: DepartmentRef
    application: str
    kind: str
    reason: Text
    held: tuple[Held, ...]
    more: int
    called_at: datetime
    due_on: date
    article: ArticleRef
    is_over: bool
    entry: UUID
    receipt: ReceiptRow | None


@dataclass(frozen=True)
class RecallList:
    """A page of recalls, those that wait first, the most urgent of them on top."""

    rows: tuple[RecallShown, ...]
    page: int
    pages: int
    total: int
    waiting: int
    over: int


@dataclass(frozen=True)
class RecallPage:
    """One recall with what the viewer may do about it."""

    row: RecallShown
    ways: tuple[tuple[Held, Text, Deleted | None], ...]
    working_days: int
    may_state: bool
    needs_note: bool
    awaits_node: bool


def recall_list(viewer: Viewer, page: int) -> RecallList:
    """List what the viewer's department holds or gave, or all."""
    scope, given = _scope(viewer)
    total = ledger.count(scope, given)
    pages = max(1, -(-total // PAGE_SIZE))
    number = max(1, min(page, pages))
    found = ledger.recalls(
        scope,
        given | {"most": PAGE_SIZE, "after": (number - 1) * PAGE_SIZE},
        "ORDER BY d.recall IS NOT NULL, r.due_on, r.number LIMIT %(most)s OFFSET %(after)s",
    )
    waiting = f"({scope}) AND d.recall IS NULL"
    given = given | {"today": clock.today()}
    return RecallList(
        _shown(found),
        number,
        pages,
        total,
        ledger.count(waiting, given),
        ledger.count(f"{waiting} AND r.due_on < %(today)s", given),
    )


def recall_page(viewer: Viewer, number: str) -> RecallPage:
    """Return one recall; raises `NotFound` for whoever has nothing to do with it."""
    scope, given = _scope(viewer)
    found = ledger.recalls(f"({scope}) AND r.number = %(number)s", given | {"number": number})
    if not found:
        raise NotFound
    row, rules = _shown(found)[0], named(found[0].regulation)
    deleted = row.receipt.deleted if row.receipt else {}
    return RecallPage(
        row=row,
        ways=tuple((one, WAYS[one.way], deleted.get(one.id)) for one in row.held[:SHOWN_HELD]),
        working_days=rules.recall.working_days,
        may_state=row.receipt is None and may_state(viewer, found[0].holder),
        needs_note=not is_for_person(found[0]),
        awaits_node=_awaits_node(viewer, row),
    )


def _awaits_node(viewer: Viewer, row: RecallShown) -> bool:
    """Tell whether the holder's node has still to delete what it put in."""
    is_holder = viewer.department.code == row.holder.code
    return is_holder and row.receipt is None and any(one.way == "feed" for one in row.held)


def recalls_to_sign(viewer: Viewer, most: int) -> tuple[RecallShown, ...]:
    """What waits for a receipt of the viewer's department, the most urgent first."""
    own = viewer.department.code
    if not may_state(viewer, own):
        return ()
    return _shown(
        ledger.recalls(
            "r.department = %(own)s AND d.recall IS NULL",
            {"own": own, "most": most},
            "ORDER BY r.due_on, r.number LIMIT %(most)s",
        )
    )


def _scope(viewer: Viewer) -> tuple[str, dict[str, object]]:
    scope = scope_of(viewer)
    if scope is None:
        return "true", {}
    return "(r.department = %(scope)s OR r.provider = %(scope)s)", {"scope": scope}


def _shown(rows: list[RecallRow]) -> tuple[RecallShown, ...]:
    if not rows:
        return ()
    refs, checked = department_refs(), verdicts(rows)
    names = {one.pk: one.name for one in Resource.objects.filter(pk__in={row.resource for row in rows})}
    who = actor_refs([row.receipt.actor for row in rows if row.receipt])
    systems = {
        one.pk: str(Text(one.name_zh, one.name_en))
        for one in Application.objects.filter(pk__in={row.application for row in rows})
    }
    articles = {one: article_ref(named(one).recall.article, one) for one in {row.regulation for row in rows}}
    return tuple(
        RecallShown(
            number=row.number,
            grant=row.grant,
            resource=row.resource,
            name=names[row.resource],
            holder=refs[row.holder],
            provider=refs[row.provider],
            application=systems.get(row.application, row.application),
            kind=row.kind,
            reason=REASONS.get(row.reason, Text(row.reason, row.reason)),
            held=row.held,
            more=row.left_out + max(0, len(row.held) - SHOWN_HELD),
            called_at=row.called_at,
            due_on=row.due_on,
            article=articles[row.regulation],
            is_over=row.receipt is None and row.due_on < clock.today(),
            entry=row.entry,
            receipt=_receipt(row, checked, who),
        )
        for row in rows
    )


def _receipt(row: RecallRow, checked: Mapping[str, Verdict], who: Mapping[str, object]) -> ReceiptRow | None:
    receipt = row.receipt
    if receipt is None:
        return None
    said = _said(receipt.statement)
    words, tone = VERDICTS[checked[row.number]]
    return ReceiptRow(
        entry=receipt.entry,
        at=receipt.at,
        by=BY[receipt.by],
        who=who.get(receipt.actor),
        note=said.note if said else "",
        deleted={one.id: one for one in said.deleted} if said else {},
        verdict=words,
        verdict_tone=tone,
    )


def _said(statement: str) -> Deletion | None:
    try:
        return read_deletion(statement)
    except (StatementUnreadable, msgspec.MsgspecError):
        return None
