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
from shuqiao.edge.status import NodeStatus, ResourceStatus
from shuqiao.wire.node_home import NodeFiles
from shuqiao.wire.node_state import Unacknowledged

STALE = timedelta(seconds=30)
"""The node writes its state every second: one older than this is of a node that doesn't run."""

ADVICE: Mapping[str, str] = {
    "up": "changes are sent as they happen",
    "loading": "wait for the full load",
    "hub_away": "the hub is out of reach, see below why; the node goes on reading into its spool",
    "not_acknowledged": "tell the platform agency: its message server takes no batch; it is tried again",
    "source_changed": "your table has other columns than before: adapt the mapping file",
    "source_away": "look at your database, its table or your lists",
    "refused": "tell the platform agency; the batch is kept and tried again",
    "screening_stopped": "a rule of screening stops the table: shuqiao node held list",
    "receipt_untrusted": "tell the platform agency: a receipt is not signed by the hub's key",
    "held_back": "many rows are gone at the source: restore it, or let them leave on the platform's page",
    "paused": "the platform's pages ask it to rest: resume it there",
    "disk_full": "the node's disk is full: make room; it goes on by itself and nothing is lost",
    "spool_full": "the hub has been away for long: make room or raise NODE_SPOOL_BYTES",
}
RECEIVE_ADVICE: Mapping[str, str] = {
    "up": "changes are applied as they come",
    "starting": "wait a moment",
    "hub_away": "the link or the platform is down; it goes on by itself",
    "target_away": "look at your database",
    "disk_full": "the disk of the node or its database is full: make room; it goes on by itself",
    "settings_wrong": "mend the file or the table, then start the node anew",
    "too_many_dead": "the rows don't fit your table: mend it, or raise `most` in the file",
    "untrusted": "tell the platform agency: what came is not what it has signed",
    "refused": "the platform refuses: look at the grant",
    "out_of_step": "platform and database don't agree on what was taken: `shuqiao node receive restart` it",
    "recalled": "the grant has ended: `shuqiao node receive delete` what came, until the day named",
    "signed": "what was called back is deleted and signed for",
    "ended": "your department ended the feed; `shuqiao node receive restart` begins it anew",
    "faulty": "look at the node's log",
    "deleted": "what was received is deleted; nothing more is applied",
}
KEPT_BYTES = 1024**3
"""More than this of its log a source should not have to keep."""

_WELL = ("up", "loading", "paused", "starting", "deleted", "signed", "ended")


def status_command(arguments: argparse.Namespace) -> int:
    """Print the state; 0 where all is well, 1 where something is to be done, 2 without a node."""
    home = arguments.home or os.environ.get("NODE_HOME", "")
    try:
        status = msgspec.json.decode(NodeFiles(Path(home)).status.read_bytes(), type=NodeStatus)
    except (OSError, msgspec.DecodeError):
        print("no node has written its state here: name its folder with --home", file=sys.stderr)
        return 2
    now = datetime.now(UTC)
    for line in lines_of(status, now):
        print(line)
    is_stale = now - status.at > STALE
    states = [one.state for one in status.resources.values()]
    states += [one.state for one in status.subscriptions.values()]
    return 0 if not is_stale and all(state in _WELL for state in states) else 1


def lines_of(status: NodeStatus, now: datetime) -> Iterator[str]:
    """Say a node's state in lines for a terminal."""
    contact = "never" if status.last_contact is None else _ago(now - status.last_contact)
    yield f"{status.department}: {status.state}; the hub last answered: {contact}"
    if now - status.at > STALE:
        yield f"  This was {_ago(now - status.at)}: the node does not run (python -m shuqiao.edge.main)"
    for place, state in status.volumes.items():
        if state in ("open", "unknown"):
            yield f"  {place}: the volume is not known to be encrypted ({state})"
    for resource, one in status.resources.items():
        yield from _resource(resource, one)
    for name, received in status.subscriptions.items():
        yield from _subscription(name, received)


def _resource(resource: str, one: ResourceStatus) -> Iterator[str]:
    yield f"{resource}  {one.state}: {ADVICE.get(one.state, '')}"
    if one.waiting_rows:
        yield f"  {one.waiting_rows} rows wait, the oldest for {_ago(timedelta(seconds=one.lag_s), '')}"
    if one.unacknowledged:
        yield _unacknowledged(one.unacknowledged)
    if one.fault:
        yield f"  {one.fault}"
    for change in one.changes:
        yield f"  the source's columns changed: {change}"
    if one.log_lost:
        yield f"  the table is read in full once more: {one.log_lost}"
    if (one.log_bytes or 0) > KEPT_BYTES:
        size = (one.log_bytes or 0) >> 20
        yield f"  the source keeps {size} MiB of its log for this node: see why it isn't read"
    if one.screened:
        yield f"  {one.screened} rows are held by the rules of screening: shuqiao node held list"
    if one.refused:
        again = "" if one.next_try_s is None else f", tried again in {one.next_try_s:.0f} s"
        rule = f" ({one.refused_rule})" if one.refused_rule else ""
        yield f"  the hub refused the next batch: {one.refused}{rule}{again}"
    for outcome in one.faulty:
        for row, item, reason in outcome.rejected:
            yield f"  batch {outcome.sequence}, row {row}: {item} {reason}"


def _unacknowledged(one: Unacknowledged) -> str:
    since, until = (at and at.isoformat(timespec="seconds") for at in (one.since, one.until))
    span = f"since {since}" if until is None else f"from {since} to {until}"
    return f"  {one.tries} tries to hand a batch over were not acknowledged, {span}: {one.why}"


def _subscription(name: str, one: SubscriptionStatus) -> Iterator[str]:
    yield f"{name}  {one.state}: {RECEIVE_ADVICE.get(one.state, '')} ({one.resource}, {one.guarantee})"
    if one.part:
        yield f"  part {one.part}, up to batch {one.up_to}, applied {one.applied_at}"
    if one.lag_s:
        yield f"  a part has waited for {_ago(timedelta(seconds=one.lag_s), '')}"
    if one.dead:
        yield f"  {one.dead} rows don't fit and lie apart: shuqiao node receive replay {name}"
    if one.fault:
        yield f"  {one.fault}"


def _ago(time: timedelta, ending: str = " ago") -> str:
    """Write a length of time in its largest unit."""
    seconds = max(0, int(time.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}{ending}"
    return f"{seconds} s{ending}"
