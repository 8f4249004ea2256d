"""What every request about copies has in common: who asks, the decision over it, and its recorded answer."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shuqiao.plane.answers import Reply, answer_reply, recorded_reply
from shuqiao.plane.bulk.statements import Done
from shuqiao.plane.calls import Call, CallRefused, actor_of, facts_of, refused_by
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.state import Application, HeldGrant, Resource, Snapshot
from shuqiao.rules.channels import ON_PAGES
from shuqiao.rules.errors import (
    BulkBusy,
    FeedRests,
    NotAvailable,
    PagesOnly,
    RequestMalformed,
    SignatureReplayed,
    Unavailable,
)
from shuqiao.rules.exchange import CallFacts, Channel, GrantFacts, Mode, Refused, decide_call
from shuqiao.security import keys
from shuqiao.wire.grant import Grant
from shuqiao.wire.messages import CallEntry
from shuqiao.wire.receipt import encode_promise, make_promises

T = TypeVar("T")

MAX_TRIES = 4
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Allowed:
    """The request may be answered under this grant, decided on this snapshot."""

    held: HeldGrant
    resource: Resource
    snapshot: Snapshot


def decide(call: Call, snapshot: Snapshot, channel: str, case: str = "") -> Allowed:
    """Decide over a request for a copy; raises `CallRefused`."""
    application, resource = asked(call, snapshot, Mode.BULK)
    facts = facts_of(call, application, Mode.BULK, Channel(channel))
    held = snapshot.grants_of.get((application.department, call.resource_id), ())
    chosen = granted(call, snapshot, facts, held)
    check_use(call, application, chosen.document, channel, case)
    return Allowed(chosen, resource, snapshot)


def asked(call: Call, snapshot: Snapshot, mode: Mode) -> tuple[Application, Resource]:
    """Give who asks, and for what; raises `CallRefused` where the snapshot has either no longer."""
    application = snapshot.applications.get(call.application.id)
    resource = snapshot.resources.get(call.resource_id)
    if application is None or application.key_id != call.application.key_id or resource is None:
        raise CallRefused(NotAvailable())
    if mode.value not in resource.modes:
        raise CallRefused(NotAvailable())
    return application, resource


def granted(call: Call, snapshot: Snapshot, facts: CallFacts, held: Sequence[GrantFacts]) -> HeldGrant:
    """Give the grant that covers what is asked; raises `CallRefused` where none does."""
    decision = decide_call(facts, held, call.at)
    if isinstance(decision, Refused):
        raise refused_by(decision)
    return snapshot.grants[decision.grant.id]


def check_use(call: Call, application: Application, document: Grant, channel: str, case: str) -> None:
    """Refuse a way or a missing case that the grant does not allow; raises `CallRefused`."""
    if channel in ON_PAGES and not (application.is_portal and call.context.end_user):
        raise CallRefused(PagesOnly(grant=document.id, channel=channel), document.id)
    if document.case_required and not case.strip():
        raise CallRefused(RequestMalformed(part="case"), document.id)


def entry_of(
    call: Call,
    event: str,
    outcome: str,
    allowed: Allowed,
    case: str = "",
    *,
    near: bool = False,
    asked: UUID | None = None,
    recipient: bytes | None = None,
) -> str:
    """Write the plane's line of an entry.

    `asked` is the entry of the signed request it follows from, `recipient` the key to which a copy is sealed.
    """
    document = allowed.held.document
    proof = {} if call.proof is None else call.proof._asdict()
    entry = CallEntry(
        event=event,
        id=call.entry,
        at=call.at,
        department=call.application.department,
        actor=actor_of(call),
        application=call.application.id,
        key=call.application.key_id,
        outcome=outcome,
        end_user=call.context.end_user,
        provider=document.provider,
        resource=call.resource_id,
        mode=document.mode,
        grant=document.id,
        request_no=document.request_no,
        regulation=document.regulation,
        purpose=document.purpose,
        case=case,
        items=document.items,
        near=near,
        call=asked,
        recipient="" if recipient is None else keys.key_id(recipient),
        **proof,
    )
    return _encoder.encode(entry).decode()


async def decided_now(keeper: Keeper, decided: Callable[[Snapshot], T]) -> T:
    """Decide; a refusal counts only on the newest state, for nothing else looks at the epoch after it."""
    try:
        return decided(keeper.current)
    except CallRefused:
        if not await keeper.renew():
            raise
    return decided(keeper.current)


async def recorded(
    keeper: Keeper, decided: Callable[[Snapshot], Allowed], statement: Callable[[Allowed], Awaitable[Done]]
) -> tuple[Allowed, Done]:
    """Decide and record; where grants have changed meanwhile, once more on the new state."""
    for _ in range(MAX_TRIES):
        allowed = await decided_now(keeper, decided)
        done = await statement(allowed)
        match done.outcome:
            case "done":
                return allowed, done
            case "stale":
                await keeper.refresh(done.epoch)
            case "replayed":
                raise CallRefused(SignatureReplayed(), allowed.held.document.id)
            case "rests":
                raise CallRefused(FeedRests(), allowed.held.document.id)
            case "busy":
                raise CallRefused(BulkBusy(), allowed.held.document.id)
            case _:
                raise CallRefused(NotAvailable(), allowed.held.document.id)
    raise CallRefused(Unavailable())


class Promising:
    """Signs the promise that goes with a recorded answer."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Keep the key."""
        self._key = key
        self._key_id = keys.key_id(key.public_key())

    def reply(self, entry: UUID, digest: bytes | None, answer: msgspec.Struct, language: str) -> Reply:
        """Give the answer with its promise."""
        body = _encoder.encode(answer)
        if digest is None:
            return answer_reply(body)
        return recorded_reply(200, body, language, self.header(entry, digest, hashlib.sha256(body).digest()))

    def header(self, entry: UUID, digest: bytes, answer: bytes) -> str:
        """Give the promise about an entry and the SHA-256 of the answer, as its header has it."""
        at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        promise = make_promises([(entry, digest, answer)], at, self._key_id, self._key.sign)[0]
        return encode_promise(promise)


def plain_reply(answer: msgspec.Struct) -> Reply:
    """Answer what gives out nothing of a record."""
    return answer_reply(_encoder.encode(answer))
