"""One signed call on its way through the plane, and the decision over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shuqiao.plane.answers import Reply
from shuqiao.plane.proofs import CallProof
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
from shuqiao.rules.small_domain import read_out
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
    """The call may be answered: the resource, the grant and the fields."""

    resource: Resource
    grant: HeldGrant
    fields: tuple[str, ...]


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
    return Granted(resource, chosen, _fields_there(decision.fields, facts, resource, chosen))


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


def _signed(call: Call, place: int = 0) -> dict[str, Any]:
    """Say what the call's signature was; of a batch, the first subject's entry holds it sealed."""
    if call.proof is None:
        return {}
    return call.proof._asdict() | ({"sealed": "", "call": call.entry} if place else {})


def answer_entry(
    call: Call, granted: Granted, entry: UUID, place: int, identity_version: int, *, near: bool = False
) -> CallEntry:
    """Write the plane's audit line about one subject of an answered call.

    The outcome is the database's to say: it counts wrong claims in the statement that answers.
    """
    document, terms = granted.grant.document, granted.grant.terms
    return CallEntry(
        event=call.mode.value,
        id=entry,
        at=call.at,
        department=call.application.department,
        actor=actor_of(call),
        application=call.application.id,
        key=call.application.key_id,
        end_user=call.context.end_user,
        provider=granted.resource.department,
        resource=call.resource_id,
        mode=call.mode.value,
        grant=document.id,
        request_no=document.request_no,
        regulation=document.regulation,
        purpose=document.purpose,
        case=call.request.case if call.request is not None else "",
        match=document.match if call.mode is Mode.VERIFY else "",
        items=granted.fields,
        masked=not_in_clear(granted, terms.masked, call.mode),
        pseudonyms=not_in_clear(granted, terms.tokens, call.mode),
        place=place,
        identity_version=identity_version,
        near=near,
        **_signed(call, place),
    )


def not_in_clear(granted: Granted, fields: frozenset[str], mode: Mode) -> tuple[str, ...]:
    if mode is Mode.VERIFY or not fields:
        return ()
    return tuple(field for field in granted.fields if field in fields)
