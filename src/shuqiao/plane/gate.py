"""The HTTP side: routes, authentication, and what every request must have before it is decided over."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import lru_cache, partial

import msgspec

from shuqiao.plane.allowance import Allowance
from shuqiao.plane.answering import Answering
from shuqiao.plane.answers import Reply, answer_reply, language_of, problem_reply
from shuqiao.plane.body import SignedBody, check_announced, decode_body
from shuqiao.plane.bulk import serving as copies
from shuqiao.plane.bulk.serving import Copies
from shuqiao.plane.calls import Call, CallRefused, CallRequest
from shuqiao.plane.connection import BodyReader, Request
from shuqiao.plane.files import serving as files
from shuqiao.plane.files.openapi import DOCUMENT
from shuqiao.plane.files.serving import Files
from shuqiao.plane.held.serving import HeldBody, HeldCalls
from shuqiao.plane.interface.serving import DECODER as INTERFACE_DECODER
from shuqiao.plane.interface.serving import ROUTE as INTERFACE_ROUTE
from shuqiao.plane.interface.serving import InterfaceRequest, Interfaces
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.metrics import CONTENT_TYPE, Metrics
from shuqiao.plane.proofs import Sealing
from shuqiao.plane.sandbox import ROUTE as SANDBOX_ROUTE
from shuqiao.plane.sandbox import SandboxBody
from shuqiao.plane.sessions import SessionOwner, Sessions, Signed
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
from shuqiao.wire.batch_messages import QueryBatchRequest, VerifyBatchRequest
from shuqiao.wire.call_proof import MAC
from shuqiao.wire.files import FilesRequest
from shuqiao.wire.messages import (
    QueryRequest,
    VerifyRequest,
    call_entry_id,
    session_entry_id,
)

SESSIONS_PATH = "/v1/sessions"
HEADS_PATH = "/v1/sessions/heads"
_OPEN_ROUTES = frozenset({"/v1/promise-keys", "/openapi.json", "/health/live", "/health/ready", "/metrics"})
_CALL = re.compile(r"/v1/resources/([A-Za-z0-9_-]{1,64})/((verify|query)(?:-batch)?)", re.ASCII)
_OK = b'{"status":"ok"}'
_NO_CONTEXT = CallContext()
Decoder = msgspec.json.Decoder[CallRequest]
_MODES = {
    "verify": Mode.VERIFY,
    "verify-batch": Mode.VERIFY,
    "query": Mode.QUERY,
    "query-batch": Mode.QUERY,
}
_REQUESTS: dict[str, type[CallRequest]] = {
    "verify": VerifyRequest,
    "verify-batch": VerifyBatchRequest,
    "query": QueryRequest,
    "query-batch": QueryBatchRequest,
}
_DECODERS: dict[str, Decoder] = {name: msgspec.json.Decoder(form) for name, form in _REQUESTS.items()}
_encoder = msgspec.json.Encoder()
Answer = Callable[[Reply], None]


class _CallBody:
    """Waits for the body of a call whose head is in order."""

    __slots__ = ("_answering", "_call", "_content_digest", "_decoder")

    def __init__(self, answering: Answering, call: Call, decoder: Decoder, content_digest: str) -> None:
        self._answering = answering
        self._call = call
        self._decoder = decoder
        self._content_digest = content_digest

    def arrived(self, body: bytes) -> None:
        """Complete the call."""
        call = self._call
        if not is_digest_of(self._content_digest, body):
            self.broken(DigestMismatch())
            return
        try:
            call.request = _request_of(self._decoder, body)
        except CallError as error:
            self._answering.refuse(call, CallRefused(error), call.entry)
        else:
            self._answering.submit(call)

    def broken(self, error: CallError) -> None:
        """Refuse the call without using its signature up."""
        self._answering.refuse_unused(self._call, error)


class _Refused(Exception):
    """The request is refused with an entry, and its answer is on its way."""


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
        sessions: Sessions,
        sealing: Sealing,
        copies: Copies | None = None,
        interfaces: Interfaces | None = None,
        files: Files | None = None,
        held: HeldCalls | None = None,
    ) -> None:
        """Keep the parts; what is None this plane does not offer."""
        self._files = files
        self._held = held
        self._interfaces = interfaces
        self._copies = copies
        self._sessions = sessions
        self._sealing = sealing
        self._settings = settings
        self._keeper = keeper
        self._answering = answering
        self._is_ready = is_ready
        self._metrics = metrics
        self._allowance = Allowance(settings.calls_per_s)
        self._asking: set[asyncio.Task[None]] = set()

    def opened(self, request: Request) -> BodyReader | None:
        """Take a request whose head has arrived; None if no body is wanted, answered already or later."""
        found = _route_of(request.path)
        operation = "other" if found is None else found[1]
        answer = partial(self._answer, request, operation)
        language = language_of(request.headers.get("accept-language"))
        try:
            if found is None:
                return self._other(request, language, answer)
            return self._call(request, found[0], operation, language, answer)
        except _Refused:
            return None
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
        self, request: Request, resource_id: str, operation: str, language: str, answer: Answer
    ) -> BodyReader | None:
        """Authenticate a call; raises a `CallError` when nobody is known to have sent it."""
        call, headers, signature = self._known(request, resource_id, _MODES[operation], language, answer)
        self._check_recorded(call, headers, signature)
        if self._held is not None and self._held.keeps(resource_id):
            return HeldBody(self._held, call, signature, operation)
        return _CallBody(self._answering, call, _DECODERS[operation], signature.content_digest)

    def _known(
        self, request: Request, resource_id: str, mode: Mode | None, language: str, answer: Answer
    ) -> tuple[Call, dict[str, str], RequestSignature]:
        """Find who sent a call, with its headers and its signature; raises a `CallError`."""
        now = datetime.now(UTC)
        headers, signature, application, owner = self._authenticated(request, now)
        if owner is None:
            entry = call_entry_id(signature.key_id, signature.created, signature.nonce)
            proof = self._sealing.proof(signature, application.algorithm)
        else:
            entry = session_entry_id(owner.session, owner.number)
            proof = self._sealing.proof(signature, MAC, owner.session, owner.number)
        call = Call(
            entry,
            now,
            application,
            _NO_CONTEXT,
            resource_id,
            mode or Mode.VERIFY,
            language,
            answer,
            proof=proof,
            has_mode=mode is not None,
        )
        return call, headers, signature

    def _check_recorded(self, call: Call, headers: dict[str, str], signature: RequestSignature) -> None:
        """Check a head, and refuse with an entry what is wrong with it; raises `_Refused` then."""
        try:
            _check_head(call, headers, signature)
        except SignatureStale as error:
            self._answering.refuse(call, CallRefused(error), call.entry)
            raise _Refused from None
        except CallError as error:
            self._answering.refuse_unused(call, error)
            raise _Refused from None

    def _authenticated(
        self, request: Request, now: datetime
    ) -> tuple[dict[str, str], RequestSignature, Application, SessionOwner | None]:
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
            owner = self._sessions.owner(signature, now)
            self._allowance.take(owner.application.id)
            return headers, signature, owner.application, owner
        application = self._keeper.current.by_key.get(signature.key_id)
        if application is None or not application.verify(signature.signature, signature.base):
            raise SignatureInvalid()
        self._allowance.take(application.id)
        return headers, signature, application, None

    def _session(self, request: Request, path: str, language: str, answer: Answer) -> BodyReader:
        """Take a request about sessions, which an application signs with its own key."""
        call, signature = self._own(request, "", None, language, answer)
        work = self._sessions.agreement if path == SESSIONS_PATH else self._sessions.head
        signed = Signed(call.application, signature, call.at)
        return work(signed, call, self._answering, partial(self._problem, language))

    def _other(self, request: Request, language: str, answer: Answer) -> BodyReader | None:
        """Answer everything that is not a call."""
        path = request.path
        if path in (SESSIONS_PATH, HEADS_PATH):
            return self._session(request, path, language, answer)
        if self._copies is not None and copies.is_route(path):
            return self._copy(self._copies, request, language, answer)
        if self._files is not None and (path.startswith(files.PREFIX) or files.LIST_ROUTE.fullmatch(path)):
            return self._file(self._files, request, language, answer)
        called = INTERFACE_ROUTE.fullmatch(path) if self._interfaces is not None else None
        if self._interfaces is not None and called is not None:
            return self._interface(self._interfaces, request, called, language, answer)
        tested = SANDBOX_ROUTE.fullmatch(path)
        if tested is not None:
            return self._sandbox(request, tested, language, answer)
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

    def _copy(self, work: Copies, request: Request, language: str, answer: Answer) -> BodyReader | None:
        """Take a request about copies: the fetch of a part by its link, or one signed with an own key."""
        problem = partial(self._problem, language)
        found = copies.route_of(request.path)
        if found is None:
            work.fetch(request, language, problem, self._allowance.take)
            return None
        call, digest = self._own_call(request, "", Mode.BULK, language, answer)

        def begin(asked: msgspec.Struct) -> None:
            work.begin(found[1], call, asked, problem)

        return SignedBody(digest, copies.DECODERS[found[0]], begin, partial(work.refuse_unused, call))

    def _file(self, work: Files, request: Request, language: str, answer: Answer) -> BodyReader | None:
        """Take a request for files: the fetch of one by its link, or a list signed with an own key."""
        problem = partial(self._problem, language)
        found = files.LIST_ROUTE.fullmatch(request.path)
        if found is None:
            work.fetch(request, language, problem, self._allowance.take)
            return None
        call, digest = self._own_call(request, found.group(1), Mode.BULK, language, answer)

        def begin(asked: FilesRequest) -> None:
            work.begin(call, asked, problem)

        return SignedBody(digest, files.DECODER, begin, partial(work.refuse_unused, call))

    def _interface(
        self, work: Interfaces, request: Request, called: re.Match[str], language: str, answer: Answer
    ) -> BodyReader:
        """Take a call of a department's own interface, signed with the application's own key."""
        call, digest = self._own_call(request, called.group(1), Mode.QUERY, language, answer)
        problem = partial(self._problem, language)

        def begin(asked: InterfaceRequest) -> None:
            work.begin(call, called.group(2), asked, problem)

        return SignedBody(digest, INTERFACE_DECODER, begin, partial(work.refuse_unused, call))

    def _sandbox(self, request: Request, tested: re.Match[str], language: str, answer: Answer) -> BodyReader:
        """Take a test call, signed with the application's own key."""
        mode = Mode.VERIFY if tested.group(2) == "verify" else Mode.QUERY
        call, headers, signature = self._known(request, tested.group(1), mode, language, answer)
        # Nothing of a test call is recorded, its refusals neither.
        if signature.key_id.startswith(SESSION_PREFIX):
            raise SignatureInvalid()
        _check_head(call, headers, signature)
        operation, digest = tested.group(3) or "", signature.content_digest
        return SandboxBody(self._keeper, call, operation, digest, partial(self._problem, language))

    def _own_call(
        self, request: Request, resource: str, mode: Mode, language: str, answer: Answer
    ) -> tuple[Call, str]:
        """Authenticate what an application signs with its own key; the call, and the digest of its body."""
        call, signature = self._own(request, resource, mode, language, answer)
        return call, signature.content_digest

    def _own(
        self, request: Request, resource: str, mode: Mode | None, language: str, answer: Answer
    ) -> tuple[Call, RequestSignature]:
        """Authenticate what an application signs with its own key; what is wrong with it has an entry."""
        call, headers, signature = self._known(request, resource, mode, language, answer)
        if signature.key_id.startswith(SESSION_PREFIX):
            self._answering.refuse_unused(call, SignatureInvalid())
            raise _Refused
        self._check_recorded(call, headers, signature)
        return call, signature

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


def _check_head(call: Call, headers: dict[str, str], signature: RequestSignature) -> None:
    """Look at what the head of an authenticated call says beside its signature; raises a `CallError`."""
    call.context = _context(headers["shuqiao-purpose"], headers["shuqiao-end-user"], headers["shuqiao-grant"])
    if not is_within_window(signature.created, call.at.timestamp()):
        raise SignatureStale(window_s=WINDOW_S)
    check_announced(headers)


def _request_of(decoder: Decoder, body: bytes) -> CallRequest:
    request: CallRequest = decode_body(decoder, body)
    # The number of the case is kept in the log as text, which can't hold every character.
    if not request.case.isprintable():
        raise RequestMalformed(part="case")
    return request


@lru_cache(maxsize=1024)
def _context(purpose: str, end_user: str, grant: str) -> CallContext:
    """Decode the signed headers; `-` says that nobody stands behind the application."""
    user = decode_word(end_user)
    return CallContext(decode_word(purpose), "" if user == "-" else user, decode_word(grant))


@lru_cache(maxsize=1024)
def _route_of(path: str) -> tuple[str, str] | None:
    """Give resource and operation of a call's path; None of any other path."""
    found = _CALL.fullmatch(path)
    return None if found is None else (found.group(1), found.group(2))
