"""The HTTP side: routes, authentication, and what every request must have before it is decided over."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from shuqiao.plane.answering import Answering
from shuqiao.plane.answers import JSON_TYPE, PROBLEM_TYPE, RETRY_AFTER_S, language_of, problem_body
from shuqiao.plane.body import BodyChunks, decode_body, read_body
from shuqiao.plane.calls import Call, CallRefused, Reply
from shuqiao.plane.deadlines import Deadlines
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.metrics import CONTENT_TYPE, Metrics
from shuqiao.plane.openapi import DOCUMENT
from shuqiao.plane.settings import BODY_TIMEOUT_S, Settings
from shuqiao.plane.state import Application
from shuqiao.rules.errors import (
    CallError,
    DigestMismatch,
    NotAvailable,
    RequestMalformed,
    SignatureInvalid,
    SignatureStale,
    Unavailable,
)
from shuqiao.rules.exchange import Mode
from shuqiao.security import keys
from shuqiao.security.http_signatures import (
    SESSION_PREFIX,
    WINDOW_S,
    CallContext,
    RequestSignature,
    decode_word,
    is_digest_of,
    is_session_mac,
    is_within_window,
    read_signature,
    single_headers,
)
from shuqiao.security.sessions import SessionRefused, SessionSealer, answer_message, decode_key, encode_key
from shuqiao.wire.messages import (
    QueryRequest,
    SessionAnswer,
    SessionRequest,
    VerifyRequest,
    call_entry_id,
    refusal_entry_id,
)
from shuqiao.wire.receipt import HEADER as PROMISE_HEADER

log = logging.getLogger("shuqiao.plane")

_OPEN_ROUTES = frozenset({"/v1/promise-keys", "/openapi.json", "/health/live", "/health/ready", "/metrics"})
# The rest of a body that was not read can't be told from a next request.
_CLOSING = frozenset({400, 408, 413})
_CALL = re.compile(r"/v1/resources/([A-Za-z0-9_-]{1,64})/(verify|query)", re.ASCII)
_verify_decoder = msgspec.json.Decoder(VerifyRequest)
_query_decoder = msgspec.json.Decoder(QueryRequest)
_session_decoder = msgspec.json.Decoder(SessionRequest)
_encoder = msgspec.json.Encoder()


class Headers(Protocol):
    """The headers of a request as the server gives them."""

    def items(self) -> list[tuple[str, str]]:
        """Give every field line, repeated ones too."""

    def get(self, key: str) -> str | None:
        """Give the first value of a header."""


class Scope(Protocol):
    """The parts of the server's request object that are used."""

    proto: str
    method: str
    path: str
    query_string: str
    headers: Headers


class Exchange(BodyChunks, Protocol):
    """The server's side of one request: the body in, one whole answer out."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send the answer."""


class Gate:
    """Lets authenticated calls through to `Answering` and turns everything else away.

    Refusals of callers whose department is known are recorded; others are only counted.
    """

    def __init__(
        self,
        settings: Settings,
        keeper: Keeper,
        answering: Answering,
        is_ready: Callable[[], Awaitable[bool]],
        metrics: Metrics,
    ) -> None:
        """Keep the parts."""
        self._settings = settings
        self._keeper = keeper
        self._answering = answering
        self._is_ready = is_ready
        self._metrics = metrics
        self._deadlines = Deadlines(BODY_TIMEOUT_S)
        self._sealer = SessionSealer(settings.session_key)
        self._promise_key_id = keys.key_id(settings.promise_key.public_key())

    async def handle(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request; a fault of ours answers 503 and shows nothing."""
        started = time.perf_counter()
        language = language_of(scope.headers.get("accept-language"))
        found = _CALL.fullmatch(scope.path)
        operation = found.group(2) if found is not None else "other"
        try:
            if found is not None:
                reply = await self._call(scope, exchange, found.group(1), Mode(found.group(2)), language)
            else:
                reply = await self._other(scope, exchange)
        except CallError as error:
            reply = Reply(error.status, problem_body(error, language))
        except Exception:
            log.exception("request_failed operation=%s", operation)
            unavailable = Unavailable()
            reply = Reply(
                unavailable.status, problem_body(unavailable, language), retry_after_s=RETRY_AFTER_S
            )
        exchange.response_bytes(reply.status, _response_headers(reply, language), reply.body)
        self._metrics.count_call(operation, str(reply.status), time.perf_counter() - started)

    async def _call(
        self, scope: Scope, exchange: Exchange, resource_id: str, mode: Mode, language: str
    ) -> Reply:
        """Authenticate a call, complete it and wait for its answer."""
        now = datetime.now(UTC)
        headers, signature, application = self._authenticated(scope, now)
        call = Call(
            call_entry_id(signature.key_id, signature.created, signature.nonce),
            now,
            application,
            CallContext(),
            resource_id,
            mode,
            language,
            asyncio.get_running_loop().create_future(),
        )
        # Until the body is known to be the signed one, the signature isn't used up: whoever only saw it on
        # its way could otherwise send it with a wrong body first and so suppress the true call.
        is_used_up = False
        try:
            call.context = _context(headers)
            if not is_within_window(signature.created, now.timestamp()):
                is_used_up = True
                raise SignatureStale(window_s=WINDOW_S)
            body = await read_body(exchange, headers, self._deadlines)
            if not is_digest_of(signature.content_digest, body):
                raise DigestMismatch()
            is_used_up = True
            call.request = _request_of(mode, body)
        except CallError as error:
            entry = call.entry if is_used_up else refusal_entry_id(call.entry, error.code)
            self._answering.refuse(call, CallRefused(error), entry)
        else:
            self._answering.submit(call)
        return await call.reply

    def _authenticated(
        self, scope: Scope, now: datetime
    ) -> tuple[dict[str, str], RequestSignature, Application]:
        """Find the application whose key signed the headers; raises a `CallError`."""
        if scope.method != "POST":
            raise RequestMalformed(part="method")
        if scope.query_string:
            raise RequestMalformed(part="query")
        headers = single_headers(scope.headers.items())
        signature = read_signature("POST", scope.path, headers)
        if headers["host"].lower() not in self._settings.authorities:
            raise SignatureInvalid()
        if signature.key_id.startswith(SESSION_PREFIX):
            return headers, signature, self._session_owner(signature, now)
        application = self._keeper.current.by_key.get(signature.key_id)
        if application is None or not application.verify(signature.signature, signature.base):
            raise SignatureInvalid()
        return headers, signature, application

    def _session_owner(self, signature: RequestSignature, now: datetime) -> Application:
        """Find the application of a session; it ends with the application or the key that agreed it."""
        try:
            session = self._sealer.open(signature.key_id)
        except SessionRefused:
            raise SignatureInvalid() from None
        application = self._keeper.current.applications.get(session.application)
        if (
            not is_session_mac(session.secret, signature.signature, signature.base)
            or session.expires_at <= now.timestamp()
            or application is None
            or application.key_id != session.agreed_by
        ):
            raise SignatureInvalid()
        return application

    async def _session(self, scope: Scope, exchange: Exchange) -> Reply:
        """Agree a session key with an application that signs with its own key."""
        now = datetime.now(UTC)
        headers, signature, application = self._authenticated(scope, now)
        if signature.key_id != application.key_id:
            raise SignatureInvalid()
        if not is_within_window(signature.created, now.timestamp()):
            raise SignatureStale(window_s=WINDOW_S)
        body = await read_body(exchange, headers, self._deadlines)
        if not is_digest_of(signature.content_digest, body):
            raise DigestMismatch()
        request = decode_body(_session_decoder, body)
        try:
            client = decode_key(request.public_key)
            key_id, server, expires_at = self._sealer.agree(
                application.id, application.key_id, client, int(now.timestamp())
            )
        except SessionRefused:
            raise RequestMalformed(part="public_key") from None
        signed = self._settings.promise_key.sign(answer_message(client, server, key_id, expires_at))
        answer = SessionAnswer(
            key_id, encode_key(server), expires_at, self._promise_key_id, encode_key(signed)
        )
        return Reply(200, _encoder.encode(answer))

    async def _other(self, scope: Scope, exchange: Exchange) -> Reply:
        """Answer everything that is not a call."""
        path = scope.path
        if path == "/v1/sessions":
            return await self._session(scope, exchange)
        if path not in _OPEN_ROUTES:
            raise NotAvailable()
        if scope.method != "GET":
            raise RequestMalformed(part="method")
        if path == "/v1/promise-keys":
            return Reply(200, _encoder.encode({"keys": self._keeper.current.promise_keys}))
        if path == "/openapi.json":
            return Reply(200, DOCUMENT)
        if path == "/metrics":
            return self._metrics_text()
        if path == "/health/ready" and not await self._is_ready():
            raise Unavailable()
        return Reply(200, b'{"status":"ok"}')

    def _metrics_text(self) -> Reply:
        current = self._keeper.current
        text = self._metrics.render(
            epoch=current.epoch, waiting=self._answering.waiting, faults=current.faults
        )
        return Reply(200, text.encode("ascii"), content_type=CONTENT_TYPE)


def _request_of(mode: Mode, body: bytes) -> VerifyRequest | QueryRequest:
    request = decode_body(_verify_decoder, body) if mode is Mode.VERIFY else decode_body(_query_decoder, body)
    # The number of the case is kept in the log as text, which can't hold every character.
    if not request.case.isprintable():
        raise RequestMalformed(part="case")
    return request


def _context(headers: dict[str, str]) -> CallContext:
    """Decode the signed headers; `-` says that nobody stands behind the application."""
    end_user = decode_word(headers["shuqiao-end-user"])
    return CallContext(
        decode_word(headers["shuqiao-purpose"]),
        "" if end_user == "-" else end_user,
        decode_word(headers["shuqiao-grant"]),
    )


def _response_headers(reply: Reply, language: str) -> list[tuple[str, str]]:
    kind = reply.content_type or (JSON_TYPE if reply.status < 400 else PROBLEM_TYPE)
    headers = [
        ("content-type", kind),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ]
    if reply.promise is not None:
        headers.append((PROMISE_HEADER, reply.promise))
    if reply.status >= 400:
        headers.append(("content-language", language))
        if reply.status in _CLOSING:
            headers.append(("connection", "close"))
        if reply.retry_after_s is not None:
            headers.append(("retry-after", str(reply.retry_after_s)))
    return headers
