"""The technician's commands about data that stay here: confirm grants, withdraw them, look at the log."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from shuqiao.edge.held.store import NO_LINE, SHOWN_DIGITS, Line, Permission, Store, broken_at
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
        return _decide(store, arguments, state)
    finally:
        store.close()


def _decide(store: Store, arguments: argparse.Namespace, state: str) -> int:
    """Say the department's word about one document, and what else stays confirmed."""
    grant, key, digits = arguments.grant, arguments.key, arguments.document
    if not store.decide(grant, key, digits, state):
        print(
            f"not exactly one document {digits} under {grant} with key {key}: see 'shuqiao node grants'",
            file=sys.stderr,
        )
        return 1
    print(f"{grant} with key {key}, document {digits}: {state}")
    others = [
        one.digest.hex()[:SHOWN_DIGITS]
        for one in store.permissions()
        if (one.grant, one.key, one.state) == (grant, key, "confirmed")
        and not one.digest.hex().startswith(digits.lower())
    ]
    if others:
        print(f"still confirmed under this grant and key: {' '.join(others)}")
    return 0


def _show(permissions: list[Permission]) -> int:
    for one in permissions:
        document = one.digest.hex()[:SHOWN_DIGITS]
        print(_plain(f"{one.state:9}  {one.grant}  key {one.key}  document {document}  {one.signer}"))
        print("  " + _plain(_words(decode_grant(one.document))))
    if not permissions:
        print("nobody has asked yet")
    return 0


def _plain(words: str) -> str:
    """Escape what could move the cursor, change colours or turn the direction of writing."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in words
    )


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
            print(f"{row.number}  {row.digest.hex()}  {_plain(row.body.decode(errors='backslashreplace'))}")
        if broken is not None:
            print(f"line {broken} does not follow the one before: the log was changed", file=sys.stderr)
            return 1
        before = Line(rows[-1].number, rows[-1].digest)
    print(f"{before.number} lines; each follows the one before", file=sys.stderr)
    return 0
