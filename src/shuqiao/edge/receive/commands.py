"""The commands `shuqiao node receive check|replay|delete`: look at a table, try rows again, delete."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from shuqiao.edge.mapping import MappingError
from shuqiao.edge.receive.reading import Subscription, read_subscription
from shuqiao.edge.receive.sessions import TargetError
from shuqiao.edge.receive.target import Target, open_target
from shuqiao.wire.node_home import NodeFiles


def receive_command(arguments: argparse.Namespace) -> int:
    """Carry the command out; 0 where it was done, 1 where something is left, 2 where it could not be."""
    home = arguments.home or os.environ.get("NODE_HOME", "")
    files = NodeFiles(Path(home))
    work: dict[str, Callable[[Subscription, Target, argparse.Namespace], int]] = {
        "check": _check,
        "replay": _replay,
        "delete": _delete,
    }
    try:
        subscription = read_subscription(files.subscriptions / f"{arguments.subscription}.yaml")
        target = open_target(subscription, files.positions)
        try:
            return work[arguments.receive](subscription, target, arguments)
        finally:
            target.close()
    except FileNotFoundError:
        _say(f"there is no subscription {arguments.subscription}: name the node's folder with --home")
    except (MappingError, TargetError) as error:
        _say(str(error))
    return 2


def _check(subscription: Subscription, target: Target, _: argparse.Namespace) -> int:
    position = target.position()
    print(f"{subscription.name}: {subscription.table} is as the file says ({subscription.guarantee})")
    print(f"part {position.part}, up to batch {position.up_to}, {target.count_dead()} rows lie apart")
    return 0


def _replay(_: Subscription, target: Target, __: argparse.Namespace) -> int:
    put, left = target.replay()
    print(f"{put} rows went in, {left} still don't fit")
    return 0 if not left else 1


def _delete(subscription: Subscription, target: Target, arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        _say(
            f"this deletes what was received from the table {subscription.table}, and the subscription rests:"
            " say --yes if that is meant"
        )
        return 2
    count = target.delete()
    print(f"{count} rows deleted, and what lay apart; nothing more is applied")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)
