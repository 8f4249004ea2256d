"""Sessions on the plane: agreeing them, knowing whose a call is, and taking signed heads.

A session serves at most 1,000 calls for a minute, and its key id says until when, so a call needs no look at
the database to know that: its number is in its nonce, and its entry's id follows from session and number.
Whether earlier sessions were signed is looked at when one is agreed.

Source: our choice, decision 21
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from shuqiao.plane.answers import Reply, answer_reply
from shuqiao.plane.body import decode_body
from shuqiao.plane.calls import Call, CallRefused
from shuqiao.plane.database import Database, DatabaseUnavailable, HeadRow, SessionRow
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.settings import Settings
from shuqiao.plane.state import Application
from shuqiao.plane.under_way import UnderWay
from shuqiao.rules.errors import (
    CallError,
    DigestMismatch,
    HeadContradicted,
    NotAvailable,
    RequestMalformed,
    SessionOver,
    SessionUnsigned,
    SignatureInvalid,
    SignatureReplayed,
    Unavailable,
)
from shuqiao.security import keys
from shuqiao.security.http_signatures import RequestSignature, is_digest_of
from shuqiao.security.sessions import (
    LIFETIME_S,
    MAX_CALLS,
    SIGN_WITHIN_S,
    SessionRefused,
    SessionSealer,
    answer_message,
    call_number,
    decode_key,
    encode_key,
    session_id,
)
from shuqiao.wire.messages import HeadAnswer, SessionAnswer, SessionHead, SessionRequest, call_entry_id

_session_decoder = msgspec.json.Decoder(SessionRequest)
_head_decoder = msgspec.json.Decoder(SessionHead)
_encoder = msgspec.json.Encoder()
Problem = Callable[[CallError], Reply]


class Refusals(Protocol):
    """Who records refusals and answers them."""

    def refuse(self, call: Call, refused: CallRefused, entry: UUID) -> None:
        """Refuse a call; its signature is used up where the entry has the call's id."""

    def refuse_unused(self, call: Call, error: CallError) -> None:
        """Refuse a call whose body is not known to be the signed one."""


class Signed(NamedTuple):
    """A request that an application signed with its own key, and when it came."""

    application: Application
    signature: RequestSignature
    at: datetime


class SessionOwner(NamedTuple):
    """Whose a session's call is, in which session, and its number."""

    application: Application
    session: UUID
    number: int


class SignedBody:
    """Waits for the body of a request about sessions, then answers when the database has."""

    __slots__ = ("_call", "_content_digest", "_problem", "_refusals", "_under_way", "_work")

    def __init__(
        self,
        call: Call,
        refusals: Refusals,
        problem: Problem,
        content_digest: str,
        work: Callable[[bytes], Awaitable[Reply]],
        under_way: UnderWay,
    ) -> None:
        self._call = call
        self._refusals = refusals
        self._problem = problem
        self._content_digest = content_digest
        self._work = work
        self._under_way = under_way

    def arrived(self, body: bytes) -> None:
        """Do what was asked."""
        if not is_digest_of(self._content_digest, body):
            self.broken(DigestMismatch())
            return
        self._under_way.begin(self._do(body), lambda: self._call.answer(self._problem(Unavailable())))

    async def _do(self, body: bytes) -> None:
        try:
            self._call.answer(await self._work(body))
        except CallError as error:
            self._refusals.refuse(self._call, CallRefused(error), self._call.entry)
        except DatabaseUnavailable:
            self._call.answer(self._problem(Unavailable()))

    def broken(self, error: CallError) -> None:
        """Refuse, with an entry."""
        self._refusals.refuse_unused(self._call, error)


class Sessions:
    """Agrees sessions and knows them again; the database remembers which are signed."""

    def __init__(self, settings: Settings, keeper: Keeper, database: Database) -> None:
        """Keep the parts."""
        self._keeper = keeper
        self._database = database
        self._promise_key = settings.promise_key
        self._promise_key_id = keys.key_id(settings.promise_key.public_key())
        self._sealer = SessionSealer(settings.session_key)
        self._under_way = UnderWay()

    def owner(self, signature: RequestSignature, now: datetime) -> SessionOwner:
        """Find whose session a call is of; it ends with its time, the application or the key that agreed it.

        Raises `SignatureInvalid`, and `SessionOver` to who holds the secret of a session that is used up.
        """
        try:
            session = self._sealer.open(signature.key_id)
        except SessionRefused:
            raise SignatureInvalid() from None
        application = self._keeper.current.applications.get(session.application)
        if (
            not session.verify(signature.signature, signature.base)
            or application is None
            or application.key_id != session.agreed_by
        ):
            raise SignatureInvalid()
        number = call_number(signature.nonce)
        if session.expires_at <= now.timestamp() or number is None:
            raise SessionOver(lifetime_s=LIFETIME_S, calls=MAX_CALLS)
        return SessionOwner(application, session.id, number)

    def agreement(self, signed: Signed, call: Call, refusals: Refusals, problem: Problem) -> SignedBody:
        """Wait for the application's ephemeral key."""
        digest, work = signed.signature.content_digest, partial(self._agree, signed)
        return SignedBody(call, refusals, problem, digest, work, self._under_way)

    def head(self, signed: Signed, call: Call, refusals: Refusals, problem: Problem) -> SignedBody:
        """Wait for the list of a session's calls."""
        digest, work = signed.signature.content_digest, partial(self._keep_head, signed)
        return SignedBody(call, refusals, problem, digest, work, self._under_way)

    async def _agree(self, signed: Signed, body: bytes) -> Reply:
        request = decode_body(_session_decoder, body)
        application, signature = signed.application, signed.signature
        try:
            client = decode_key(request.public_key)
            now_s = int(signed.at.timestamp())
            key_id, server, expires_at = self._sealer.agree(application.id, application.key_id, client, now_s)
        except SessionRefused:
            raise RequestMalformed(part="public_key") from None
        row = SessionRow(
            call_entry_id(signature.key_id, signature.created, signature.nonce),
            session_id(key_id),
            application.id,
            application.department,
            application.key_id,
            datetime.fromtimestamp(expires_at, UTC),
            SIGN_WITHIN_S,
        )
        outcome, unsigned = await self._database.agree_session(row)
        if outcome == "unsigned":
            raise SessionUnsigned(limit_s=SIGN_WITHIN_S, sessions=", ".join(map(str, unsigned)))
        if outcome != "agreed":
            raise SignatureReplayed()
        signature_of = self._promise_key.sign(answer_message(client, server, key_id, expires_at))
        return answer_reply(
            _encoder.encode(
                SessionAnswer(
                    key_id, encode_key(server), expires_at, self._promise_key_id, encode_key(signature_of)
                )
            )
        )

    async def _keep_head(self, signed: Signed, body: bytes) -> Reply:
        head = decode_body(_head_decoder, body)
        application, signature = signed.application, signed.signature
        numbers = [call.number for call in head.calls]
        if len(set(numbers)) != len(numbers):
            raise RequestMalformed(part="calls")
        try:
            requests = [decode_key(call.request) for call in head.calls]
            text = body.decode("ascii")
        except (SessionRefused, UnicodeDecodeError):
            raise RequestMalformed(part="calls") from None
        row = HeadRow(
            head.session,
            application.id,
            numbers,
            requests,
            head.lost,
            text,
            hashlib.sha256(body).digest(),
            signature.covered,
            application.algorithm,
            signature.signature,
            application.key_id,
        )
        outcome, confirmed, left = await self._database.keep_head(row)
        if outcome == "unknown":
            raise NotAvailable()
        if outcome == "contradicted":
            raise HeadContradicted(numbers=", ".join(map(str, left)))
        return answer_reply(_encoder.encode(HeadAnswer(head.session, confirmed, tuple(left))))
