"""What plane and node say to each other about a call on data that stay with the department, over NATS.

The plane publishes a `HeldAsk` to the department's subject: the signed request as its sender signed it, the
sender's certificate and the signed grant. The node brings one signed answer to the worker that asked.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

import msgspec

from shuqiao.security import keys
from shuqiao.wire.interface_messages import CallId
from shuqiao.wire.node_signed import NotTheNodes, content_of, sign_content, split
from shuqiao.wire.subjects import check_department, check_resource

MAX_BODY_BYTES = 256 * 1024
MAX_RESULT_BYTES = 512 * 1024
MAX_REPORT_LINES = 8_000
_DIGEST_BYTES = 32
_ID_BYTES = 16
_ANSWER_LABEL = b"shuqiao-held-answer-v1\n"
_REPORT_LABEL = b"shuqiao-held-report-v1\n"

Refusal = Literal[
    "busy", "certificate", "digest", "grant", "malformed", "not_granted", "replayed", "signature", "source",
    "stale", "too_large", "unconfirmed", "unknown",
]  # fmt: skip
"""Why a node gives no answer. `grant` is one that is not the platform's, `unconfirmed` one that the
department did not confirm or has withdrawn, `too_large` a result above `MAX_RESULT_BYTES`."""


class HeldAsk(msgspec.Struct, frozen=True, array_like=True):
    """A call as its application signed it; `covered` is `RequestSignature.covered`.

    `grant` is the document word for word. `answer_to` is the worker whose subject takes the answer.
    """

    call: CallId
    answer_to: CallId
    department: str
    resource: str
    covered: Annotated[str, msgspec.Meta(max_length=16 * 1024)]
    signature: Annotated[bytes, msgspec.Meta(max_length=64)]
    body: Annotated[bytes, msgspec.Meta(max_length=MAX_BODY_BYTES)]
    certificate: Annotated[bytes, msgspec.Meta(max_length=16 * 1024)]
    grant: Annotated[str, msgspec.Meta(max_length=128 * 1024)]
    grant_signature: Annotated[bytes, msgspec.Meta(max_length=64)]
    grant_key: str
    timeout_s: float


class HeldAnswer(msgspec.Struct, frozen=True, array_like=True):
    """What a node answers. `result` is JSON: one word or a word per item (verify), values or null (query).

    `budget` is as in `exchange.read_<resource>`; `line` and `digest` name the line of the node's log, which
    was on its disk before.
    """

    call: CallId
    outcome: Literal["answered"] | Refusal
    found: bool = False
    budget: Literal[0, 1, 2] = 0
    result: Annotated[bytes, msgspec.Meta(max_length=MAX_RESULT_BYTES)] = b"null"
    line: int = 0
    digest: Annotated[bytes, msgspec.Meta(max_length=_DIGEST_BYTES)] = b""


class Report(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of a node's log about one resource: which calls it answered, those of `since` up to `until`.

    Times are those that the calls' signatures name. `calls` holds 16 bytes for each answered call, `digests`
    the 32 bytes of its line, in one order; `line` and `head` are the number and digest of the last line of
    the log.
    """

    department: str
    resource: str
    since: datetime
    until: datetime
    calls: Annotated[bytes, msgspec.Meta(max_length=_ID_BYTES * MAX_REPORT_LINES)]
    digests: Annotated[bytes, msgspec.Meta(max_length=_DIGEST_BYTES * MAX_REPORT_LINES)]
    line: int
    head: Annotated[bytes, msgspec.Meta(max_length=_DIGEST_BYTES)]


class Compared(msgspec.Struct, frozen=True, array_like=True):
    """The hub's word about a report: how many calls the two logs tell differently."""

    differences: int


class Answered(NamedTuple):
    """An answered call of a report: its id, and the digest of its line."""

    call: bytes
    digest: bytes


encode = msgspec.msgpack.Encoder().encode
decode_ask = msgspec.msgpack.Decoder(HeldAsk).decode
decode_compared = msgspec.msgpack.Decoder(Compared).decode
_answer_decoder = msgspec.msgpack.Decoder(HeldAnswer)
_report_decoder = msgspec.msgpack.Decoder(Report)


def held_subject(department: str) -> str:
    """Return the subject on which a department's node hears of calls on what it keeps."""
    return f"held.{check_department(department)}"


def report_subject(department: str, resource: str) -> str:
    """Return the subject to which a node brings its log."""
    return f"reports.{check_department(department)}.{check_resource(resource)}"


def sign_answer(answer: HeldAnswer, key: keys.SigningKey) -> bytes:
    """Encode and sign an answer."""
    return sign_content(_ANSWER_LABEL, encode(answer), key)


def sign_report(report: Report, key: keys.SigningKey) -> bytes:
    """Encode and sign a report."""
    return sign_content(_REPORT_LABEL, encode(report), key)


def peek_call(message: bytes) -> str:
    """Read which call an answer says it is about, before anything of it is believed; raises `NotTheNodes`."""
    try:
        return _answer_decoder.decode(split(message).content).call
    except msgspec.MsgspecError:
        raise NotTheNodes("unreadable") from None


def read_answer(message: bytes, key: keys.PublicKey) -> HeldAnswer:
    """Check and read an answer; raises `NotTheNodes`."""
    try:
        return _answer_decoder.decode(content_of(_ANSWER_LABEL, message, key))
    except msgspec.MsgspecError:
        raise NotTheNodes("unreadable") from None


def read_report(message: bytes, key: keys.PublicKey) -> Report:
    """Check and read a report; raises `NotTheNodes`."""
    try:
        report = _report_decoder.decode(content_of(_REPORT_LABEL, message, key))
    except msgspec.MsgspecError:
        raise NotTheNodes("unreadable") from None
    lines, rest = divmod(len(report.calls), _ID_BYTES)
    if rest or len(report.digests) != _DIGEST_BYTES * lines:
        raise NotTheNodes("calls and lines don't match")
    return report


def answered_of(report: Report) -> list[Answered]:
    """Give the calls of a report one by one."""
    return [
        Answered(
            report.calls[_ID_BYTES * place : _ID_BYTES * (place + 1)],
            report.digests[_DIGEST_BYTES * place : _DIGEST_BYTES * (place + 1)],
        )
        for place in range(len(report.calls) // _ID_BYTES)
    ]


def line_digest(before: bytes, body: bytes) -> bytes:
    """Chain a line of a node's log to the one before; the first one follows 32 zero bytes."""
    return hashlib.sha256(before + body).digest()
