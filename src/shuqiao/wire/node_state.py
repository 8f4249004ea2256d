"""What a node says of itself every few seconds, and what the hub asks of it in its answer.

The node publishes a signed `NodeState` to `reports.<department>.node`; the hub keeps the newest one and
answers with the `Orders` in force. States hold counts, times, codes and versions, nothing of a row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from shuqiao.security import keys
from shuqiao.wire.node_signed import NotTheNodes, content_of, sign_content
from shuqiao.wire.subjects import check_department

MAX_STATE_BYTES = 256 * 1024
MAX_LINES = 500
NODE = "node"
"""Stands in the subject where a resource stands in the others."""

_LABEL = b"shuqiao-node-state-v1\n"

_Code = Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,40}$")]
_Name = Annotated[str, msgspec.Meta(max_length=64)]
_Words = Annotated[str, msgspec.Meta(max_length=300)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class LineState(msgspec.Struct, frozen=True):
    """One table on its way to a resource: `lag_s` is how long the oldest waiting batch has waited.

    `phase` is empty before the first row; `mapping` is the version of the mapping file; `changes` are those
    of the source's columns since that version was first used, by their names.
    """

    resource: _Name
    state: _Code
    phase: Annotated[str, msgspec.Meta(pattern="^[a-z_]{0,40}$")]
    mapping: _Name
    waiting_rows: _Count
    lag_s: Annotated[float, msgspec.Meta(ge=0)]
    fault: _Words = ""
    refused: _Words = ""
    changes: _Words = ""


class NodeState(msgspec.Struct, frozen=True):
    """A node as it sees itself; `certificate_until` is when the first certificate it trusts or shows ends."""

    department: _Name
    at: datetime
    version: _Name
    started_at: datetime
    state: _Code
    spool_bytes: _Count
    lines: Annotated[tuple[LineState, ...], msgspec.Meta(max_length=MAX_LINES)] = ()
    certificate_until: datetime | None = None


class Orders(msgspec.Struct, frozen=True):
    """What the hub asks: resources whose reading rests, and the number of the newest wish for a full load.

    A node loads in full once for each number higher than the last it followed.
    """

    paused: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=MAX_LINES)] = ()
    reloads: dict[_Name, _Count] = {}


_decoder = msgspec.json.Decoder(NodeState)
_orders = msgspec.json.Decoder(Orders)


def state_subject(department: str) -> str:
    """Return the subject to which a node brings its state."""
    return f"reports.{check_department(department)}.{NODE}"


def sign_state(state: NodeState, key: keys.SigningKey) -> bytes:
    """Encode and sign a state."""
    return sign_content(_LABEL, msgspec.json.encode(state), key)


def read_state(message: bytes, key: keys.PublicKey) -> NodeState:
    """Check and read a state; raises `NotTheNodes`."""
    if len(message) > MAX_STATE_BYTES:
        raise NotTheNodes("too large")
    try:
        state = _decoder.decode(content_of(_LABEL, message, key))
    except msgspec.MsgspecError:
        raise NotTheNodes("unreadable") from None
    if state.at.tzinfo is None or state.started_at.tzinfo is None:
        raise NotTheNodes("a time without zone")
    return state


def encode_orders(orders: Orders) -> bytes:
    """Return the hub's answer."""
    return msgspec.json.encode(orders)


def decode_orders(data: bytes) -> Orders:
    """Read the hub's answer; raises msgspec.MsgspecError."""
    return _orders.decode(data)
