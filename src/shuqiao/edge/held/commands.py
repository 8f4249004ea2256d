"""The technician's commands about data that stay here: confirm grants, withdraw them, look at the log."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from shuqiao.edge.held.store import NO_LINE, SHOWN_DIGITS, Line, Permission, Store, broken_at
from shuqiao.edge.words import Words
from shuqiao.wire.grant import Grant, decode_grant
from shuqiao.wire.node_home import NodeFiles

_PAGE = 1000
_STATES = {
    "waiting": Words("待确认", "waiting"),
    "confirmed": Words("已确认", "confirmed"),
    "withdrawn": Words("已撤回", "withdrawn"),
}
_MODES = {"verify": Words("核验", "verify"), "query": Words("查询", "query")}


def held_command(arguments: argparse.Namespace) -> int:
    """Run one of `grants`, `confirm`, `withdraw` and `log` on the files of the node in `--home`."""
    home = arguments.home or os.environ.get("NODE_HOME", "")
    path = NodeFiles(Path(home)).held
    if not home or not path.exists():
        said = Words(
            "本前置机没有供他人查询的留存数据，请用--home指明它的文件夹",
            "this node keeps nothing that others ask for: name its folder with --home",
        )
        print(said, file=sys.stderr)
        return 2
    store = Store(path)
    try:
        if arguments.step == "grants":
            return _show(store.permissions())
        if arguments.step == "log":
            return _log(store)
        state = "confirmed" if arguments.step == "confirm" else "withdrawn"
        return _decide(store, arguments, state)
    finally:
        store.close()


def _decide(store: Store, arguments: argparse.Namespace, state: str) -> int:
    """Say the department's word about one document, and what else stays confirmed."""
    grant, key, digits = arguments.grant, arguments.key, arguments.document
    if not store.decide(grant, key, digits, state):
        said = Words(
            f"授权{grant}、密钥{key}之下没有恰好一份文本{digits}：见shuqiao node grants",
            f"not exactly one document {digits} under {grant} with key {key}: see 'shuqiao node grants'",
        )
        print(said, file=sys.stderr)
        return 1
    now = _STATES[state]
    print(
        Words(
            f"{grant}，密钥{key}，文本{digits}：{now.zh}",
            f"{grant} with key {key}, document {digits}: {now.en}",
        )
    )
    others = [
        one.digest.hex()[:SHOWN_DIGITS]
        for one in store.permissions()
        if (one.grant, one.key, one.state) == (grant, key, "confirmed")
        and not one.digest.hex().startswith(digits.lower())
    ]
    if others:
        left = " ".join(others)
        print(
            Words(f"此授权与密钥之下仍已确认的：{left}", f"still confirmed under this grant and key: {left}")
        )
    return 0


def _show(permissions: list[Permission]) -> int:
    for one in permissions:
        document = one.digest.hex()[:SHOWN_DIGITS]
        state = _STATES.get(one.state, Words(one.state, one.state))
        line = Words(
            f"{state.zh}  {one.grant}  密钥 {one.key}  文本 {document}  {one.signer}",
            f"{state.en:9}  {one.grant}  key {one.key}  document {document}  {one.signer}",
        )
        print(_plain(str(line)))
        print("  " + _plain(str(_words(decode_grant(one.document)))))
    if not permissions:
        print(Words("还没有人查询过", "nobody has asked yet"))
    return 0


def _plain(words: str) -> str:
    """Escape what could move the cursor, change colours or turn the direction of writing."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in words
    )


def _words(grant: Grant) -> Words:
    rows = "; ".join(f"{row.field} {row.op} {' '.join(row.values)}" for row in grant.rows)
    items, bare = ", ".join(grant.items), ", ".join(grant.unmasked)
    mode = _MODES.get(grant.mode, Words(grant.mode, grant.mode))
    return Words(
        f"{grant.resource}给{grant.department}，{mode.zh}{items}（不遮盖：{bare or '无'}），"
        f"{rows or '全部记录'}，{grant.purpose}，{grant.valid_from}至{grant.valid_until}，"
        f"申请{grant.request_no}",
        f"{grant.resource} to {grant.department}, {mode.en} of {items} (not masked: {bare or 'none'}),"
        f" {rows or 'all records'}, {grant.purpose}, {grant.valid_from} to {grant.valid_until},"
        f" request {grant.request_no}",
    )


def _log(store: Store) -> int:
    """Print the log and check that every line follows the one before."""
    before = Line(0, NO_LINE)
    while rows := store.lines(before.number, _PAGE):
        broken = broken_at(rows, before)
        for row in rows:
            print(f"{row.number}  {row.digest.hex()}  {_plain(row.body.decode(errors='backslashreplace'))}")
        if broken is not None:
            said = Words(
                f"第{broken}行与前一行不相接：记录被改动过",
                f"line {broken} does not follow the one before: the log was changed",
            )
            print(said, file=sys.stderr)
            return 1
        before = Line(rows[-1].number, rows[-1].digest)
    count = before.number
    said = Words(f"共{count}行，行行相接", f"{count} lines; each follows the one before")
    print(said, file=sys.stderr)
    return 0
