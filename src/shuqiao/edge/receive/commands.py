"""The commands `shuqiao node receive check|replay|delete|end|restart`: for what a subscription brought."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from shuqiao.client.fetching import CopyRefused
from shuqiao.client.plane import PlaneUnreachable, PromiseBroken
from shuqiao.edge.mapping import MappingError
from shuqiao.edge.receive.deleting import sign_off
from shuqiao.edge.receive.feed import Feed
from shuqiao.edge.receive.own import Position
from shuqiao.edge.receive.reading import Subscription, read_subscription
from shuqiao.edge.receive.sessions import TargetError
from shuqiao.edge.receive.target import DELETED, ENDING, RESTART, SIGNED, Target, open_target
from shuqiao.edge.words import Words
from shuqiao.security.keys import KeyRefusedError
from shuqiao.wire.node_home import NodeFiles, load_key


def receive_command(arguments: argparse.Namespace) -> int:
    """Carry the command out; 0 where it was done, 1 where something is left, 2 where it could not be."""
    home = arguments.home or os.environ.get("NODE_HOME", "")
    files = NodeFiles(Path(home))
    work: dict[str, Callable[[Subscription, Target, argparse.Namespace], int]] = {
        "check": _check,
        "replay": _replay,
        "delete": partial(_delete, files.home),
        "end": _end,
        "restart": _restart,
    }
    try:
        subscription = read_subscription(files.subscriptions / f"{arguments.subscription}.yaml")
        target = open_target(subscription, files.positions)
        try:
            return work[arguments.receive](subscription, target, arguments)
        finally:
            target.close()
    except FileNotFoundError:
        name = arguments.subscription
        _say(
            Words(
                f"没有订阅{name}：请用--home指明前置机的文件夹",
                f"there is no subscription {name}: name the node's folder with --home",
            )
        )
    except (MappingError, TargetError) as error:
        _say(str(error))
    return 2


def _check(subscription: Subscription, target: Target, _: argparse.Namespace) -> int:
    position = target.position()
    name, table, dead = subscription.name, subscription.table, target.count_dead()
    print(
        Words(
            f"{name}：{table}与文件所写一致（{subscription.guarantee}）",
            f"{name}: {table} is as the file says ({subscription.guarantee})",
        )
    )
    print(
        Words(
            f"已到第{position.part}部分、批次{position.up_to}，{dead}行另存待处理",
            f"part {position.part}, up to batch {position.up_to}, {dead} rows lie apart",
        )
    )
    return 0


def _replay(_: Subscription, target: Target, __: argparse.Namespace) -> int:
    put, left = target.replay()
    print(Words(f"{put}行已写入，{left}行仍放不进", f"{put} rows went in, {left} still don't fit"))
    return 0 if not left else 1


def _delete(home: Path, subscription: Subscription, target: Target, arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        _say(
            Words(
                f"这将从表{subscription.table}删除收到的内容，订阅随之停止：确认请加--yes",
                f"this deletes what was received from the table {subscription.table}, and the subscription"
                " rests: say --yes if that is meant",
            )
        )
        return 2
    position = target.delete()
    print(
        Words(
            f"已删除{position.gone}行及另存的行，不再写入",
            f"{position.gone} rows deleted, and what lay apart; nothing more is applied",
        )
    )
    try:
        signed = _sign_off(home, subscription, target, position).state == SIGNED
    except (OSError, ValueError, KeyRefusedError, CopyRefused, PlaneUnreachable, PromiseBroken) as error:
        _say(
            Words(
                f"回执尚未送出（{type(error).__name__}：{error}），前置机将自动补送",
                f"no receipt was sent yet ({type(error).__name__}: {error}); the node sends it when it can",
            )
        )
        return 1
    print(
        Words("回执已签署并送出", "its receipt is signed and sent")
        if signed
        else Words("没有召回，所以不送回执", "nothing calls it back, so no receipt was sent")
    )
    return 0


def _sign_off(home: Path, subscription: Subscription, target: Target, position: Position) -> Position:
    with closing(Feed(subscription)) as feed:
        return sign_off(feed, target, position, load_key(home))


def _end(_: Subscription, target: Target, arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        _say(
            Words(
                "这将终止订阅，已收到的保留：确认请加--yes",
                "this ends the feed; what was received stays: say --yes if that is meant",
            )
        )
        return 2
    if target.position().state in (DELETED, SIGNED):
        _say(
            Words("内容已删除，订阅已停止", "what was received is deleted and the subscription rests already")
        )
        return 1
    target.mark(ENDING)
    print(
        Words(
            "前置机在半分钟内终止订阅；`restart`可重新开始",
            "the node ends the feed within half a minute; it begins anew with `restart`",
        )
    )
    return 0


def _restart(subscription: Subscription, target: Target, arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        _say(
            Words(
                "这将重新取全部内容并替换已收到的：确认请加--yes",
                "this fetches everything anew and replaces what was received: say --yes if that is meant",
            )
        )
        return 2
    if subscription.mode == "append" and target.position().state not in (DELETED, SIGNED):
        _say(
            Words(
                "追加模式下全部内容会再加一遍：请先`delete`已收到的",
                "in mode append everything would be added once more: `delete` what was received first",
            )
        )
        return 1
    target.mark(RESTART)
    print(
        Words(
            "前置机在半分钟内重新开始：先是含全部内容的一部分，再是变化",
            "the node begins anew within half a minute: a part with everything, then the changes",
        )
    )
    return 0


def _say(text: str | Words) -> None:
    print(text, file=sys.stderr)
