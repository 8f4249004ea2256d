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
UNACKNOWLEDGED_AFTER_S = 60.0
"""Batches that are not acknowledged for so long are told of; a server that starts anew takes less."""
_STOPPED = (
    "not_acknowledged",
    "source_away",
    "refused",
    "receipt_untrusted",
    "disk_full",
    "spool_full",
    "held_back",
    "screening_stopped",
    "hub_away",
)


def is_silent(node: NodeReading) -> bool:
    """Tell whether an active node that was heard before has been quiet for too long."""
    return node.is_active and node.quiet_s is not None and node.quiet_s > SILENT_AFTER_S


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
    """Judge a subscription: parts that nobody takes are slow, a part that can't be made is a stop."""
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
