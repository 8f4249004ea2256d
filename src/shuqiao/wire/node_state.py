"""What a node says of itself every few seconds, and what the hub asks of it in its answer.

The node publishes a signed `NodeState` to `reports.<department>.node`; the hub keeps the newest one and
answers with the `Orders` in force. States hold counts, times, codes, versions and pseudonyms, no value.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from shuqiao.rules.screening import Rules
from shuqiao.security import keys
from shuqiao.wire.node_signed import NotTheNodes, content_of, sign_content
from shuqiao.wire.package import Mark
from shuqiao.wire.subjects import check_department

MAX_STATE_BYTES = 256 * 1024
MAX_LINES = 500
MAX_SCREENED = 20
MAX_DESCRIBED = 5
MAX_RANGES = 2048
"""Into so many ranges a table is parted at most when it is compared."""
KEY_BYTES = 32
NODE = "node"
"""Stands in the subject where a resource stands in the others."""

_LABEL = b"shuqiao-node-state-v1\n"

_Code = Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,40}$")]
_Name = Annotated[str, msgspec.Meta(max_length=64)]
_Words = Annotated[str, msgspec.Meta(max_length=300)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ScreenedRow(msgspec.Struct, frozen=True):
    """A row that the rules of screening hold: the pseudonym of its key, where it was caught, since when."""

    mark: Mark
    items: dict[_Name, _Name]
    since: datetime
    stops: bool = False


class Unacknowledged(msgspec.Struct, frozen=True):
    """Batches of which the message server did not say that it has them: so many tries, and why the last.

    By the node's clock; `until` is None while it lasts.
    """

    tries: _Count
    since: _Moment
    until: _Moment | None = None
    why: _Words = ""

    @property
    def lasts(self) -> bool:
        """Whether it is so now."""
        return self.until is None


class LineState(msgspec.Struct, frozen=True):
    """One table on its way to a resource: `lag_s` is how long the oldest waiting batch has waited.

    `phase` is empty before the first row; `mapping` is the version of the mapping file; `changes` are those
    of the source's columns since that version was first used, by their names. `held_back` are removals that
    wait for a person's word because they are too many, of so many rows. `screened` counts the rows that the
    rules of screening hold, `screened_rows` are the oldest of them. `unacknowledged` is the last time that
    batches were not acknowledged since the node was started.
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
    held_back: _Count = 0
    held_of: _Count = 0
    screened: _Count = 0
    screened_rows: Annotated[tuple[ScreenedRow, ...], msgspec.Meta(max_length=MAX_SCREENED)] = ()
    unacknowledged: Unacknowledged | None = None


class ItemColumn(msgspec.Struct, frozen=True):
    """Where an item comes from: a column, with codes translated, or a value that every row has."""

    item: _Name
    column: Annotated[str, msgspec.Meta(max_length=128)] = ""
    coded: bool = False


class MappingColumns(msgspec.Struct, frozen=True):
    """What a mapping reads: names of a system, a table and its columns."""

    system: Annotated[str, msgspec.Meta(max_length=200)]
    table: Annotated[str, msgspec.Meta(max_length=200)]
    items: Annotated[tuple[ItemColumn, ...], msgspec.Meta(max_length=200)]


class NodeState(msgspec.Struct, frozen=True):
    """A node as it sees itself; `certificate_until` is when the first certificate it trusts or shows ends.

    `screening` is the version of the rules it screens by; `mappings` are told where the hub asked for them.
    """

    department: _Name
    at: datetime
    version: _Name
    started_at: datetime
    state: _Code
    spool_bytes: _Count
    lines: Annotated[tuple[LineState, ...], msgspec.Meta(max_length=MAX_LINES)] = ()
    certificate_until: datetime | None = None
    screening: _Count = 0
    mappings: Annotated[dict[_Name, MappingColumns], msgspec.Meta(max_length=MAX_DESCRIBED)] = {}


class Task(msgspec.Struct, frozen=True):
    """What the hub asks of a node: compare one resource; `salt` is the hub's half of what keys digests."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    salt: Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]


class Mending(msgspec.Struct, frozen=True):
    """What the hub asks of a node: send the rows of some ranges of a run once more."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    run: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    ranges: Annotated[int, msgspec.Meta(ge=1, le=MAX_RANGES)]
    chosen: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=0, lt=MAX_RANGES)], ...], msgspec.Meta(max_length=MAX_RANGES)
    ]


class Word(msgspec.Struct, frozen=True):
    """A person's word that so many removals may leave; `number` counts the words about a resource."""

    number: _Count
    rows: _Count


class Orders(msgspec.Struct, frozen=True):
    """What the hub asks: resources whose reading rests, and the number of the newest wish for a full load.

    A node loads in full once for each number higher than the last it followed; so it lets removals through
    that it holds back, as many as the word is about. `reconcile` and `mend` are asked for until done.
    `screening` are the rules in force where the node has others; of the resources in `describe` it tells what
    their mappings read.
    """

    paused: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=MAX_LINES)] = ()
    reloads: dict[_Name, _Count] = {}
    screening: Rules | None = None
    describe: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=MAX_DESCRIBED)] = ()
    let_through: dict[_Name, Word] = {}
    reconcile: dict[_Name, Task] = {}
    mend: dict[_Name, Mending] = {}


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
