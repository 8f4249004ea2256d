"""The node's state in one small file, for whoever runs it: counts, times, codes, pseudonyms, no values."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from shuqiao.edge.capture import Capture
from shuqiao.edge.hub import Hub
from shuqiao.edge.publish import Delivery
from shuqiao.edge.quarantine import Held
from shuqiao.edge.receive.status import SubscriptionStatus
from shuqiao.edge.spool import Spool
from shuqiao.wire.node_state import MAX_SCREENED, ScreenedRow, Unacknowledged


class BatchOutcome(msgspec.Struct, frozen=True):
    """The receipt of one batch; `rejected` are the first faults it names: row in the batch, item, code."""

    sequence: int
    accepted: int
    rejected: list[tuple[int, str, str]]
    merged_at: str


class ResourceStatus(msgspec.Struct, frozen=True):
    """One resource: `lag_s` is how long the oldest waiting batch has waited.

    `refused` is why the hub refused the next batch, `next_try_s` when it is tried again; `faulty` are the
    latest receipts that reject rows; a row that was set apart is there as `row_refused`. `changes` are those
    of the source's columns since the mapping was first used. Of a table that is followed by its database's
    log, `log_bytes` is what the source keeps for this node, `log_lost` why the node began anew. `held_back`
    of `held_of` rows would leave the list and wait for a person's word. `screened` is how many rows wait for
    a person's word (`shuqiao node held`), `screened_rows` are the oldest. `unacknowledged` is the last time
    that the message server did not acknowledge batches.
    """

    state: str
    phase: str | None
    next_sequence: int | None
    waiting_rows: int
    lag_s: float
    fault: str | None
    refused: str | None
    next_try_s: float | None
    latest: list[BatchOutcome]
    faulty: list[BatchOutcome]
    changes: list[str] = []
    log_bytes: int | None = None
    log_lost: str | None = None
    held_back: int = 0
    held_of: int = 0
    refused_rule: str = ""
    screened: int = 0
    screened_rows: list[ScreenedRow] = []
    unacknowledged: Unacknowledged | None = None


class NodeStatus(msgspec.Struct, frozen=True):
    """The whole node; `last_contact` is when the hub last answered.

    `volumes` says for each place of data whether its volume is encrypted (`security.volumes`).
    `subscriptions` are what the department receives, by the names of their files.
    """

    department: str
    state: str
    at: datetime
    last_contact: datetime | None
    resources: dict[str, ResourceStatus]
    volumes: dict[str, str] = {}
    subscriptions: dict[str, SubscriptionStatus] = {}


_ORDER = (
    "hub_away",
    "not_acknowledged",
    "source_changed",
    "source_away",
    "refused",
    "screening_stopped",
    "receipt_untrusted",
    "disk_full",
    "spool_full",
    "held_back",
    "paused",
    "loading",
    "up",
)
"""States from the gravest: the node's state is the gravest of its resources."""

_SHOWN_OUTCOMES = 5
SHOWN_FAULTS = 20
"""So many faults of a batch are kept at most."""


def describe(department: str, hub: Hub, spool: Spool, lines: list[tuple[Capture, Delivery]]) -> NodeStatus:
    """Return the state of the node now; reads the spool and blocks."""
    resources = {capture.mapping.resource: _resource(spool, capture, delivery) for capture, delivery in lines}
    states = [status.state for status in resources.values()]
    contact = None if hub.last_contact is None else datetime.fromtimestamp(hub.last_contact, UTC)
    return NodeStatus(
        department, min(states, key=_ORDER.index, default=_ORDER[-1]), datetime.now(UTC), contact, resources
    )


def write_status(path: Path, status: NodeStatus) -> None:
    """Replace the file in one step; it is a view of the spool, so it need not be flushed."""
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(status), indent=2))
    draft.replace(path)


def _resource(spool: Spool, capture: Capture, delivery: Delivery) -> ResourceStatus:
    resource = capture.mapping.resource
    known = spool.state(resource)
    _, rows, created = (0, 0, None) if known is None else spool.waiting(resource)
    phase = known.position.phase if known else None
    held = capture.state.held
    return ResourceStatus(
        state=_state(capture, delivery, phase),
        phase=phase,
        next_sequence=known.next.sequence if known else None,
        waiting_rows=rows,
        lag_s=0.0 if created is None else round(time.time() - created, 3),
        fault=_fault(capture, delivery),
        refused=delivery.state.refused,
        refused_rule=delivery.state.rule,
        next_try_s=_next_try_s(delivery),
        latest=_outcomes(spool, resource, faulty=False),
        faulty=_outcomes(spool, resource, faulty=True),
        changes=list(capture.state.changes),
        log_bytes=capture.state.log_bytes,
        log_lost=capture.state.log_lost,
        held_back=held.rows if held else 0,
        held_of=held.of if held else 0,
        screened=capture.place.waiting(resource).count,
        screened_rows=[_held(one) for one in capture.place.rows(resource, MAX_SCREENED)],
        unacknowledged=delivery.state.unacknowledged,
    )


def _held(one: Held) -> ScreenedRow:
    items = {found.item: found.rule for found in one.found}
    return ScreenedRow(one.mark, items, datetime.fromtimestamp(one.since, UTC), one.stops)


def _fault(capture: Capture, delivery: Delivery) -> str | None:
    stuck = delivery.state.hub_away
    if not stuck and delivery.state.unacknowledged is not None and delivery.state.is_unacknowledged:
        stuck = delivery.state.unacknowledged.why
    if stuck and capture.state.spool_full:
        return f"{stuck}; the spool is full (NODE_SPOOL_BYTES): the source keeps what comes"
    return stuck or delivery.state.receipt_fault or capture.state.fault


def _state(capture: Capture, delivery: Delivery, phase: str | None) -> str:
    if delivery.state.hub_away:
        return "hub_away"
    if delivery.state.is_unacknowledged:
        return "not_acknowledged"
    if capture.state.fault:
        return "source_changed" if capture.state.frozen else "source_away"
    if delivery.state.refused:
        return "refused"
    if capture.state.screened:
        return "screening_stopped"
    if delivery.state.receipt_fault:
        return "receipt_untrusted"
    if capture.state.disk_full:
        return "disk_full"
    if capture.state.spool_full:
        return "spool_full"
    if capture.state.held is not None:
        return "held_back"
    if capture.state.paused:
        return "paused"
    return "up" if phase == "changes" else "loading"


def _next_try_s(delivery: Delivery) -> float | None:
    state = delivery.state
    if state.refused is None or state.next_try is None:
        return None
    return round(max(0.0, state.next_try - time.monotonic()), 3)


def _outcomes(spool: Spool, resource: str, *, faulty: bool) -> list[BatchOutcome]:
    shown = []
    for sequence, outcome in spool.outcomes(resource, _SHOWN_OUTCOMES, faulty=faulty):
        faults = msgspec.json.decode(outcome.rejected, type=list[tuple[int, str, str]])
        shown.append(BatchOutcome(sequence, outcome.accepted, faults[:SHOWN_FAULTS], outcome.merged_at))
    return shown
