"""How a node, a table or a subscription is: one of four conditions, and words for it."""

from enum import Enum

from shuqiao.control.exchange.readings import FeedReading, NodeReading
from shuqiao.control.texts import Text
from shuqiao.wire.node_state import LineState

SILENT_AFTER_S = 60.0
"""A node says how it is every ten seconds; so long without a word is a silence."""
SLOW_AFTER_S = 30.0
"""Rows or parts that have waited longer make a job slow."""


class Condition(Enum):
    """How something is; the value is its mark on the page."""

    STOP = "stop"
    SLOW = "slow"
    OFF = "off"
    WELL = "well"

    @property
    def rank(self) -> int:
        """The gravest first."""
        return list(Condition).index(self)


STATES = {
    "up": Text("正常", "Well"),
    "loading": Text("全量装载中", "Loading in full"),
    "paused": Text("已暂停", "Paused"),
    "hub_away": Text("连不上平台", "Platform out of reach"),
    "not_acknowledged": Text("发送未获确认", "Not acknowledged"),
    "source_away": Text("读不到数据源", "Source can't be read"),
    "source_changed": Text("来源表结构已变", "Source changed"),
    "refused": Text("批次被拒收", "Batch refused"),
    "receipt_untrusted": Text("回执不可信", "Receipt not trusted"),
    "spool_full": Text("缓存已满", "Spool full"),
    "disk_full": Text("磁盘已满", "Disk full"),
    "screening_stopped": Text("筛查待处理", "Stopped by screening"),
    "held_back": Text("移出待确认", "Removals held back"),
    "silent": Text("失联", "Silent"),
    "unheard": Text("尚未连接", "Never heard"),
    "retired": Text("已停用", "Not in use"),
    "waiting": Text("待对方收取", "Waiting to be taken"),
    "preparing": Text("准备中", "Being prepared"),
    "failed": Text("准备失败", "Preparation failed"),
    "slow": Text("变慢", "Slow"),
}
GRANT_STATES = {
    "suspended": Text("授权已暂停", "Grant suspended"),
    "over": Text("授权已结束", "Grant is over"),
}
UNACKNOWLEDGED_AFTER_S = 60.0
"""Batches that are not acknowledged for so long are told of; a server that starts anew takes less."""
ADVICE = {
    "silent": Text(
        "在前置机上运行shuqiao node status，看它说什么；再查网络能否到达平台。数据留在部门，恢复后自动续传。",
        "Run shuqiao node status on the node and read what it says; then see whether the network reaches the"
        " platform. Data stay with the department and come by themselves.",
    ),
    "refused": Text(
        "平台拒收了批次，原因与所缺的审查列在其页面。批次留在前置机，处理后自动续传。",
        "The platform refused a batch: reason and missing reviews stand on its page. It stays at the node and"
        " comes by itself once that is put right.",
    ),
    "not_acknowledged": Text(
        "平台机构检查消息服务；批次留在前置机，自动重试。",
        "The platform agency looks at the message server; the batches stay at the node and are tried again.",
    ),
    "source_away": Text(
        "在前置机上运行shuqiao node check，它说明数据库或清单为何读不到、怎么办。",
        "Run shuqiao node check on the node: it says why database or lists can't be read, and what to do.",
    ),
    "source_changed": Text(
        "来源表的列与登记时不同，读取已停。恢复来源表即自动继续；或调整映射文件并重启前置机，再重新签署审查。",
        "The source's columns are others than before and reading rests. Put the table right and it goes on by"
        " itself; or adapt the mapping file, start the node anew and have the reviews signed again.",
    ),
    "receipt_untrusted": Text(
        "回执不是平台密钥所签：平台机构查明原因，前置机重新接入（shuqiao node enrol --renew）。",
        "A receipt is not signed by the platform's key: the agency finds out why, the node is admitted again"
        " (shuqiao node enrol --renew).",
    ),
    "disk_full": Text(
        "前置机磁盘已满：腾出空间即自动继续，数据不丢。",
        "The node's disk is full: make room; it goes on by itself and nothing is lost.",
    ),
    "spool_full": Text(
        "前置机缓存已满：腾出空间或调大NODE_SPOOL_BYTES；来源保留其后的变化。",
        "The node's spool is full: make room or raise NODE_SPOOL_BYTES; the source keeps what comes.",
    ),
    "held_back": Text(
        "一次要移出的行过多，已暂缓：恢复来源，或在其页面确认移出。",
        "Too many rows would leave at once: restore the source, or let them leave on its page.",
    ),
    "screening_stopped": Text(
        "筛查规则停住了一张表：在前置机上运行shuqiao node held list查看并处理。",
        "A rule of screening stops a table: run shuqiao node held list on the node and work on it.",
    ),
}
"""What is to be done about a node that is stopped, by its state."""
_STOPPED = (
    "not_acknowledged",
    "source_changed",
    "source_away",
    "refused",
    "receipt_untrusted",
    "disk_full",
    "spool_full",
    "held_back",
    "screening_stopped",
    "hub_away",
)


_CHANGED = {
    "gone": Text("缺少列{column}", "column {column} is gone"),
    "new": Text("新增列{column}", "new column {column}"),
    "retyped": Text("列{column}的类型已变", "column {column} has another type"),
}
"""What a node says of a source's columns, `kind: column` with semicolons between."""


def changes_of(said: str) -> Text:
    """Say in words what a node says of its source's columns; what isn't known is said as it came."""
    parts = []
    for one in filter(None, said.split("; ")):
        kind, _, column = one.partition(": ")
        words = _CHANGED.get(kind, Text("{column}", "{column}"))
        shown = column if kind in _CHANGED else one
        parts.append(Text(words.zh.format(column=shown), words.en.format(column=shown)))
    return Text("；".join(one.zh for one in parts), "; ".join(one.en for one in parts))


def is_silent(node: NodeReading) -> bool:
    """Tell whether an active node that was heard before has been quiet for too long."""
    return node.is_active and node.quiet_s is not None and node.quiet_s > SILENT_AFTER_S


def advice_on(node: NodeReading) -> Text | None:
    """Say what to do about a node that is stopped, None where nothing is."""
    if is_silent(node):
        return ADVICE["silent"]
    return ADVICE.get(node.state.state) if node.is_active and node.state else None


def node_condition(node: NodeReading) -> tuple[Condition, Text]:
    """Judge a whole node."""
    if not node.is_active:
        return Condition.OFF, STATES["retired"]
    if node.state is None or node.quiet_s is None:
        return Condition.OFF, STATES["unheard"]
    if is_silent(node):
        return Condition.STOP, STATES["silent"]
    return _condition(node.state.state, max((one.lag_s for one in node.state.lines), default=0.0))


def line_condition(node: NodeReading, line: LineState) -> tuple[Condition, Text]:
    """Judge one table of a node."""
    if not node.is_active:
        return Condition.OFF, STATES["retired"]
    if is_silent(node):
        return Condition.STOP, STATES["silent"]
    return _condition(line.state, line.lag_s)


def feed_condition(feed: FeedReading) -> tuple[Condition, Text]:
    """Judge a subscription: parts that nobody takes are slow, a part that can't be made is a stop.

    While its grant is suspended or over nothing is made or given, and nothing is wrong.
    """
    if feed.grant_state is not None:
        return Condition.OFF, GRANT_STATES[feed.grant_state]
    if feed.failure and feed.is_behind:
        return Condition.STOP, STATES["failed"]
    if feed.waiting_s is not None and feed.waiting_s > SLOW_AFTER_S:
        return Condition.SLOW, STATES["waiting"]
    if feed.is_behind or feed.waiting_s is not None:
        return Condition.WELL, STATES["preparing"] if feed.waiting_s is None else STATES["waiting"]
    return Condition.WELL, STATES["up"]


def _condition(state: str, lag_s: float) -> tuple[Condition, Text]:
    words = STATES.get(state, Text(state, state))
    if state in _STOPPED:
        return Condition.STOP if state != "hub_away" else Condition.SLOW, words
    if state == "paused":
        return Condition.OFF, words
    if lag_s > SLOW_AFTER_S and state == "up":
        return Condition.SLOW, STATES["slow"]
    return Condition.WELL, words
