"""The HTTP side: routes, authentication, and what every request must have before it is decided over."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

import msgspec

from shuqiao.plane.answering import Answering
from shuqiao.plane.answers import Reply, answer_reply, language_of, problem_reply
from shuqiao.plane.body import check_announced, decode_body
from shuqiao.plane.calls import Call, CallRefused
from shuqiao.plane.connection import BodyReader, Request
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.metrics import CONTENT_TYPE, Metrics
from shuqiao.plane.openapi import DOCUMENT
from shuqiao.plane.settings import Settings
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
)

_OPEN_ROUTES = frozenset({"/v1/promise-keys", "/openapi.json", "/health/live", "/health/ready", "/metrics"})
_CALL = re.compile(r"/v1/resources/([A-Za-z0-9_-]{1,64})/(verify|query)", re.ASCII)
_OK = b'{"status":"ok"}'
_NO_CONTEXT = CallContext()
_MODES = {mode.value: mode for mode in Mode}
_verify_decoder = msgspec.json.Decoder(VerifyRequest)
_query_decoder = msgspec.json.Decoder(QueryRequest)
_session_decoder = msgspec.json.Decoder(SessionRequest)
_encoder = msgspec.json.Encoder()
Answer = Callable[[Reply], None]


class _CallBody:
    """Waits for the body of a call whose head is in order."""

    __slots__ = ("_answering", "_call", "_content_digest")

    def __init__(self, answering: Answering, call: Call, content_digest: str) -> None:
        self._answering = answering
        self._call = call
        self._content_digest = content_digest

    def arrived(self, body: bytes) -> None:
        """Complete the call."""
        call = self._call
        if not is_digest_of(self._content_digest, body):
            self.broken(DigestMismatch())
            return
        try:
            call.request = _request_of(call.mode, body)
        except CallError as error:
            self._answering.refuse(call, CallRefused(error), call.entry)
        else:
            self._answering.submit(call)

    def broken(self, error: CallError) -> None:
        """Refuse the call without using its signature up."""
        self._answering.refuse_unused(self._call, error)


class _SessionBody:
    """Waits for the body of the agreement of a session."""

    __slots__ = ("_agree", "_answer", "_content_digest", "_problem")

    def __init__(
        self,
        answer: Answer,
        problem: Callable[[CallError], Reply],
        content_digest: str,
        agree: Callable[[bytes], Reply],
    ) -> None:
        self._answer = answer
        self._problem = problem
        self._content_digest = content_digest
        self._agree = agree

    def arrived(self, body: bytes) -> None:
        """Agree."""
        try:
            if not is_digest_of(self._content_digest, body):
                raise DigestMismatch()
            reply = self._agree(body)
        except CallError as error:
            reply = self._problem(error)
        self._answer(reply)

    def broken(self, error: CallError) -> None:
        """Agree nothing."""
        self._answer(self._problem(error))


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
        self._sealer = SessionSealer(settings.session_key)
        self._promise_key_id = keys.key_id(settings.promise_key.public_key())
        self._asking: set[asyncio.Task[None]] = set()

    def opened(self, request: Request) -> BodyReader | None:
        """Take a request whose head has arrived; None if no body is wanted, answered already or later."""
        found = _CALL.fullmatch(request.path)
        operation = "other" if found is None else found.group(2)
        answer = partial(self._answer, request, operation)
        language = language_of(request.headers.get("accept-language"))
        try:
            if found is None:
                return self._other(request, language, answer)
            return self._call(request, found.group(1), _MODES[operation], language, answer)
        except CallError as error:
            answer(self._problem(language, error))
            return None

    def refused(self, error: CallError) -> Reply:
        """Word the answer to what is no request."""
        self._metrics.count_call("other", str(error.status), 0.0)
        return self._problem(language_of(None), error)

    def _problem(self, language: str, error: CallError) -> Reply:
        return problem_reply(error, language, self._keeper.current.citations)

    def _answer(self, request: Request, operation: str, reply: Reply) -> None:
        if request.answer(reply):
            self._metrics.count_call(operation, str(reply.status), time.perf_counter() - request.started_s)

    def _call(
        self, request: Request, resource_id: str, mode: Mode, language: str, answer: Answer
    ) -> BodyReader | None:
        """Authenticate a call; raises a `CallError` when nobody is known to have sent it."""
        now = datetime.now(UTC)
        headers, signature, application = self._authenticated(request, now)
        entry = call_entry_id(signature.key_id, signature.created, signature.nonce)
        call = Call(entry, now, application, _NO_CONTEXT, resource_id, mode, language, answer)
        try:
            call.context = _context(headers)
            if not is_within_window(signature.created, now.timestamp()):
                self._answering.refuse(call, CallRefused(SignatureStale(window_s=WINDOW_S)), entry)
                return None
            check_announced(headers)
        except CallError as error:
            self._answering.refuse_unused(call, error)
            return None
        return _CallBody(self._answering, call, signature.content_digest)

    def _authenticated(
        self, request: Request, now: datetime
    ) -> tuple[dict[str, str], RequestSignature, Application]:
        """Find the application whose key signed the headers; raises a `CallError`."""
        if self._keeper.current.epoch < 0:
            raise Unavailable()
        if request.method != "POST":
            raise RequestMalformed(part="method")
        if request.query:
            raise RequestMalformed(part="query")
        headers = request.headers
        if len(headers) != len(request.pairs):
            headers = single_headers(request.pairs)
        signature = read_signature("POST", request.path, headers)
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
            not session.verify(signature.signature, signature.base)
            or session.expires_at <= now.timestamp()
            or application is None
            or application.key_id != session.agreed_by
        ):
            raise SignatureInvalid()
        return application

    def _session(self, request: Request, language: str, answer: Answer) -> BodyReader:
        """Agree a session key with an application that signs with its own key."""
        now = datetime.now(UTC)
        headers, signature, application = self._authenticated(request, now)
        if signature.key_id != application.key_id:
            raise SignatureInvalid()
        if not is_within_window(signature.created, now.timestamp()):
            raise SignatureStale(window_s=WINDOW_S)
        check_announced(headers)
        agree = partial(self._agree, application, int(now.timestamp()))
        return _SessionBody(answer, partial(self._problem, language), signature.content_digest, agree)

    def _agree(self, application: Application, now_s: int, body: bytes) -> Reply:
        request = decode_body(_session_decoder, body)
        try:
            client = decode_key(request.public_key)
            key_id, server, expires_at = self._sealer.agree(application.id, application.key_id, client, now_s)
        except SessionRefused:
            raise RequestMalformed(part="public_key") from None
        signed = self._settings.promise_key.sign(answer_message(client, server, key_id, expires_at))
        agreed = SessionAnswer(
            key_id, encode_key(server), expires_at, self._promise_key_id, encode_key(signed)
        )
        return answer_reply(_encoder.encode(agreed))

    def _other(self, request: Request, language: str, answer: Answer) -> BodyReader | None:
        """Answer everything that is not a call."""
        path = request.path
        if path == "/v1/sessions":
            return self._session(request, language, answer)
        if path not in _OPEN_ROUTES:
            raise NotAvailable()
        if request.method != "GET":
            raise RequestMalformed(part="method")
        if path == "/health/ready":
            asking = asyncio.get_running_loop().create_task(self._tell_whether_ready(language, answer))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
        else:
            answer(self._open_reply(path))
        return None

    def _open_reply(self, path: str) -> Reply:
        if path == "/v1/promise-keys":
            return answer_reply(_encoder.encode({"keys": self._keeper.current.promise_keys}))
        if path == "/openapi.json":
            return answer_reply(DOCUMENT)
        if path == "/metrics":
            return self._metrics_text()
        return answer_reply(_OK)

    async def _tell_whether_ready(self, language: str, answer: Answer) -> None:
        answer(answer_reply(_OK) if await self._is_ready() else self._problem(language, Unavailable()))

    def _metrics_text(self) -> Reply:
        current = self._keeper.current
        text = self._metrics.render(
            epoch=current.epoch, waiting=self._answering.waiting, faults=current.faults
        )
        return answer_reply(text.encode("ascii"), CONTENT_TYPE)


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
