"""How a call on data that stay with a department ends: what is answered, and what of it the log keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from shuqiao.plane.answers import problem_body
from shuqiao.plane.calls import Call, Granted
from shuqiao.rules.errors import (
    CallError,
    CaseNumberDemanded,
    GrantNotConfirmed,
    NodeRefused,
    NotAvailable,
)
from shuqiao.rules.exchange import Mode
from shuqiao.wire.held import HeldAnswer
from shuqiao.wire.messages import QueryAnswer, VerifyAnswer

_result_decoder = msgspec.json.Decoder(bool | dict[str, bool])
_data_decoder = msgspec.json.Decoder(dict[str, str | None] | None)
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class End:
    """How a call ended. `is_given` tells that the node answered it, be it that nothing is there."""

    status: int
    body: bytes
    outcome: str
    seen: Mapping[str, object]
    is_given: bool = False
    again_s: int = 0


def failed(error: CallError, language: str, citations: Mapping[str, str], seen: Mapping[str, object]) -> End:
    """End a call without an answer."""
    return End(error.status, problem_body(error, language, citations), error.code, seen)


def told(call: Call, granted: Granted, answer: HeldAnswer, citations: Mapping[str, str]) -> End:
    """Word what the node said; only what the grant covers is taken for an answer."""
    line = {"line": answer.line, "line_digest": answer.digest.hex()}
    if answer.outcome == "unconfirmed":
        error: CallError = GrantNotConfirmed(grant=granted.grant.document.id)
        return failed(error, call.language, citations, {"fault": "unconfirmed", **line})
    if answer.outcome != "answered":
        error = NodeRefused(reason=answer.outcome)
        return failed(error, call.language, citations, {"fault": answer.outcome, **line})
    if answer.budget > 1:
        body = problem_body(CaseNumberDemanded(), call.language, {})
        return End(CaseNumberDemanded.status, body, CaseNumberDemanded.code, {"budget": 2, **line}, True)
    # The platform keeps whether a record was found; how each claim compared only the node knows.
    seen: dict[str, object] = {"found": answer.found, "budget": answer.budget, **line}
    try:
        body_or_none = (_verified if call.mode is Mode.VERIFY else _queried)(call, granted, answer)
    except msgspec.MsgspecError:
        return failed(NodeRefused(reason="result"), call.language, citations, {"fault": "result", **line})
    if body_or_none is None:
        # The same text as for everything that is not there.
        absent = problem_body(NotAvailable(), call.language, {})
        return End(NotAvailable.status, absent, "answered", seen, True)
    return End(200, body_or_none, "answered", seen, True)


def _verified(call: Call, granted: Granted, answer: HeldAnswer) -> bytes:
    """Word a comparison; a `msgspec.MsgspecError` where it isn't one of this grant's."""
    result = _result_decoder.decode(answer.result)
    is_all = granted.grant.document.match == "all"
    if isinstance(result, bool) != is_all or not (is_all or set(result) == set(granted.fields)):
        raise msgspec.ValidationError("not the granted items")
    return _encoder.encode(VerifyAnswer(result, call.entry, call.at))


def _queried(call: Call, granted: Granted, answer: HeldAnswer) -> bytes | None:
    data = _data_decoder.decode(answer.result)
    if (data is None) == answer.found or not (data is None or set(data) == set(granted.fields)):
        raise msgspec.ValidationError("not the granted items")
    if data is None:
        return None
    return _encoder.encode(QueryAnswer(data, call.entry, call.at, granted.masked))
