"""Calls on data that stay with a department: decide, record, let its node answer, record, answer.

The node checks the signed request and the grant itself; what is decided here is decided as for every other
call, so that its node is asked nothing that no grant covers. Nothing of its answer leaves before the entry.
Source: shenyang-2016 art. 16; our choice, decision "data that stay with the department".
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from shuqiao.plane.answers import Reply, problem_reply, recorded_reply
from shuqiao.plane.body import decode_body
from shuqiao.plane.bulk.asking import Promising, decided_now
from shuqiao.plane.bulk.links import Refuse, RefuseUnused
from shuqiao.plane.bulk.statements import Done
from shuqiao.plane.calls import Call, CallRefused, Granted, decide, entry_text
from shuqiao.plane.database import DatabaseUnavailable
from shuqiao.plane.held.ending import End, failed, told
from shuqiao.plane.held.link import LinkDown, NodeLink
from shuqiao.plane.held.statements import AskedNode, HeldStatements
from shuqiao.plane.interface.breaker import Breaker
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.neighbours import Neighbours
from shuqiao.plane.operations import query, verify
from shuqiao.plane.places import Places
from shuqiao.plane.under_way import UnderWay
from shuqiao.rules.errors import (
    CallError,
    DigestMismatch,
    NodeAway,
    NodeRefused,
    NodeSilent,
    NotAvailable,
    OneSubjectOnly,
    RequestMalformed,
    SignatureReplayed,
    SignedCallNeeded,
    Unavailable,
)
from shuqiao.rules.exchange import Mode
from shuqiao.security import keys
from shuqiao.security.http_signatures import RequestSignature, is_digest_of
from shuqiao.wire.held import MAX_BODY_BYTES, HeldAsk
from shuqiao.wire.messages import (
    CallEntry,
    QueryRequest,
    VerifyRequest,
    refusal_entry_id,
)

MAX_UNDER_WAY = 64
MAX_EACH = 16
"""Calls that may wait for nodes in one worker, of all departments and of the one asked."""
FAILURES = 3
MAX_TRIES = 4
_DECODERS: dict[str, msgspec.json.Decoder[VerifyRequest | QueryRequest]] = {
    "verify": msgspec.json.Decoder(VerifyRequest),
    "query": msgspec.json.Decoder(QueryRequest),
}
_encoder = msgspec.json.Encoder()
_entry_decoder = msgspec.json.Decoder(CallEntry)


class HeldSigned(NamedTuple):
    """What a call brings that its node must see: the signature over the head, and the body."""

    signature: RequestSignature
    body: bytes


class HeldBody:
    """Waits for the body of a call whose head is in order."""

    def __init__(self, held: HeldCalls, call: Call, signature: RequestSignature, operation: str) -> None:
        """Keep what is there."""
        self._held = held
        self._call = call
        self._signature = signature
        self._operation = operation

    def arrived(self, body: bytes) -> None:
        """Complete the call."""
        call = self._call
        if not is_digest_of(self._signature.content_digest, body):
            self.broken(DigestMismatch())
            return
        try:
            decoder = _DECODERS.get(self._operation)
            if decoder is None:
                raise OneSubjectOnly
            if len(body) > MAX_BODY_BYTES:
                raise RequestMalformed(part="claims")
            request = decode_body(decoder, body)
            if not request.case.isprintable():
                raise RequestMalformed(part="case")
        except CallError as error:
            self._held.refuse(call, CallRefused(error), call.entry)
            return
        call.request = request
        self._held.begin(call, HeldSigned(self._signature, body))

    def broken(self, error: CallError) -> None:
        """Refuse the call without using its signature up."""
        self._held.refuse_unused(self._call, error)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that was recorded: under which grant, and what its node needs."""

    granted: Granted
    row: AskedNode
    near: bool


class HeldCalls:
    """A worker's part in calls on data that stay with a department."""

    def __init__(
        self,
        link: NodeLink,
        statements: HeldStatements,
        keeper: Keeper,
        promising: Promising,
        refuse: Refuse,
        refuse_unused: RefuseUnused,
        timeout_s: float,
        guess_delay_s: float,
    ) -> None:
        """Keep the parts; nothing is connected yet."""
        self._link = link
        self._statements = statements
        self._keeper = keeper
        self._promising = promising
        self.refuse = refuse
        self.refuse_unused = refuse_unused
        self._timeout_s = timeout_s
        self._guess_delay_s = guess_delay_s
        self._neighbours = Neighbours()
        self._breakers: dict[str, Breaker] = {}
        self._places = Places(MAX_UNDER_WAY, MAX_EACH)
        self._under_way = UnderWay()

    def keeps(self, resource_id: str) -> bool:
        """Tell whether the records of a resource stay with its department."""
        resource = self._keeper.current.resources.get(resource_id)
        return resource is not None and resource.is_held

    async def close(self) -> None:
        """End what is under way."""
        await self._under_way.close()
        await self._link.close()
        await self._statements.close()

    def begin(self, call: Call, signed: HeldSigned) -> None:
        """Work on a call whose body has come; it is answered in the end, whatever happens."""
        self._under_way.begin(
            self._work(call, signed), lambda: call.answer(self._problem(call, Unavailable()))
        )

    async def _work(self, call: Call, signed: HeldSigned) -> None:
        try:
            call.answer(await self._answered(call, signed))
        except CallRefused as refused:
            is_replay = isinstance(refused.error, SignatureReplayed)
            self.refuse(
                call, refused, refusal_entry_id(call.entry, refused.error.code) if is_replay else call.entry
            )
        except CallError as error:
            call.answer(self._problem(call, error))
        except (DatabaseUnavailable, keys.KeyRefusedError):
            call.answer(self._problem(call, Unavailable()))

    def _problem(self, call: Call, error: CallError) -> Reply:
        return problem_reply(error, call.language, self._keeper.current.citations)

    async def _answered(self, call: Call, signed: HeldSigned) -> Reply:
        # Refused calls don't take a place, and a replayed one is found before the node hears of it.
        granted = await decided_now(self._keeper, lambda _: self._decided(call))
        with self._places.held(granted.resource.department):
            asked = await self._recorded(call)
            end = await self._asked(call, signed, asked)
        return await self._ended(call, asked, end)

    def _decided(self, call: Call) -> Granted:
        """Decide over a call as over every other one; raises `CallRefused`."""
        granted = decide(call, self._keeper.current)
        document = granted.grant.document
        if call.proof is None or call.proof.session is not None:
            # The platform knows the secret of a session: such a call proves nothing to the node.
            raise CallRefused(SignedCallNeeded(grant=document.id), document.id)
        try:
            (verify.prepare if call.mode is Mode.VERIFY else query.prepare)(call, granted)
        except CallError as error:
            raise CallRefused(error, document.id) from None
        return granted

    async def _recorded(self, call: Call) -> _Asked:
        """Write the entry that goes before the call; of another epoch, decide again."""
        for _ in range(MAX_TRIES):
            epoch = self._keeper.current.epoch
            granted = await decided_now(self._keeper, lambda _: self._decided(call))
            entry = refusal_entry_id(call.entry, "held_asked")
            said = _entry(call, granted, entry, ("held_asked", "asked"))
            row = await self._statements.ask_node(
                epoch,
                entry,
                call.entry,
                call.at,
                call.application.department,
                said.actor,
                granted.grant.document.id,
                call.resource_id,
                call.application.key_id,
                said.case or None,
                _encoder.encode(said).decode(),
            )
            match row.outcome:
                case "done":
                    return _Asked(granted, row, self._is_near(call, granted))
                case "stale":
                    await self._keeper.refresh(row.epoch)
                case _:
                    raise CallRefused(SignatureReplayed(), granted.grant.document.id)
        raise Unavailable

    def _is_near(self, call: Call, granted: Granted) -> bool:
        request = call.request
        if not isinstance(request, VerifyRequest | QueryRequest):
            return False
        kind = granted.resource.record_key.kind
        return self._neighbours.is_near(call.application.id, call.resource_id, kind, request.subject)

    async def _asked(self, call: Call, signed: HeldSigned, asked: _Asked) -> End:
        """Let the node answer; a node that was silent several times in a row is left alone for a while."""
        granted = asked.granted
        department = granted.resource.department
        rest_s = 4 * self._timeout_s
        known = self._breakers.setdefault(department, Breaker(FAILURES, rest_s))
        left_s = known.enter(time.monotonic())
        if left_s is not None:
            return self._failed(
                call, NodeAway(seconds=max(1, round(left_s))), "resting", max(1, round(left_s))
            )
        if asked.row.certificate is None or asked.row.node_key is None:
            known.given_up()
            return self._failed(call, NodeRefused(reason="certificate"), "certificate")
        try:
            answer = await self._link.ask(
                self._message(call, signed, asked), keys.load_public_der(asked.row.node_key)
            )
        except TimeoutError:
            known.failed(time.monotonic())
            return self._failed(call, NodeSilent(seconds=f"{self._timeout_s:g}"), "silent")
        except LinkDown:
            # The platform's own fault: the department is asked again as soon as the link is back.
            known.given_up()
            return self._failed(call, NodeAway(seconds=max(1, round(rest_s))), "away", max(1, round(rest_s)))
        except BaseException:
            known.given_up()
            raise
        known.succeeded()
        return told(call, asked.granted, answer, self._keeper.current.citations)

    def _message(self, call: Call, signed: HeldSigned, asked: _Asked) -> HeldAsk:
        document, signature, key_id = asked.granted.grant.checked
        return HeldAsk(
            call.entry.hex,
            self._link.worker,
            asked.granted.resource.department,
            call.resource_id,
            signed.signature.covered,
            signed.signature.signature,
            signed.body,
            asked.row.certificate or b"",
            document,
            signature,
            key_id,
            self._timeout_s,
        )

    def _failed(self, call: Call, error: CallError, fault: str, again_s: int = 0) -> End:
        ended = failed(error, call.language, self._keeper.current.citations, {"fault": fault})
        return replace(ended, again_s=again_s)

    async def _ended(self, call: Call, asked: _Asked, end: End) -> Reply:
        """Record how the call ended, promise it and answer; raises where that can't be recorded."""
        end, done = await self._end_recorded(call, asked, end)
        if done.digest is None:
            raise DatabaseUnavailable("the end of a call was not recorded")
        if end.seen.get("budget"):
            await asyncio.sleep(self._guess_delay_s)
        promise = self._promising.header(call.entry, done.digest, hashlib.sha256(end.body).digest())
        reply = recorded_reply(end.status, end.body, call.language, promise)
        if end.again_s:
            return reply._replace(headers=f"{reply.headers}retry-after: {end.again_s}\r\n")
        return reply

    async def _end_recorded(self, call: Call, asked: _Asked, end: End) -> tuple[End, Done]:
        """Write the entry of the end; of another epoch, only what is granted still is given."""
        epoch = asked.row.epoch
        for _ in range(MAX_TRIES):
            event = call.mode.value if end.is_given else "call_refused"
            ended = replace(call, at=datetime.now(UTC))
            said = _entry(ended, asked.granted, call.entry, (event, end.outcome), near=asked.near)
            done = await self._statements.end_node_call(
                epoch,
                call.entry,
                ended.at,
                refusal_entry_id(call.entry, "held_asked"),
                event,
                end.outcome,
                _encoder.encode(said).decode(),
                _encoder.encode(end.seen).decode(),
            )
            if done.outcome != "stale":
                return end, done
            await self._keeper.refresh(done.epoch)
            epoch = self._keeper.current.epoch
            end = self._still(call, asked, end)
        raise Unavailable

    def _still(self, call: Call, asked: _Asked, end: End) -> End:
        """Return the answer where the same grant still covers it, else that it is refused."""
        try:
            document = self._decided(call).grant.document
        except CallRefused as refused:
            return self._failed(call, refused.error, "ended")
        return (
            end if document == asked.granted.grant.document else self._failed(call, NotAvailable(), "changed")
        )


def _entry(
    call: Call, granted: Granted, entry: UUID, ended: tuple[str, str], *, near: bool = False
) -> CallEntry:
    """Write the plane's line of an entry; `ended` are event and outcome."""
    said = _entry_decoder.decode(entry_text(call, granted, entry, 0, 0, near=near))
    return msgspec.structs.replace(said, event=ended[0], outcome=ended[1])
