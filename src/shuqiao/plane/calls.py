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
    NotAvailable,
    RequestMalformed,
    SignatureInvalid,
    SignedCallNeeded,
)
from shuqiao.rules.exchange import CallFacts, Mode, Refused, decide_call
from shuqiao.rules.ids import ApplicationId, DepartmentCode, GrantId, ResourceId
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.messages import CallEntry, QueryRequest, VerifyRequest

AUTO = "auto"


@dataclass(slots=True)
class Call:
    """A call whose signature was verified. The audit entry's id follows from the signature.

    `answer` may be called more than once; only the first answer goes out.
    """

    entry: UUID
    at: datetime
    application: Application
    context: CallContext
    resource_id: str
    mode: Mode
    language: str
    answer: Callable[[Reply], None]
    request: VerifyRequest | QueryRequest | None = None
    tries: int = 0
    proof: CallProof | None = None


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
    facts = _facts_of(call, application, call.request)
    held = snapshot.grants_of.get((application.department, call.resource_id), ())
    decision = decide_call(facts, held, call.at)
    if isinstance(decision, Refused):
        grant = decision.grant.id if decision.grant is not None else None
        raise CallRefused(_error_of(decision), grant)
    chosen = snapshot.grants[decision.grant.id]
    if chosen.document.signed_calls and (call.proof is None or call.proof.session is not None):
        raise CallRefused(SignedCallNeeded(grant=chosen.document.id), chosen.document.id)
    if chosen.document.case_required and not call.request.case.strip():
        raise CallRefused(RequestMalformed(part="case"), chosen.document.id)
    return Granted(resource, chosen, decision.fields)


def _facts_of(call: Call, application: Application, request: VerifyRequest | QueryRequest) -> CallFacts:
    fields = tuple(request.claims) if isinstance(request, VerifyRequest) else request.items or ()
    context = call.context
    return CallFacts(
        ApplicationId(application.id),
        DepartmentCode(application.department),
        ResourceId(call.resource_id),
        call.mode,
        fields,
        None if context.grant == AUTO else GrantId(context.grant),
        None if context.purpose == AUTO else context.purpose,
    )


def _error_of(decision: Refused) -> CallError:
    error = BY_CODE[decision.code](**dict(decision.details))
    if not isinstance(error, CallError):
        raise TypeError(f"{decision.code} is no refusal of a call")
    return error


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
        mode=call.mode.value,
        grant=refused.grant or "",
        purpose="" if context.purpose == AUTO else context.purpose,
        case=call.request.case if call.request is not None else "",
        **_signed(call),
    )


def _signed(call: Call) -> dict[str, Any]:
    """Say what the call's signature was, in the words of `CallEntry`."""
    return {} if call.proof is None else call.proof._asdict()


def answer_entry(
    call: Call, granted: Granted, identity: dict[str, bool] | None, identity_version: int
) -> CallEntry:
    """Write the plane's audit line of an answered call; `identity` is the vault's comparison, if any."""
    document = granted.grant.document
    return CallEntry(
        event=call.mode.value,
        id=call.entry,
        at=call.at,
        department=call.application.department,
        actor=actor_of(call),
        application=call.application.id,
        key=call.application.key_id,
        outcome="answered",
        end_user=call.context.end_user,
        provider=granted.resource.department,
        resource=call.resource_id,
        mode=call.mode.value,
        grant=document.id,
        request_no=document.request_no,
        regulation=document.regulation,
        purpose=document.purpose,
        case=call.request.case if call.request is not None else "",
        match=document.match if identity is not None else "",
        items=granted.fields,
        identity=identity or {},
        identity_version=identity_version,
        **_signed(call),
    )
