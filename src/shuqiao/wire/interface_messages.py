"""What plane and node say to each other about one call of an interface, over NATS.

The plane publishes an `Ask` to the department's subject. Everything else the node asks for: it fetches the
body piece by piece, then brings the answer piece by piece, each acknowledged before the next is sent, so that
neither side ever holds more than one piece that the other has not taken.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from shuqiao.wire.subjects import check_department

PIECE_BYTES = 128 * 1024
_WORKER = re.compile(r"[0-9a-f]{32}")

CallId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
Hex32 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Fault = Literal["unknown", "refused", "unreachable", "too_slow", "too_large", "wrong_type", "busy"]


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """A call for the department's interface. `answer_to` is the worker whose subject takes the answer."""

    call: CallId
    answer_to: CallId
    resource: str
    operation: str
    parameters: dict[str, str]
    department: str
    application: str
    grant: str
    has_body: bool
    body_bytes: int
    body_digest: str
    timeout_s: float
    max_answer_bytes: int


class Fetch(msgspec.Struct, frozen=True, array_like=True, tag="fetch"):
    """The node asks for a piece of the body."""

    call: CallId
    number: int


class Bring(msgspec.Struct, frozen=True, array_like=True, tag="bring"):
    """The node brings a piece of the answer."""

    call: CallId
    number: int
    content: Annotated[bytes, msgspec.Meta(max_length=PIECE_BYTES)]


class Whole(msgspec.Struct, frozen=True, array_like=True, tag="whole"):
    """The node has brought everything: the type of the answer, its length and its SHA-256."""

    call: CallId
    media_type: Annotated[str, msgspec.Meta(max_length=200)]
    size_bytes: int
    digest: Hex32


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """The node could not get an answer; `status` is that of the department's interface where it gave one."""

    call: CallId
    fault: Fault
    status: int = 0


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """The plane's reply: a piece of the body, or that what was brought is taken; false ends the call."""

    goes_on: bool
    content: bytes = b""


FromNode = Fetch | Bring | Whole | Failed

encode = msgspec.msgpack.Encoder().encode
decode_ask = msgspec.msgpack.Decoder(Ask).decode
decode_from_node = msgspec.msgpack.Decoder(FromNode).decode
decode_taken = msgspec.msgpack.Decoder(Taken).decode


def ask_subject(department: str) -> str:
    """Return the subject on which a department's node hears of calls."""
    return f"ask.{check_department(department)}"


def answer_subject(department: str, worker: str) -> str:
    """Return the subject on which a node answers a worker of the plane."""
    if _WORKER.fullmatch(worker) is None:
        raise ValueError("not a worker")
    return f"answer.{check_department(department)}.{worker}"
