"""The technician's commands about data that stay here: confirm grants, withdraw them, look at the log."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from shuqiao.edge.held.store import NO_LINE, Line, Permission, Store, broken_at
from shuqiao.wire.grant import Grant, decode_grant
from shuqiao.wire.node_home import NodeFiles

_PAGE = 1000


def held_command(arguments: argparse.Namespace) -> int:
    """Run one of `grants`, `confirm`, `withdraw` and `log` on the files of the node in `--home`."""
    home = arguments.home or os.environ.get("NODE_HOME", "")
    path = NodeFiles(Path(home)).held
    if not home or not path.exists():
        print("this node keeps nothing that others ask for: name its folder with --home", file=sys.stderr)
        return 2
    store = Store(path)
    try:
        if arguments.step == "grants":
            return _show(store.permissions())
        if arguments.step == "log":
            return _log(store)
        state = "confirmed" if arguments.step == "confirm" else "withdrawn"
        if store.decide(arguments.grant, arguments.key, state):
            print(f"{arguments.grant} with key {arguments.key}: {state}")
            return 0
        print(f"no call was made under {arguments.grant} with key {arguments.key}", file=sys.stderr)
        return 1
    finally:
        store.close()


def _show(permissions: list[Permission]) -> int:
    for one in permissions:
        print(f"{one.state:9}  {one.grant}  key {one.key}  {one.signer}")
        print("  " + _words(decode_grant(one.document)))
    if not permissions:
        print("nobody has asked yet")
    return 0


def _words(grant: Grant) -> str:
    rows = "; ".join(f"{row.field} {row.op} {' '.join(row.values)}" for row in grant.rows) or "all records"
    return (
        f"{grant.resource} to {grant.department}, {grant.mode} of {', '.join(grant.items)}"
        f" (not masked: {', '.join(grant.unmasked) or 'none'}), {rows}, {grant.purpose},"
        f" {grant.valid_from} to {grant.valid_until}, request {grant.request_no}"
    )


def _log(store: Store) -> int:
    """Print the log and check that every line follows the one before."""
    before = Line(0, NO_LINE)
    while rows := store.lines(before.number, _PAGE):
        broken = broken_at(rows, before)
        for row in rows:
            print(f"{row.number}  {row.digest.hex()}  {row.body.decode()}")
        if broken is not None:
            print(f"line {broken} does not follow the one before: the log was changed", file=sys.stderr)
            return 1
        before = Line(rows[-1].number, rows[-1].digest)
    print(f"{before.number} lines; each follows the one before", file=sys.stderr)
    return 0
