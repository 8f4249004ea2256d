"""Test calls: signed and decided like real ones, answered with invented values.

No database, vault or node is asked, nothing of a person is touched and nothing is recorded, so an answer here
carries no promise. A header marks every answer.
Source: guangzhou-2016 art. 49¶2; our choice, decision "proxied interfaces"; MOD-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from shuqiao.plane.answers import JSON_TYPE, Reply
from shuqiao.plane.body import decode_body
from shuqiao.plane.calls import Call, CallRefused, Granted
from shuqiao.plane.calls import decide as decide_keyed
from shuqiao.plane.interface.filtering import Filter
from shuqiao.plane.interface.serving import InterfaceRequest
from shuqiao.plane.interface.serving import decide as decide_interface
from shuqiao.plane.keeper import Keeper
from shuqiao.rules.errors import CallError, DigestMismatch, NotAvailable
from shuqiao.rules.exchange import Match, Mode
from shuqiao.rules.masking import mask
from shuqiao.security.http_signatures import is_digest_of
from shuqiao.wire.interface import sample_of
from shuqiao.wire.messages import QueryAnswer, QueryRequest, VerifyAnswer, VerifyRequest
from shuqiao.wire.schemas import ItemSpec

ROUTE = re.compile(
    r"/v1/sandbox/resources/([A-Za-z0-9_-]{1,64})/(?:(verify|query)|interface/([A-Za-z][A-Za-z0-9_-]{0,62}))",
    re.ASCII,
)
UNKNOWN_SUBJECT = "sample-unknown"
"""A subject that no sample record has; every other one has the same record."""

HEADER = "shuqiao-sandbox: sample"
NO_ENTRY = UUID(int=0)
_verify = msgspec.json.Decoder(VerifyRequest)
_query = msgspec.json.Decoder(QueryRequest)
_interface = msgspec.json.Decoder(InterfaceRequest)
Problem = Callable[[CallError], Reply]


class SandboxBody:
    """Waits for the body of a test call; `operation` is that of an interface, or empty."""

    __slots__ = ("_call", "_digest", "_keeper", "_operation", "_problem")

    def __init__(self, keeper: Keeper, call: Call, operation: str, digest: str, problem: Problem) -> None:
        self._keeper = keeper
        self._call = call
        self._operation = operation
        self._digest = digest
        self._problem = problem

    def arrived(self, body: bytes) -> None:
        """Answer with samples, or refuse as the real call would be."""
        try:
            if not is_digest_of(self._digest, body):
                raise DigestMismatch()
            content = self._interface(body) if self._operation else self._keyed(body)
        except CallRefused as refused:
            self.broken(refused.error)
        except CallError as error:
            self.broken(error)
        else:
            headers = f"content-type: {JSON_TYPE}\r\ncache-control: no-store\r\n{HEADER}\r\n"
            self._call.answer(Reply(200, headers, content))

    def broken(self, error: CallError) -> None:
        """Refuse; test calls are not recorded."""
        reply = self._problem(error)
        self._call.answer(reply._replace(headers=f"{reply.headers}{HEADER}\r\n"))

    def _keyed(self, body: bytes) -> bytes:
        call = self._call
        if call.mode is Mode.VERIFY:
            claimed = call.request = decode_body(_verify, body)
            return msgspec.json.encode(_compared(claimed, decide_keyed(call, self._keeper.current)))
        request = call.request = decode_body(_query, body)
        granted = decide_keyed(call, self._keeper.current)
        if request.subject == UNKNOWN_SUBJECT:
            raise NotAvailable()
        return msgspec.json.encode(_read(granted))

    def _interface(self, body: bytes) -> bytes:
        request = decode_body(_interface, body)
        decided = decide_interface(self._call, self._operation, request, self._keeper.current)
        shape, document = decided.operation.answer, decided.allowed.held.document
        if shape is None:
            # There is no sample of a file that somebody else makes.
            raise NotAvailable()
        kept = Filter(frozenset(document.items), frozenset(document.unmasked), decided.allowed.resource.items)
        return kept.apply(shape, msgspec.json.encode(sample_of(shape)))


def sample_value(item: ItemSpec) -> str | None:
    """Invent the value of an item; numbers of persons and bodies are such that nobody can have."""
    if item.type == "image":
        return None
    if item.codes:
        return item.codes[0]
    if item.type == "code":
        return "1"
    if item.type == "date":
        return "2026-01-01"
    if item.type == "datetime":
        return "2026-01-01T00:00:00Z"
    return {"citizen_id": "0" * 18, "credit_code": "0" * 18, "contact": "10000000000"}.get(
        item.kind, f"样例{item.zh}"
    )


def _compared(request: VerifyRequest, granted: Granted) -> VerifyAnswer:
    items = granted.resource.items
    is_there = request.subject != UNKNOWN_SUBJECT
    result = {name: is_there and value == sample_value(items[name]) for name, value in request.claims.items()}
    is_whole = granted.grant.facts.match is Match.ALL
    return VerifyAnswer(all(result.values()) if is_whole else result, NO_ENTRY, datetime.now(UTC))


def _read(granted: Granted) -> QueryAnswer:
    items, masked, tokens = granted.resource.items, granted.masked, granted.tokens
    data = {}
    for name in granted.fields:
        value = sample_value(items[name])
        if name in tokens:
            value = "sample-token"
        elif name in masked:
            value = mask(items[name].kind, value)
        data[name] = value
    return QueryAnswer(data, NO_ENTRY, datetime.now(UTC), masked, tokens)
