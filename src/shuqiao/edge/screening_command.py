"""The command `shuqiao node held`: rows that the rules of screening hold here, and the department's word.

What is shown here is shown nowhere else: the value itself never leaves the node before it is released.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from shuqiao.edge.cover import Cover
from shuqiao.edge.printing import printable
from shuqiao.edge.quarantine import Held, Quarantine
from shuqiao.edge.words import Words
from shuqiao.wire.node_home import NodeFiles

MAX_NAME_CHARS = 60
MAX_REASON_CHARS = 120
_LISTED = 1000
_ALL = 1_000_000


def screening_command(arguments: argparse.Namespace) -> int:
    """Do one of `list`, `show`, `release`, `again` with the node in `--home`; it may run meanwhile."""
    home = arguments.home or os.environ.get("NODE_HOME", "")
    files = NodeFiles(Path(home))
    if not home or not files.quarantine.exists():
        _complain(
            "没有前置机在这里扣留过行，请用--home指明文件夹",
            "no node has held a row here: name its folder with --home",
        )
        return 2
    place = Quarantine(files.quarantine, Cover(files.cover_key), _ALL)
    steps: dict[str, Callable[[Quarantine, argparse.Namespace], int]] = {
        "list": _list,
        "show": _show,
        "release": _release,
        "again": _again,
    }
    try:
        return steps[arguments.held](place, arguments)
    finally:
        place.close()


def _list(place: Quarantine, _: argparse.Namespace) -> int:
    rows = place.rows(limit=_LISTED)
    for one in rows:
        where = ", ".join(f"{found.item} ({found.rule})" for found in one.found)
        since = datetime.fromtimestamp(one.since, UTC).isoformat(timespec="seconds")
        state = Words("扣留", "held")
        if one.released:
            state = Words("已放行", "released")
        elif one.stops:
            state = Words("停住该表", "stops the table")
        print(f"{one.mark}  {one.resource}  {since}  {state}: {where}")
    if not rows:
        print(Words("没有扣留的行", "nothing is held"))
    for gone in place.removals():
        day = datetime.fromtimestamp(gone.at, UTC).date().isoformat()
        print(
            Words(
                f"{gone.resource}：{day}清除{gone.rows}行，该条目已无映射",
                f"{gone.resource}: {gone.rows} rows were removed on {day}, as it had no mapping any more",
            )
        )
    return 0


def _chosen(place: Quarantine, begin: str) -> Held | None:
    """Return the one row whose pseudonym begins so."""
    found = [one for one in place.rows(limit=_ALL) if one.mark.startswith(begin.lower())]
    if len(found) == 1 and len(begin) >= 6:
        return found[0]
    _complain(
        f"{begin}不能确定唯一的一行：请看shuqiao node held list，写出6位以上",
        f"not exactly one row {begin}: see 'shuqiao node held list', name 6 digits or more",
    )
    return None


def _show(place: Quarantine, arguments: argparse.Namespace) -> int:
    one = _chosen(place, arguments.mark)
    if one is None:
        return 1
    content = place.content(one.resource, one.mark)
    if content is None:
        _complain(
            "这一行打不开：运行shuqiao node held again重新读取",
            "the row can't be opened: 'shuqiao node held again' has it read anew",
        )
        return 1
    rules = {found.item: found.rule for found in one.found}
    for part in (content.plain, content.identity):
        for name, value in (part.to_pylist() or [{}])[0].items():
            said = printable(str(value))
            print(f"{'*' if name in rules else ' '} {name}: {said}  {rules.get(name, '')}".rstrip())
    return 0


def _release(place: Quarantine, arguments: argparse.Namespace) -> int:
    """Note who answers for it that the row may go."""
    by, reason = " ".join(arguments.by.split()), " ".join(arguments.reason.split())
    if not (0 < len(by) <= MAX_NAME_CHARS and by.isprintable()):
        _complain(
            f"--by须写明负责人姓名，最多{MAX_NAME_CHARS}字",
            f"--by names the person who answers for it, {MAX_NAME_CHARS} characters at most",
        )
        return 2
    if not (0 < len(reason) <= MAX_REASON_CHARS and reason.isprintable()):
        _complain(
            f"--reason须说明规则为何误判，最多{MAX_REASON_CHARS}字",
            f"--reason says why the rule misleads, {MAX_REASON_CHARS} characters at most",
        )
        return 2
    one = _chosen(place, arguments.mark)
    if one is None:
        return 1
    place.release(one, by, reason)
    print(
        Words(
            f"{one.mark}：由{by}放行，随下一批次送出",
            f"{one.mark}: released by {by}; it leaves with the next batch",
        )
    )
    return 0


def _again(place: Quarantine, arguments: argparse.Namespace) -> int:
    """Let a row that stops its table be read anew, after it was corrected at its source."""
    one = _chosen(place, arguments.mark)
    if one is None:
        return 1
    if not one.stops:
        _complain(
            f"{one.mark}没有停住什么：在来源更正后会自动送出",
            f"{one.mark} stops nothing: when it is corrected at its source it comes by itself",
        )
        return 1
    place.forget(one.resource, [one.mark])
    print(Words(f"{one.mark}：将重新读取其所在的一页", f"{one.mark}: its page is read anew"))
    return 0


def _complain(zh: str, en: str) -> None:
    print(Words(zh, en), file=sys.stderr)
