"""Requests and answers of the plane's HTTP interface, and the identity of a signed call."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from shuqiao.rules.entry_ids import TAIL_BYTES, id_beside, timed_id

Subject = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Field = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
Value = Annotated[str, msgspec.Meta(max_length=1024)]
CaseNumber = Annotated[str, msgspec.Meta(max_length=128)]


class VerifyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks whether claimed values agree with one record.

    `subject` is the value of the list's record key; `case` the number of the case the call serves.
    """

    subject: Subject
    claims: Annotated[dict[Field, Value], msgspec.Meta(min_length=1, max_length=64)]
    case: CaseNumber = ""


class QueryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for items of one record; without `items`, for every item of the grant."""

    subject: Subject
    items: Annotated[tuple[Field, ...], msgspec.Meta(min_length=1, max_length=64)] | None = None
    case: CaseNumber = ""


class VerifyAnswer(msgspec.Struct, frozen=True):
    """The result of a comparison: per item, or one word for all of them together."""

    result: dict[str, bool] | bool
    entry: UUID
    at: datetime


class QueryAnswer(msgspec.Struct, frozen=True):
    """The granted items of one record in text form, null where the record has no value.

    Items in `masked` are sensitive and not named by the grant: their values are masked. Items in
    `pseudonyms` are given as tokens of the consumer's department.
    """

    data: dict[str, str | None]
    entry: UUID
    at: datetime
    masked: tuple[str, ...] = ()
    pseudonyms: tuple[str, ...] = ()


class SessionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The application's ephemeral X25519 public key, base64url without padding."""

    public_key: Annotated[str, msgspec.Meta(min_length=43, max_length=43)]


class SessionAnswer(msgspec.Struct, frozen=True):
    """The platform's ephemeral X25519 public key and the key id to sign with until `expires_at`.

    `signature` (base64url) is the platform's promise key over `security.sessions.answer_message`, so that
    nobody between can put a key of its own in place.
    """

    key_id: str
    public_key: str
    expires_at: int
    signed_by: str
    signature: str


class HeadCall(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One call of a session as its application remembers it: number, digests of request and answer.

    Both are of `security.sessions`, base64url without padding; `answer` is empty where none arrived.
    """

    number: Annotated[int, msgspec.Meta(ge=0, lt=1000)]
    request: Annotated[str, msgspec.Meta(min_length=43, max_length=43)]
    answer: Annotated[str, msgspec.Meta(pattern="^(?:.{43})?$")] = ""


class SessionHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list of a session's calls, which the application signs by signing the request that brings it.

    `session` is the session's id (`security.sessions.session_id`). With `lost` the application says that it
    has no record of the calls of this session that are not listed.
    """

    session: UUID
    calls: Annotated[tuple[HeadCall, ...], msgspec.Meta(max_length=1000)]
    lost: bool = False


class HeadAnswer(msgspec.Struct, frozen=True):
    """How many calls this list confirmed, and the numbers of those that no list has named yet."""

    session: UUID
    confirmed: int
    open: tuple[int, ...]


class PromiseKey(msgspec.Struct, frozen=True):
    """A public key that signs promises: SubjectPublicKeyInfo DER in base64."""

    id: str
    algorithm: str
    public_key: str


class CallEntry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The plane's line of an audit entry: who called, for what, under which grant, with which outcome.

    It holds no value of a person, no number and no digest of either: whoever reads the log could try out all
    numbers. `items` are names of items, `masked` and `pseudonyms` those of them that were not given in clear;
    `place` is the 0-based place of the subject in a batch. How claims compared, and with it the outcome of an
    answered call, stands in the database's line: it decides in the same statement.
    `algorithm` is that of the signature, `request` the digest of the signed request, `sealed` the request
    itself, which only the vault opens (`wire.call_proof`); `session` and `number` place a session's call,
    and `call` names the entry that holds what is sealed, where another one does. `recipient` is the id of the
    key to which a copy is to be sealed.
    """

    event: str
    id: UUID
    at: datetime
    department: str
    actor: str
    application: str
    key: str
    outcome: str = ""
    end_user: str = ""
    provider: str = ""
    resource: str = ""
    mode: str = ""
    grant: str = ""
    request_no: str = ""
    regulation: str = ""
    purpose: str = ""
    case: str = ""
    match: str = ""
    items: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    pseudonyms: tuple[str, ...] = ()
    place: int = 0
    identity_version: int = 0
    near: bool = False
    algorithm: str = ""
    session: UUID | None = None
    number: int | None = None
    request: str = ""
    sealed: str = ""
    call: UUID | None = None
    recipient: str = ""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Problem details (RFC 9457) with a stable code.

    The audit entry is named in the promise header and not here: two refusals that must not be told apart
    have the same body, byte for byte.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    rule: str = ""


def call_entry_id(key_id: str, created: int, nonce: str) -> UUID:
    """Derive the audit entry's id from a signature, so that a replay meets the primary key.

    Neither a key id nor a nonce can hold a line feed in the signature profile, so the three parts are
    told apart without lengths. Its time is the one the signature names.
    """
    text = f"{key_id}\n{created}\n{nonce}"
    return timed_id(1000 * created, hashlib.sha256(text.encode("ascii")).digest())


def session_entry_id(session: UUID, number: int) -> UUID:
    """Derive the audit entry's id of a session's call: a number serves once, whatever time it names."""
    return id_beside(session, hashlib.sha256(session.bytes + number.to_bytes(4, "big")).digest())


def refusal_entry_id(call: UUID, code: str) -> UUID:
    """Derive the id of a refusal that does not use the call's signature up.

    A captured call that is sent again and again is so recorded once for each reason.
    """
    return id_beside(call, hashlib.sha256(call.bytes + code.encode("ascii")).digest())


def new_entry_id(at: datetime) -> UUID:
    """Make an id for an entry that nothing else names."""
    return timed_id(int(at.timestamp() * 1000), secrets.token_bytes(TAIL_BYTES))
