"""What the pages of the exchange show: nodes, jobs, the way information takes, and what needs somebody."""

from dataclasses import dataclass
from datetime import datetime
from statistics import median

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.exchange.access import may_admit, may_order, scope_of
from shuqiao.control.exchange.clearances import ReviewRow, review_rows
from shuqiao.control.exchange.readings import (
    RATE_MINUTES,
    BatchReading,
    FeedReading,
    Hour,
    LineReading,
    NodeReading,
    OrderReading,
    RefusalReading,
    read_batches,
    read_feeds,
    read_hours,
    read_lines,
    read_nodes,
    read_orders,
    read_refusals,
)
from shuqiao.control.exchange.words import (
    STATES,
    Condition,
    advice_on,
    changes_of,
    feed_condition,
    is_silent,
    line_condition,
    node_condition,
)
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.wire.node_state import LineState, Unacknowledged

SHOWN_BATCHES = 20
SHOWN_JOBS = 200


@dataclass(frozen=True)
class NodeRow:
    """A node in the list; `waiting` are rows that wait at it, `certificate_until` its first end."""

    department: DepartmentRef
    condition: Condition
    words: Text
    heard_at: datetime | None
    quiet_s: float | None
    waiting: int | None
    version: str
    certificate_until: datetime | None
    is_ending: bool
    fingerprint: str
    is_active: bool
    is_outdated: bool
    is_silent: bool
    advice: Text | None


@dataclass(frozen=True)
class JobRow:
    """One table on its way to the platform, or one subscription, by its id `feed`, on its way from it."""

    provider: DepartmentRef
    consumer: DepartmentRef | None
    resource: str
    name: Text
    condition: Condition
    words: Text
    rows_today: int
    rejected: int | None
    rows_lately: int
    lag_s: float | None
    feed: str = ""

    @property
    def per_s(self) -> float:
        """Rows a second in the last minutes."""
        return self.rows_lately / (RATE_MINUTES * 60)


@dataclass(frozen=True)
class Monitor:
    """The whole page; figures are of today and of the last minutes."""

    read_at: datetime | None
    nodes: tuple[NodeRow, ...]
    jobs: tuple[JobRow, ...]
    silent: tuple[NodeRow, ...]
    stopped: tuple[NodeRow, ...]
    hours: tuple[Hour, ...]
    online: int
    rows_today: int
    rejected: int
    lag_s: float | None
    may_admit: bool
    only_channel: ArticleRef

    @property
    def of_nodes(self) -> str:
        """How many nodes there are, as it stands behind those that are online."""
        return f"/ {len(self.nodes)}"

    @property
    def coming(self) -> tuple[JobRow, ...]:
        """What departments bring."""
        return tuple(job for job in self.jobs if job.consumer is None)

    @property
    def going(self) -> tuple[JobRow, ...]:
        """What subscriptions take."""
        return tuple(job for job in self.jobs if job.consumer is not None)


@dataclass(frozen=True)
class LineRow:
    """One table of a node with its newest batches and what may be asked.

    `let_rows` is what the last word to let rows leave was about, where another number is held back now.
    """

    resource: str
    name: Text
    condition: Condition
    words: Text
    fault: str
    changes: Text | None
    refused: str
    mapping: str
    waiting: int
    lag_s: float
    is_paused: bool
    is_held: bool
    held_back: int
    held_of: int
    let_rows: int | None
    unacknowledged: Unacknowledged | None
    reviews: tuple[ReviewRow, ...]
    batches: tuple[BatchReading, ...]


@dataclass(frozen=True)
class NodePage:
    """One node: how it is, its tables and the batches that were refused whole."""

    row: NodeRow
    lines: tuple[LineRow, ...]
    refusals: tuple[tuple[RefusalReading, Text], ...]
    may_order: bool
    may_revoke: bool
    started_at: datetime | None
    spool_bytes: int


def monitor_page(viewer: Viewer) -> Monitor:
    """Return what the viewer may see of the exchange; raises `NotFound`."""
    scope = scope_of(viewer)
    refs = department_refs()
    nodes, lines, feeds = read_nodes(scope), read_lines(scope), read_feeds(scope)
    named = _names([*(one.resource for one in lines), *(one.resource for one in feeds), *_brought(nodes)])
    rows = tuple(sorted((_node(one, refs) for one in nodes), key=lambda row: row.condition.rank))
    jobs = [*_coming(nodes, lines, refs, named), *(_going(one, refs, named) for one in feeds)]
    jobs.sort(key=lambda job: (job.condition.rank, -job.rows_today))
    lags = [one.lag_s for one in lines if one.lag_s is not None]
    return Monitor(
        read_at=nodes[0].now if nodes else None,
        nodes=rows,
        jobs=tuple(jobs[:SHOWN_JOBS]),
        silent=tuple(row for row in rows if row.is_silent),
        stopped=tuple(row for row in rows if row.condition is Condition.STOP and not row.is_silent),
        hours=tuple(read_hours(scope)),
        online=sum(row.is_active and row.quiet_s is not None and not row.is_silent for row in rows),
        rows_today=sum(one.rows_today for one in lines),
        rejected=sum(one.rejected_today for one in lines),
        lag_s=median(lags) if lags else None,
        may_admit=may_admit(viewer),
        only_channel=article_ref(regulation().exchange.only_channel_article),
    )


def node_page(viewer: Viewer, department: str) -> NodePage:
    """Return one node's page; raises `NotFound` for another department's."""
    scope = scope_of(viewer)
    found = read_nodes(department) if scope in (None, department) else []
    if not found:
        raise NotFound
    node = found[0]
    brought = node.state.lines if node.state else ()
    refused = read_refusals(department, SHOWN_BATCHES)
    named = _names([*(one.resource for one in brought), *(one.resource for one in refused if one.resource)])
    orders = read_orders(department)
    reviews = review_rows({one.resource: one.mapping for one in brought})
    batches = read_batches(department, [one.resource for one in brought], SHOWN_BATCHES)
    unnamed = Text("（未知条目）", "(unknown entry)")
    return NodePage(
        row=_node(node, department_refs()),
        lines=tuple(
            _line(
                node,
                one,
                named[one.resource],
                reviews[one.resource],
                batches[one.resource],
                orders.get(one.resource, OrderReading()),
            )
            for one in brought
        ),
        refusals=tuple((one, named.get(one.resource or "", unnamed)) for one in refused),
        may_order=may_order(viewer, department),
        may_revoke=node.is_active and may_admit(viewer),
        started_at=node.state.started_at if node.state else None,
        spool_bytes=node.state.spool_bytes if node.state else 0,
    )


def _brought(nodes: list[NodeReading]) -> list[str]:
    return [line.resource for one in nodes if one.state for line in one.state.lines]


def _names(resources: list[str]) -> dict[str, Text]:
    found = Resource.objects.filter(pk__in=set(resources)).values_list("id", "name_zh", "name_en")
    named = {key: Text(zh, english or zh) for key, zh, english in found}
    return {key: named.get(key, Text(key, key)) for key in resources}


def _node(node: NodeReading, refs: dict[str, DepartmentRef]) -> NodeRow:
    condition, words = node_condition(node)
    state = node.state
    until = state.certificate_until if state else None
    return NodeRow(
        department=refs[node.department],
        condition=condition,
        words=words,
        heard_at=node.heard_at,
        quiet_s=node.quiet_s,
        # What a silent node holds is not known.
        waiting=None if state is None or is_silent(node) else sum(one.waiting_rows for one in state.lines),
        version=state.version if state else "",
        certificate_until=until,
        is_ending=until is not None and (until - node.now).days < ENDING_DAYS,
        fingerprint=node.fingerprint,
        is_active=node.is_active,
        is_outdated=node.is_outdated,
        is_silent=is_silent(node),
        advice=advice_on(node),
    )


ENDING_DAYS = 30
"""A certificate that ends sooner is shown as ending."""


def _coming(
    nodes: list[NodeReading],
    lines: list[LineReading],
    refs: dict[str, DepartmentRef],
    named: dict[str, Text],
) -> list[JobRow]:
    known = {(one.department, one.resource): one for one in lines}
    told = {
        (one.department, line.resource): (one, line) for one in nodes if one.state for line in one.state.lines
    }
    return [
        _job(key, told.get(key), known.get(key), refs, named) for key in sorted(known.keys() | told.keys())
    ]


def _job(
    key: tuple[str, str],
    told: tuple[NodeReading, LineState] | None,
    ledger: LineReading | None,
    refs: dict[str, DepartmentRef],
    named: dict[str, Text],
) -> JobRow:
    condition, words, lag = Condition.OFF, STATES["unheard"], None
    if told is not None:
        condition, words = line_condition(*told)
        lag = told[0].quiet_s if is_silent(told[0]) else told[1].lag_s
    if ledger is not None and not lag:
        lag = ledger.lag_s
    return JobRow(
        provider=refs[key[0]],
        consumer=None,
        resource=key[1],
        name=named[key[1]],
        condition=condition,
        words=words,
        rows_today=ledger.rows_today if ledger else 0,
        rejected=ledger.rejected_today if ledger else 0,
        rows_lately=ledger.rows_lately if ledger else 0,
        lag_s=lag,
    )


def _going(feed: FeedReading, refs: dict[str, DepartmentRef], named: dict[str, Text]) -> JobRow:
    condition, words = feed_condition(feed)
    return JobRow(
        provider=refs[feed.provider],
        consumer=refs[feed.consumer],
        resource=feed.resource,
        name=named[feed.resource],
        condition=condition,
        words=words,
        rows_today=feed.rows_today,
        rejected=None,
        rows_lately=feed.rows_lately,
        lag_s=feed.waiting_s,
        feed=feed.id,
    )


def _line(
    node: NodeReading,
    line: LineState,
    name: Text,
    reviews: tuple[ReviewRow, ...],
    batches: list[BatchReading],
    order: OrderReading,
) -> LineRow:
    condition, words = line_condition(node, line)
    return LineRow(
        resource=line.resource,
        name=name,
        condition=condition,
        words=words,
        fault=line.fault,
        changes=changes_of(line.changes) if line.changes else None,
        refused=line.refused,
        mapping=line.mapping,
        waiting=line.waiting_rows,
        lag_s=line.lag_s,
        is_paused=order.is_paused,
        is_held=line.state == "held_back",
        held_back=line.held_back,
        held_of=line.held_of,
        let_rows=order.let_rows if order.let_rows != line.held_back else None,
        unacknowledged=line.unacknowledged,
        reviews=reviews,
        batches=tuple(batches),
    )
