"""The command `shuqiao node status`: what `status.json` says, and what to do about it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from shuqiao.edge.receive.status import SubscriptionStatus
from shuqiao.edge.status import SHOWN_FAULTS, BatchOutcome, NodeStatus, ResourceStatus
from shuqiao.edge.words import Words
from shuqiao.rules.errors import BY_CODE
from shuqiao.wire.node_home import NodeFiles
from shuqiao.wire.node_state import Unacknowledged

STALE = timedelta(seconds=30)
"""The node writes its state every second: one older than this is of a node that doesn't run."""

ADVICE: Mapping[str, Words] = {
    "up": Words("变化随时发送", "changes are sent as they happen"),
    "loading": Words("正在全量装载，请等待", "wait for the full load"),
    "hub_away": Words(
        "连不上平台，原因见下；前置机继续读取并存入缓存",
        "the hub is out of reach, see below why; the node goes on reading into its spool",
    ),
    "not_acknowledged": Words(
        "请告知平台机构：其消息服务没有确认收到批次；自动重试",
        "tell the platform agency: its message server takes no batch; it is tried again",
    ),
    "source_changed": Words(
        "来源表的列与以前不同，请调整映射文件",
        "your table has other columns than before: adapt the mapping file",
    ),
    "source_away": Words(
        "数据库、表或清单读不到，原因见下；也可运行shuqiao node check",
        "look at your database, its table or your lists: see below why, or run shuqiao node check",
    ),
    "refused": Words(
        "平台拒收了下一批次，原因见下；批次保留，自动重试",
        "the platform refused the next batch, see below why; it is kept and tried again",
    ),
    "screening_stopped": Words(
        "筛查规则停住了这张表：shuqiao node held list",
        "a rule of screening stops the table: shuqiao node held list",
    ),
    "receipt_untrusted": Words(
        "请告知平台机构：回执不是平台密钥所签",
        "tell the platform agency: a receipt is not signed by the hub's key",
    ),
    "held_back": Words(
        "来源少了很多行：恢复来源，或在平台页面确认移出",
        "many rows are gone at the source: restore it, or let them leave on the platform's page",
    ),
    "paused": Words("平台页面请其暂停，可在那里恢复", "the platform's pages ask it to rest: resume it there"),
    "disk_full": Words(
        "前置机磁盘已满：腾出空间即自动继续，数据不丢",
        "the node's disk is full: make room; it goes on by itself and nothing is lost",
    ),
    "spool_full": Words(
        "平台已久未连上：腾出空间或调大NODE_SPOOL_BYTES",
        "the hub has been away for long: make room or raise NODE_SPOOL_BYTES",
    ),
}
RECEIVE_ADVICE: Mapping[str, Words] = {
    "up": Words("变化随到随写入", "changes are applied as they come"),
    "starting": Words("请稍候", "wait a moment"),
    "hub_away": Words(
        "网络或平台中断，恢复后自动继续", "the link or the platform is down; it goes on by itself"
    ),
    "target_away": Words("请检查本部门的数据库", "look at your database"),
    "disk_full": Words(
        "前置机或数据库的磁盘已满：腾出空间即自动继续",
        "the disk of the node or its database is full: make room; it goes on by itself",
    ),
    "settings_wrong": Words(
        "请改正文件或表，再重启前置机", "mend the file or the table, then start the node anew"
    ),
    "too_many_dead": Words(
        "这些行放不进表：请调整表，或调大文件中的`most`",
        "the rows don't fit your table: mend it, or raise `most` in the file",
    ),
    "untrusted": Words(
        "请告知平台机构：收到的不是平台所签", "tell the platform agency: what came is not what it has signed"
    ),
    "refused": Words("平台拒绝：请检查授权", "the platform refuses: look at the grant"),
    "out_of_step": Words(
        "平台与数据库对已取走的内容记录不一：请运行`shuqiao node receive restart`",
        "platform and database don't agree on what was taken: `shuqiao node receive restart` it",
    ),
    "sealed_otherwise": Words(
        "订阅的加密方式或密钥与文件所说不同：放回原密钥，或运行`shuqiao node receive restart`",
        "the feed is sealed to another key than your file's, or only one of them is sealed: put the key back,"
        " or `shuqiao node receive restart` it",
    ),
    "recalled": Words(
        "授权已终止：请在所列日期前运行`shuqiao node receive delete`",
        "the grant has ended: `shuqiao node receive delete` what came, until the day named",
    ),
    "signed": Words("召回的内容已删除并签署回执", "what was called back is deleted and signed for"),
    "ended": Words(
        "本部门已终止订阅；`shuqiao node receive restart`可重新开始",
        "your department ended the feed; `shuqiao node receive restart` begins it anew",
    ),
    "faulty": Words("请查看前置机的日志", "look at the node's log"),
    "deleted": Words("收到的内容已删除，不再写入", "what was received is deleted; nothing more is applied"),
}
CHANGES: Mapping[str, Words] = {
    "gone": Words("缺少", "gone:"),
    "new": Words("新增", "new:"),
    "retyped": Words("类型改变", "another type:"),
}
_NONE = Words("", "")
KEPT_BYTES = 1024**3
"""More than this of its log a source should not have to keep."""

_WELL = ("up", "loading", "paused", "starting", "deleted", "signed", "ended")


def status_command(arguments: argparse.Namespace) -> int:
    """Print the state; 0 where all is well, 1 where something is to be done, 2 without a node."""
    home = arguments.home or os.environ.get("NODE_HOME", "")
    try:
        status = msgspec.json.decode(NodeFiles(Path(home)).status.read_bytes(), type=NodeStatus)
    except (OSError, msgspec.DecodeError):
        said = Words(
            "这里没有前置机写下的状态，请用--home指明它的文件夹",
            "no node has written its state here: name its folder with --home",
        )
        print(said, file=sys.stderr)
        return 2
    now = datetime.now(UTC)
    for line in lines_of(status, now):
        print(line)
    is_stale = now - status.at > STALE
    states = [one.state for one in status.resources.values()]
    states += [one.state for one in status.subscriptions.values()]
    return 0 if not is_stale and all(state in _WELL for state in states) else 1


def lines_of(status: NodeStatus, now: datetime) -> Iterator[Words]:
    """Say a node's state in lines for a terminal."""
    contact = Words("从未", "never") if status.last_contact is None else _ago(now - status.last_contact)
    place = f"{status.department}: {status.state}"
    yield Words(f"{place}；平台上次应答：{contact.zh}", f"{place}; the hub last answered: {contact.en}")
    if now - status.at > STALE:
        since = _ago(now - status.at)
        yield Words(
            f"  这是{since.zh}的状态：前置机没有运行（systemctl status shuqiao-node）",
            f"  This was {since.en}: the node does not run (systemctl status shuqiao-node)",
        )
    for place, state in status.volumes.items():
        if state in ("open", "unknown"):
            yield Words(
                f"  {place}：不知道所在的卷是否加密（{state}），见encrypt-what-is-stored.md",
                f"  {place}: the volume is not known to be encrypted ({state}): encrypt-what-is-stored.md",
            )
    for resource, one in status.resources.items():
        yield from _resource(resource, one)
    for name, received in status.subscriptions.items():
        yield from _subscription(name, received)


def _resource(resource: str, one: ResourceStatus) -> Iterator[Words]:
    advice = ADVICE.get(one.state, _NONE)
    yield Words(f"{resource}  {one.state}：{advice.zh}", f"{resource}  {one.state}: {advice.en}")
    if one.waiting_rows:
        since, rows = _long(timedelta(seconds=one.lag_s)), one.waiting_rows
        yield Words(f"  {rows}行待发，最久的已等{since.zh}", f"  {rows} rows wait, the oldest for {since.en}")
    if one.fault:
        yield Words(f"  {one.fault}", f"  {one.fault}")
    for change in one.changes:
        kind, _, column = change.partition(": ")
        said = CHANGES.get(kind, Words(kind, kind))
        yield Words(
            f"  来源的列有变化：{said.zh} {column}", f"  the source's columns changed: {said.en} {column}"
        )
    if one.unacknowledged is not None:
        yield _unacknowledged(one.unacknowledged)
    if one.log_lost:
        yield Words(
            f"  重新全量读取这张表：{one.log_lost}", f"  the table is read in full once more: {one.log_lost}"
        )
    if (one.log_bytes or 0) > KEPT_BYTES:
        size = (one.log_bytes or 0) >> 20
        yield Words(
            f"  来源为本前置机保留了{size} MiB日志：请查明为何没有读取",
            f"  the source keeps {size} MiB of its log for this node: see why it isn't read",
        )
    if one.screened:
        yield Words(
            f"  {one.screened}行被筛查规则扣留：shuqiao node held list",
            f"  {one.screened} rows are held by the rules of screening: shuqiao node held list",
        )
    if one.refused:
        yield from _refusal(resource, one)
    for outcome in one.faulty:
        yield from _rejected(outcome)


def _rejected(outcome: BatchOutcome) -> Iterator[Words]:
    """Say which rows were not accepted; those with the same fault stand on one line."""
    at, rows = outcome.sequence, dict[tuple[str, str], list[str]]()
    for row, item, reason in outcome.rejected:
        rows.setdefault((item, reason), []).append(str(row))
    for (item, reason), numbers in rows.items():
        why, which = _explained(reason, item=item), "row" if len(numbers) == 1 else "rows"
        # Only the first faults of a batch are kept.
        more = "…" if len(outcome.rejected) == SHOWN_FAULTS else ""
        yield Words(
            f"  批次{at}第{'、'.join(numbers)}{more}行：{item} {reason}　{why.zh}".rstrip(),
            f"  batch {at}, {which} {', '.join(numbers)}{more}: {item} {reason}  {why.en}".rstrip(),
        )


def _refusal(resource: str, one: ResourceStatus) -> Iterator[Words]:
    rule = f" ({one.refused_rule})" if one.refused_rule else ""
    again = _NONE
    if one.next_try_s is not None:
        again = Words(f"，{one.next_try_s:.0f}秒后重试", f", tried again in {one.next_try_s:.0f} s")
    yield Words(
        f"  平台拒收下一批次：{one.refused}{rule}{again.zh}",
        f"  the hub refused the next batch: {one.refused}{rule}{again.en}",
    )
    why = _explained(one.refused or "", resource=resource)
    if why != _NONE:
        yield Words(f"  {why.zh}", f"  {why.en}")


def _explained(code: str, **fields: str) -> Words:
    """What a code means and what to do, empty where this version doesn't know it."""
    known, given = BY_CODE.get(code), _Fields(fields)
    if known is None:
        return _NONE
    return Words(known.message_zh.format_map(given), known.message_en.format_map(given))


class _Fields(dict[str, str]):
    """Fields of a message of which the node knows only some."""

    def __missing__(self, name: str) -> str:
        return "…"


def _unacknowledged(one: Unacknowledged) -> Words:
    since, until = (at and at.isoformat(timespec="seconds") for at in (one.since, one.until))
    span = (
        Words(f"自{since}起", f"since {since}")
        if until is None
        else Words(f"{since}至{until}", f"from {since} to {until}")
    )
    return Words(
        f"  {one.tries}次交付批次未获确认，{span.zh}：{one.why}",
        f"  {one.tries} tries to hand a batch over were not acknowledged, {span.en}: {one.why}",
    )


def _subscription(name: str, one: SubscriptionStatus) -> Iterator[Words]:
    advice = RECEIVE_ADVICE.get(one.state, _NONE)
    about = f"({one.resource}, {one.guarantee})"
    yield Words(f"{name}  {one.state}：{advice.zh} {about}", f"{name}  {one.state}: {advice.en} {about}")
    if one.part:
        at = one.applied_at
        yield Words(
            f"  第{one.part}部分，至批次{one.up_to}，{at}写入",
            f"  part {one.part}, up to batch {one.up_to}, applied {at}",
        )
    if one.lag_s:
        since = _long(timedelta(seconds=one.lag_s))
        yield Words(f"  有一部分已等{since.zh}", f"  a part has waited for {since.en}")
    if one.dead:
        yield Words(
            f"  {one.dead}行放不进表，另存待处理：shuqiao node receive replay {name}",
            f"  {one.dead} rows don't fit and lie apart: shuqiao node receive replay {name}",
        )
    if one.fault:
        yield Words(f"  {one.fault}", f"  {one.fault}")


def _ago(time: timedelta) -> Words:
    length = _long(time)
    return Words(f"{length.zh}前", f"{length.en} ago")


def _long(time: timedelta) -> Words:
    """Write a length of time in its largest unit."""
    seconds = max(0, int(time.total_seconds()))
    for zh, unit, size in (("天", "d", 86_400), ("小时", "h", 3_600), ("分钟", "min", 60)):
        if seconds >= size:
            return Words(f"{seconds // size}{zh}", f"{seconds // size} {unit}")
    return Words(f"{seconds}秒", f"{seconds} s")
