"""Calls of a department's own interface: decide, record, pass on, filter, record, answer.

Nothing is asked of the department before the call's entry is durable, and nothing of the answer leaves before
the entry about it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import msgspec

from shuqiao.plane.answers import Reply, Streamed, problem_body, recorded_reply
from shuqiao.plane.bulk.asking import (
    MAX_TRIES,
    Allowed,
    Promising,
    asked,
    decided_now,
    entry_of,
    granted,
    recorded,
)
from shuqiao.plane.bulk.links import Problem, Refuse, RefuseUnused
from shuqiao.plane.bulk.statements import Done, Statements
from shuqiao.plane.calls import Call, CallRefused, actor_of, facts_of
from shuqiao.plane.database import DatabaseUnavailable
from shuqiao.plane.interface.breaker import Breaker
from shuqiao.plane.interface.filtering import AnswerRefused, Filter
from shuqiao.plane.interface.relay import Held, Relay, RelayFailed, body_digest
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.neighbours import Neighbours
from shuqiao.plane.places import Places
from shuqiao.plane.state import Resource, Snapshot
from shuqiao.plane.under_way import UnderWay
from shuqiao.rules.errors import (
    CallError,
    InterfaceFailed,
    InterfaceResting,
    NotAvailable,
    OperationNotGranted,
    ParameterRefused,
    RequestMalformed,
    SignedCallNeeded,
    Unavailable,
)
from shuqiao.rules.exchange import Mode
from shuqiao.security.at_rest import FileRefused
from shuqiao.wire.grant import Grant
from shuqiao.wire.interface import MAX_JSON_BYTES, InterfaceSpec, Operation, parameter_fault
from shuqiao.wire.interface_messages import Ask
from shuqiao.wire.messages import CaseNumber, refusal_entry_id
from shuqiao.wire.receipt import HEADER as PROMISE_HEADER

ROUTE = re.compile(r"/v1/resources/(r[0-9]{6}[a-z2-7]{10})/interface/([A-Za-z][A-Za-z0-9_-]{0,62})", re.ASCII)
MAX_UNDER_WAY = 64
MAX_EACH = 16
"""Calls that may wait for nodes in one worker, of all departments and of the one asked."""
IDENTIFIER_CHARS = 18
"""So long are the numbers of persons and bodies, which end in a check digit."""

# Faults that tell that the interface or its node is unwell; the others are the caller's or the description's.
_UNWELL = frozenset({"unreachable", "too_slow", "busy", "unknown", "digest"})
_SERVER_FAULT = 500


class InterfaceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a call: the parameters by name, the body in JSON where the operation takes one."""

    parameters: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b"")
    case: CaseNumber = ""


DECODER = msgspec.json.Decoder(InterfaceRequest)


@dataclass(frozen=True, slots=True)
class _Decided:
    """A call that may be passed on."""

    allowed: Allowed
    spec: InterfaceSpec
    operation: Operation
    request: InterfaceRequest


def decide(call: Call, operation: str, request: InterfaceRequest, snapshot: Snapshot) -> _Decided:
    """Decide over a call; raises `CallRefused`."""
    application, resource = asked(call, snapshot, Mode.QUERY)
    facts = facts_of(call, application, Mode.QUERY)
    held = snapshot.operation_grants.get((application.department, call.resource_id), ())
    naming = [one for one in held if operation in snapshot.grants[one.id].document.operations]
    chosen = granted(call, snapshot, facts, naming or held)
    document = chosen.document
    if operation not in document.operations:
        named = ", ".join(document.operations)
        refused = OperationNotGranted(grant=document.id, operation=operation, operations=named)
        raise CallRefused(refused, document.id)
    if document.signed_calls and (call.proof is None or call.proof.session is not None):
        raise CallRefused(SignedCallNeeded(grant=document.id), document.id)
    if document.case_required and not request.case.strip():
        raise CallRefused(RequestMalformed(part="case"), document.id)
    spec = snapshot.interfaces.get(call.resource_id)
    known = spec.description.operation(operation) if spec is not None else None
    if spec is None or known is None or (known.answer is None and not _gives_all(resource, document)):
        raise CallRefused(NotAvailable(), document.id)
    fault = parameter_fault(known, request.parameters, has_body=bool(bytes(request.body)))
    if fault is not None:
        raise CallRefused(ParameterRefused(parameter=fault), document.id)
    return _Decided(Allowed(chosen, resource, snapshot), spec, known, request)


def _gives_all(resource: Resource, document: Grant) -> bool:
    """Tell whether nothing of the resource is withheld: a file can't be filtered, so it is all or nothing."""
    return all(
        item.field in document.items and (not item.masked or item.field in document.unmasked)
        for item in resource.items.values()
    )


class Interfaces:
    """A worker's part in calls of interfaces."""

    def __init__(
        self,
        relay: Relay,
        statements: Statements,
        keeper: Keeper,
        promising: Promising,
        refuse: Refuse,
        refuse_unused: RefuseUnused,
    ) -> None:
        """Keep the parts; nothing is connected yet."""
        self._relay = relay
        self._statements = statements
        self._keeper = keeper
        self._promising = promising
        self._refuse = refuse
        self.refuse_unused = refuse_unused
        self._neighbours = Neighbours()
        self._breakers: dict[str, Breaker] = {}
        # One department whose interface is slow must not take the places of all others.
        self._places = Places(MAX_UNDER_WAY, MAX_EACH)
        self._under_way = UnderWay()

    async def close(self) -> None:
        """End what is under way."""
        await self._under_way.close()
        await self._relay.close()
        await self._statements.close()

    def begin(self, call: Call, operation: str, request: InterfaceRequest, problem: Problem) -> None:
        """Work on a call whose body has come; raises `RequestMalformed` for an unprintable case."""
        if not request.case.isprintable():
            raise RequestMalformed(part="case")
        self._under_way.begin(
            self._work(call, operation, request, problem), lambda: call.answer(problem(Unavailable()))
        )

    async def _work(self, call: Call, operation: str, request: InterfaceRequest, problem: Problem) -> None:
        try:
            call.answer(await self._answered(call, operation, request))  # type: ignore[arg-type]  # or streamed
        except CallRefused as refused:
            self._refuse(call, refused, call.entry)
        except CallError as error:
            call.answer(problem(error))
        except (DatabaseUnavailable, FileRefused, OSError):
            call.answer(problem(Unavailable()))

    async def _answered(self, call: Call, operation: str, request: InterfaceRequest) -> Reply | Streamed:
        decided = await decided_now(self._keeper, partial(decide, call, operation, request))
        with self._places.held(decided.allowed.resource.department):
            decided = await self._recorded(call, operation, request)
            return await self._asked(call, decided, request)

    async def _recorded(self, call: Call, operation: str, request: InterfaceRequest) -> _Decided:
        """Write the entry that goes before the call; of another epoch, decide again."""
        is_near = self._is_near(call, operation, request)
        decided: list[_Decided] = []

        def decide_now(snapshot: Snapshot) -> Allowed:
            decided.append(decide(call, operation, request, snapshot))
            return decided[-1].allowed

        async def record(allowed: Allowed) -> Done:
            line = entry_of(call, "interface_called", "asked", allowed, request.case, near=is_near)
            return await self._statements.call_interface(
                allowed.snapshot.epoch,
                call.entry,
                call.at,
                call.application.department,
                actor_of(call),
                allowed.held.document.id,
                call.resource_id,
                operation,
                request.case or None,
                line,
            )

        await recorded(self._keeper, decide_now, record)
        return decided[-1]

    def _is_near(self, call: Call, operation: str, request: InterfaceRequest) -> bool:
        """Tell whether a number that names a record lies beside one that was asked for shortly before.

        Only what a call can't be without names a record: a page of a list is counted up by everybody.
        """
        spec = self._keeper.current.interfaces.get(call.resource_id)
        known = spec.description.operation(operation) if spec is not None else None
        near = False
        for one in known.parameters if known is not None else ():
            value = request.parameters.get(one.name)
            if value and one.is_required and not one.values:
                kind = "citizen_id" if len(value) == IDENTIFIER_CHARS else "plain"
                place = f"{call.resource_id}/{operation}/{one.name}"
                near |= self._neighbours.is_near(call.application.id, place, kind, value)
        return near

    async def _asked(self, call: Call, decided: _Decided, request: InterfaceRequest) -> Reply | Streamed:
        limits = decided.spec.limits
        known = self._breakers.get(call.resource_id)
        if known is None or (known.failures, known.rest_s) != (limits.failures, limits.rest_s):
            known = self._breakers[call.resource_id] = Breaker(limits.failures, limits.rest_s)
        rest_s = known.enter(time.monotonic())
        if rest_s is not None:
            return await self._failed(
                call, decided, InterfaceResting(rest_s=max(1, round(rest_s))), "resting"
            )
        try:
            held = await self._passed_on(call, decided, request)
        except RelayFailed as failed:
            if failed.fault in _UNWELL or failed.status >= _SERVER_FAULT:
                known.failed(time.monotonic())
            else:
                known.succeeded()
            reason = f"{failed.fault} {failed.status}" if failed.status else failed.fault
            return await self._failed(
                call, decided, InterfaceFailed(reason=reason), failed.fault, failed.status
            )
        except BaseException:
            known.given_up()
            raise
        known.succeeded()
        try:
            return await self._given(call, decided, held)
        except CallRefused as refused:
            return await self._failed(call, decided, refused.error, "ended")

    async def _passed_on(self, call: Call, decided: _Decided, request: InterfaceRequest) -> Held:
        limits, body = decided.spec.limits, bytes(request.body)
        document = decided.allowed.held.document
        is_json = decided.operation.answer is not None
        ask = Ask(
            call.entry.hex,
            self._relay.worker,
            call.resource_id,
            decided.operation.id,
            request.parameters,
            decided.allowed.resource.department,
            call.application.id,
            document.id,
            bool(body),
            len(body),
            body_digest(body),
            limits.timeout_s,
            min(limits.max_answer_bytes, MAX_JSON_BYTES) if is_json else limits.max_answer_bytes,
        )
        held = await self._relay.pass_on(ask, body)
        if held.media_type.partition(";")[0].strip().lower() != decided.operation.answer_type:
            held.remove()
            raise RelayFailed("wrong_type")
        return held

    async def _given(self, call: Call, decided: _Decided, held: Held) -> Reply | Streamed:
        if decided.operation.answer is not None:
            return await self._filtered(call, decided, held)
        seen = {"bytes": held.size_bytes, "answer": held.digest, "file": True}
        try:
            promise = await self._end(call, decided, "answered", seen, bytes.fromhex(held.digest))
        except BaseException:
            held.remove()
            raise
        headers = (
            f"content-type: {decided.operation.answer_type}\r\ncache-control: no-store\r\n"
            "x-content-type-options: nosniff\r\ncontent-disposition: attachment\r\n"
            f"{PROMISE_HEADER}: {promise}\r\n"
        )
        return Streamed(200, headers, held.size_bytes, _sent(held))

    async def _filtered(self, call: Call, decided: _Decided, held: Held) -> Reply:
        document, shape = decided.allowed.held.document, decided.operation.answer
        kept = Filter(frozenset(document.items), frozenset(document.unmasked), decided.allowed.resource.items)
        try:
            if shape is None:
                raise AnswerRefused("no shape")
            content = await asyncio.to_thread(lambda: kept.apply(shape, b"".join(held.pieces())))
        except AnswerRefused:
            return await self._failed(call, decided, InterfaceFailed(reason="wrong_shape"), "wrong_shape")
        finally:
            held.remove()
        digest = hashlib.sha256(content).digest()
        seen = {
            "bytes": len(content),
            "answer": digest.hex(),
            "given": sorted(kept.given),
            "masked": sorted(kept.masked),
        }
        promise = await self._end(call, decided, "answered", seen, digest)
        return recorded_reply(200, content, call.language, promise)

    async def _failed(
        self, call: Call, decided: _Decided, error: CallError, fault: str, status: int = 0
    ) -> Reply:
        citations = decided.allowed.snapshot.citations
        body = problem_body(error, call.language, citations)
        seen = {"fault": fault, "status": status}
        promise = await self._end(call, decided, error.code, seen, hashlib.sha256(body).digest())
        reply = recorded_reply(error.status, body, call.language, promise)
        if isinstance(error, InterfaceResting):
            return _with_headers(reply, f"retry-after: {error.fields['rest_s']}\r\n")
        return reply

    async def _end(
        self, call: Call, decided: _Decided, outcome: str, seen: dict[str, object], answer: bytes
    ) -> str:
        """Record how the call ended and promise it; raises where that can't be recorded."""
        at = datetime.now(UTC)
        # A call ends once: the id of its end follows from its own.
        entry = refusal_entry_id(call.entry, "interface_answered")
        ended = replace(call, entry=entry, at=at, proof=None)
        case = decided.request.case
        line = entry_of(ended, "interface_answered", outcome, decided.allowed, case, asked=call.entry)
        epoch = decided.allowed.snapshot.epoch
        for _ in range(MAX_TRIES):
            done = await self._statements.end_interface_call(
                epoch,
                entry,
                at,
                call.entry,
                outcome,
                call.application.id,
                decided.operation.id,
                line,
                msgspec.json.encode(seen).decode(),
            )
            if done.outcome == "done" and done.digest is not None:
                return self._promising.header(entry, done.digest, answer)
            if done.outcome != "stale":
                break
            await self._keeper.refresh(done.epoch)
            epoch = self._check_still(call, decided)
        raise DatabaseUnavailable("the end of a call was not recorded")

    def _check_still(self, call: Call, decided: _Decided) -> int:
        """Return the epoch in which the same grant covers the call as before; raises `CallRefused`."""
        again = decide(call, decided.operation.id, decided.request, self._keeper.current)
        if again.allowed.held.document != decided.allowed.held.document:
            raise CallRefused(NotAvailable(), decided.allowed.held.document.id)
        return again.allowed.snapshot.epoch


def _with_headers(reply: Reply, more: str) -> Reply:
    """Add header lines to a reply."""
    return reply._replace(headers=reply.headers + more)


async def _sent(held: Held) -> AsyncIterator[bytes]:
    """Give a file piece by piece as it is taken, and remove it whatever happens."""
    pieces = held.pieces()
    try:
        while True:
            piece = await asyncio.to_thread(next, pieces, None)
            if piece is None:
                return
            yield piece
    finally:
        held.remove()
