"""One signed call on its way through the plane, and the decision over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from shuqiao.plane.answers import Reply
from shuqiao.plane.proofs import NO_PROOF, CallProof
from shuqiao.plane.state import Application, HeldGrant, Resource, Snapshot
from shuqiao.rules.errors import (
    BY_CODE,
    CallError,
    ItemNotGranted,
    NotAvailable,
    RequestMalformed,
    SignatureInvalid,
    SignedCallNeeded,
)
from shuqiao.rules.exchange import CallFacts, Channel, Mode, Refused, decide_call
from shuqiao.rules.ids import ApplicationId, DepartmentCode, GrantId, ResourceId
from shuqiao.rules.small_domain import proving_fields, read_out
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.batch_messages import QueryBatchRequest, VerifyBatchRequest
from shuqiao.wire.messages import CallEntry, QueryRequest, VerifyRequest

AUTO = "auto"
CallRequest = VerifyRequest | QueryRequest | VerifyBatchRequest | QueryBatchRequest


@dataclass(slots=True)
class Call:
    """A call whose signature was verified. The audit entry's id follows from the signature.

    `answer` may be called more than once; only the first answer goes out. Without `has_mode` it is about
    nothing that has a mode, such as a session, and `mode` says nothing.
    """

    entry: UUID
    at: datetime
    application: Application
    context: CallContext
    resource_id: str
    mode: Mode
    language: str
    answer: Callable[[Reply], None]
    request: CallRequest | None = None
    tries: int = 0
    proof: CallProof | None = None
    has_mode: bool = True


@dataclass(frozen=True, slots=True)
class Granted:
    """Calls of this kind may be answered: the resource, the grant, the fields, and what follows from them.

    `identity` are the fields that the vault keeps; `masked` and `tokens` those that a query doesn't give in
    clear. `proof` are the claims that must agree before those of `small` domain are looked at. `head` is
    what the entries of all these calls share: the beginning of their JSON.
    """

    resource: Resource
    grant: HeldGrant
    fields: tuple[str, ...]
    identity: tuple[str, ...]
    masked: tuple[str, ...]
    tokens: tuple[str, ...]
    small: frozenset[str]
    proof: frozenset[str]
    head: str


class _EntryHead(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The fields of `CallEntry` that are the same for all calls under one decision."""

    event: str
    department: str
    application: str
    key: str
    provider: str
    resource: str
    mode: str
    grant: str
    request_no: str = ""
    regulation: str = ""
    purpose: str = ""
    match: str = ""
    items: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    pseudonyms: tuple[str, ...] = ()


class _EntryTail(msgspec.Struct, frozen=True, omit_defaults=True):
    """The other fields of `CallEntry`."""

    id: UUID
    at: datetime
    actor: str
    end_user: str = ""
    case: str = ""
    place: int = 0
    identity_version: int = 0
    near: bool = False
    algorithm: str = ""
    session: UUID | None = None
    number: int | None = None
    request: str = ""
    sealed: str = ""
    call: UUID | None = None


_encoder = msgspec.json.Encoder()


class CallRefused(Exception):
    """The decision against a call: the error it answers, and the grant that fitted once."""

    def __init__(self, error: CallError, grant: str | None = None) -> None:
        """Keep both."""
        super().__init__(error.code)
        self.error = error
        self.grant = grant


def decide(call: Call, snapshot: Snapshot) -> Granted:
    """Decide over a call as of a snapshot; raises `CallRefused`."""
    application = snapshot.applications.get(call.application.id)
    if application is None or application.key_id != call.application.key_id:
        raise CallRefused(SignatureInvalid())
    resource = snapshot.resources.get(call.resource_id)
    if resource is None or call.mode.value not in resource.modes or call.request is None:
        raise CallRefused(NotAvailable())
    facts = _asked(call, application, call.request, resource)
    held = snapshot.grants_of.get((application.department, call.resource_id), ())
    decision = decide_call(facts, held, call.at)
    if isinstance(decision, Refused):
        raise refused_by(decision)
    chosen = snapshot.grants[decision.grant.id]
    if chosen.document.signed_calls and (call.proof is None or call.proof.session is not None):
        raise CallRefused(SignedCallNeeded(grant=chosen.document.id), chosen.document.id)
    if chosen.document.case_required and not call.request.case.strip():
        raise CallRefused(RequestMalformed(part="case"), chosen.document.id)
    return _granted(call, resource, chosen, _fields_there(decision.fields, facts, resource, chosen))


def _granted(call: Call, resource: Resource, grant: HeldGrant, fields: tuple[str, ...]) -> Granted:
    document, mode = grant.document, call.mode
    masked = _not_in_clear(fields, grant.terms.masked, mode)
    tokens = _not_in_clear(fields, grant.terms.tokens, mode)
    small = resource.small.intersection(fields) if mode is Mode.VERIFY else frozenset[str]()
    head = _EntryHead(
        event=mode.value,
        department=call.application.department,
        application=call.application.id,
        key=call.application.key_id,
        provider=resource.department,
        resource=resource.id,
        mode=mode.value,
        grant=document.id,
        request_no=document.request_no,
        regulation=document.regulation,
        purpose=document.purpose,
        match=document.match if mode is Mode.VERIFY else "",
        items=fields,
        masked=masked,
        pseudonyms=tokens,
    )
    return Granted(
        resource,
        grant,
        fields,
        tuple(field for field in fields if resource.items[field].identity),
        masked,
        tokens,
        small,
        proving_fields(resource.traits, fields) - small if small else frozenset(),
        _encoder.encode(head).decode("utf-8")[:-1] + ",",
    )


def _not_in_clear(fields: tuple[str, ...], items: frozenset[str], mode: Mode) -> tuple[str, ...]:
    return () if mode is Mode.VERIFY else tuple(field for field in fields if field in items)


def _fields_there(
    fields: tuple[str, ...], facts: CallFacts, resource: Resource, grant: HeldGrant
) -> tuple[str, ...]:
    """Leave out what the grant names and the resource no longer has; an item asked for by name is refused."""
    gone = [field for field in fields if field not in resource.items]
    if gone and facts.fields:
        raise CallRefused(ItemNotGranted(items=", ".join(gone)), grant.document.id)
    return tuple(field for field in fields if field in resource.items) if gone else fields


def fields_of(request: CallRequest) -> tuple[str, ...]:
    """Name the items that are claimed or asked for; all subjects of a batch claim the same ones."""
    if isinstance(request, VerifyRequest):
        return tuple(request.claims)
    if isinstance(request, VerifyBatchRequest):
        return tuple(request.subjects[0].claims)
    return request.items or ()


def subjects_of(call: Call) -> tuple[str, ...]:
    """Name the subjects of a call, as they were sent."""
    request = call.request
    if request is None:
        return ()
    if isinstance(request, VerifyBatchRequest):
        return tuple(subject.subject for subject in request.subjects)
    return request.subjects if isinstance(request, QueryBatchRequest) else (request.subject,)


def _asked(call: Call, application: Application, request: CallRequest, resource: Resource) -> CallFacts:
    fields = fields_of(request)
    known = [field for field in fields if field in resource.items] if call.mode is Mode.VERIFY else []
    small = read_out(resource.traits, resource.small, resource.record_key.field, known)
    return facts_of(call, application, call.mode, fields=fields, read=small)


def facts_of(
    call: Call,
    application: Application,
    mode: Mode,
    channel: Channel = Channel.INTERFACE,
    *,
    fields: tuple[str, ...] = (),
    read: tuple[str, ...] = (),
) -> CallFacts:
    """What every decision over a call rests on; only keyed calls ask for items by name (`fields`).

    `read` are those of them that a comparison would read out.
    """
    context = call.context
    return CallFacts(
        ApplicationId(application.id),
        DepartmentCode(application.department),
        ResourceId(call.resource_id),
        mode,
        fields,
        None if context.grant == AUTO else GrantId(context.grant),
        None if context.purpose == AUTO else context.purpose,
        read,
        channel,
    )


def refused_by(decision: Refused) -> CallRefused:
    """The refusal that answers a call, with the grant that fitted once."""
    error = BY_CODE[decision.code](**dict(decision.details))
    if not isinstance(error, CallError):
        raise TypeError(f"{decision.code} is no refusal of a call")
    return CallRefused(error, decision.grant.id if decision.grant is not None else None)


def actor_of(call: Call) -> str:
    """Name who acts: the application, and its end user where there is one."""
    user = call.context.end_user
    return f"{call.application.id}/{user}" if user else call.application.id


def refusal_entry(call: Call, entry: UUID, refused: CallRefused, resource: str, provider: str) -> CallEntry:
    """Write the audit line of a refused call."""
    context = call.context
    return CallEntry(
        event="call_refused",
        id=entry,
        at=call.at,
        department=call.application.department,
        actor=actor_of(call),
        application=call.application.id,
        key=call.application.key_id,
        outcome=refused.error.code,
        end_user=context.end_user,
        provider=provider,
        resource=resource,
        mode=call.mode.value if call.has_mode else "",
        grant=refused.grant or "",
        purpose="" if context.purpose == AUTO else context.purpose,
        case=call.request.case if call.request is not None else "",
        **_signed(call),
    )


def _signed(call: Call) -> dict[str, Any]:
    """Say what the call's signature was."""
    return {} if call.proof is None else call.proof._asdict()


def entry_text(
    call: Call, granted: Granted, entry: UUID, place: int, identity_version: int, *, near: bool = False
) -> str:
    """Write the plane's audit line about one subject of an answered call, the JSON of a `CallEntry`.

    The outcome is the database's to say: it counts wrong claims in the statement that answers. Of a batch,
    the first subject's entry holds the sealed signature.
    """
    proof = call.proof or NO_PROOF
    tail = _EntryTail(
        entry,
        call.at,
        actor_of(call),
        call.context.end_user,
        call.request.case if call.request is not None else "",
        place,
        identity_version,
        near,
        proof.algorithm,
        proof.session,
        proof.number,
        proof.request,
        "" if place else proof.sealed,
        call.entry if place and call.proof is not None else None,
    )
    return granted.head + _encoder.encode(tail).decode("utf-8")[1:]
