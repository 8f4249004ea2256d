"""Calls the plane over HTTP: signs, sends, and checks the promise that comes with the answer."""

from __future__ import annotations

import base64
import binascii
import json
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, KeySigner, RequestSigner, sign_request
from shuqiao.security.sessions import (
    SessionCall,
    SessionSigner,
    accept_answer,
    answer_message,
    decode_key,
    encode_key,
    session_id,
)
from shuqiao.security.tls import client_context
from shuqiao.wire.receipt import HEADER, Promise, PromiseUnreadable, decode_promise, verify_promise

TIMEOUT_S = 10.0
SPARE_S = 5.0
"""A session that ends sooner is not begun a call with."""
MAX_ANSWER_BYTES = 4 * 1024 * 1024

_SESSION_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PromiseKeys = Mapping[str, keys.PublicKey]


class PlaneUnreachable(Exception):
    """The plane could not be reached, or what came back is no answer of a plane."""


class PromiseBroken(Exception):
    """The answer's promise is missing or does not hold; the answer must not be relied on."""


@dataclass(slots=True)
class SessionBook:
    """The sessions of a client: the one in use, and those whose calls are not signed yet."""

    signer: KeySigner
    current: SessionSigner | None = None
    unsigned: dict[UUID, SessionSigner] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlaneAnswer:
    """What the plane answered: HTTP status, JSON body, and the promise once it was checked.

    `promise_text` is the promise as it was sent, to be kept as evidence.
    """

    status: int
    body: dict[str, Any]
    promise: Promise | None = None
    promise_text: str = ""

    @property
    def is_answered(self) -> bool:
        """The call was answered and not refused."""
        return self.status == 200

    @property
    def code(self) -> str | None:
        """The stable code of a refusal."""
        code = self.body.get("code")
        return str(code) if code is not None else None


@dataclass(frozen=True, slots=True)
class InterfaceAnswer:
    """What came back of a department's interface: its bytes, JSON or a file, and the promise about them."""

    status: int
    media_type: str
    content: bytes
    promise: Promise | None = None

    @property
    def is_answered(self) -> bool:
        """The call was answered and not refused."""
        return self.status == 200

    @property
    def is_json(self) -> bool:
        """Whether it is JSON, a refusal included."""
        return self.media_type in ("application/json", "application/problem+json")


def load_promise_keys(entries: list[dict[str, str]]) -> dict[str, keys.PublicKey]:
    """Read public keys (base64 of SubjectPublicKeyInfo DER) and hold each against its id."""
    loaded: dict[str, keys.PublicKey] = {}
    for entry in entries:
        try:
            der = base64.b64decode(entry["public_key"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise keys.KeyRefusedError("a promise key is not base64") from error
        if keys.key_id(der) != entry["id"]:
            raise keys.KeyRefusedError("a promise key does not belong to its id")
        loaded[entry["id"]] = keys.load_public_der(der)
    return loaded


class PlaneClient:
    """Makes signed calls as one application; not for several threads at once.

    With `promise_keys` every recorded answer must carry a promise that holds, else `PromiseBroken`.
    Calls are never repeated: a repeated signature is refused, and a new one is a new call in the log.

    An https address needs a certificate of the machine's authorities, or of the one in `ca_file` alone.

    With `use_sessions` calls carry session keys: the client agrees them, changes them when they are used up,
    and signs their calls with the application's own key, at the latest when it is closed. Of sessions that an
    earlier run left unsigned it tells the platform that their record is lost.
    """

    def __init__(
        self,
        url: str,
        signer: RequestSigner,
        *,
        promise_keys: PromiseKeys | None = None,
        timeout_s: float = TIMEOUT_S,
        language: str = "zh",
        ca_file: Path | None = None,
    ) -> None:
        """Keep the settings; the first call connects. Raises `TlsRefused` for a `ca_file` of no use."""
        self._signer = signer
        self._sessions: SessionBook | None = None
        self._promise_keys = promise_keys
        self._tls = client_context(ca_file)
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            timeout=timeout_s,
            verify=self._tls,
            headers={"accept-language": language},
            trust_env=False,
        )

    @property
    def tls(self) -> ssl.SSLContext:
        """Whom it trusts; for downloads beside the calls."""
        return self._tls

    def close(self) -> None:
        """Sign what is not signed yet, and close the connections."""
        try:
            if self._sessions is not None:
                self._sign_sessions(self._sessions)
        finally:
            self._http.close()

    def __enter__(self) -> PlaneClient:
        """Use the client in a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def verify(
        self, resource: str, subject: str, claims: Mapping[str, str], *, case: str = "", context: CallContext
    ) -> PlaneAnswer:
        """Ask whether claims agree with a record."""
        body: dict[str, Any] = {"subject": subject, "claims": dict(claims)}
        return self._call(resource, "verify", body, case, context)

    def query(
        self, resource: str, subject: str, items: list[str], *, case: str = "", context: CallContext
    ) -> PlaneAnswer:
        """Ask for items of a record; without items for all that is granted."""
        body: dict[str, Any] = {"subject": subject}
        if items:
            body["items"] = items
        return self._call(resource, "query", body, case, context)

    def verify_batch(
        self,
        resource: str,
        subjects: Sequence[tuple[str, Mapping[str, str]]],
        *,
        case: str = "",
        context: CallContext,
    ) -> PlaneAnswer:
        """Ask of each of up to 1,000 subjects whether claims about it agree; all claim the same items."""
        asked = [{"subject": subject, "claims": dict(claims)} for subject, claims in subjects]
        return self._call(resource, "verify-batch", {"subjects": asked}, case, context)

    def query_batch(
        self,
        resource: str,
        subjects: Sequence[str],
        items: list[str],
        *,
        case: str = "",
        context: CallContext,
    ) -> PlaneAnswer:
        """Ask for items of each of up to 1,000 records; without items for all that is granted."""
        body: dict[str, Any] = {"subjects": list(subjects)}
        if items:
            body["items"] = items
        return self._call(resource, "query-batch", body, case, context)

    def _call(
        self, resource: str, operation: str, body: dict[str, Any], case: str, context: CallContext
    ) -> PlaneAnswer:
        if case:
            body["case"] = case
        path = f"/v1/resources/{quote(resource, safe='')}/{operation}"
        signer = self._signer if self._sessions is None else self._session_of(self._sessions)
        response = self._post(path, body, context, signer)
        if isinstance(signer, SessionSigner) and response.status_code == 200:
            signer.note_answer(response.content)
        text = response.headers.get(HEADER, "")
        return PlaneAnswer(
            response.status_code, _json_of(response), self._checked_promise(response, text), text
        )

    def use_sessions(self, signer: KeySigner) -> SessionSigner:
        """Sign calls with session keys from now on, which are agreed with the application's own key."""
        self._sessions = SessionBook(signer)
        return self._session_of(self._sessions)

    def _session_of(self, book: SessionBook) -> SessionSigner:
        """Give the session for the next call; one that is used up is signed and another agreed."""
        current = book.current
        if current is None or current.is_used_up or current.expires_at - time.time() < SPARE_S:
            self._sign_sessions(book)
            book.current = current = self.agree_session(book.signer)
        return current

    def _sign_sessions(self, book: SessionBook) -> None:
        """Sign the calls of every session that has unsigned ones."""
        if book.current is not None:
            book.unsigned[session_id(book.current.key_id)] = book.current
            book.current = None
        for number, session in list(book.unsigned.items()):
            self.sign_session(book.signer, session)
            del book.unsigned[number]

    def sign_session(self, signer: KeySigner, session: SessionSigner) -> None:
        """Sign the calls of a session with the application's own key; raises `PlaneUnreachable`."""
        if session.calls:
            self._sign_head(signer, session_id(session.key_id), session.calls)

    def _sign_head(self, signer: KeySigner, session: UUID, calls: Sequence[SessionCall]) -> None:
        """Sign a list of calls; an empty one says that the record of them is lost."""
        listed = [
            [number, encode_key(call.request), encode_key(call.answer) if call.answer is not None else ""]
            for number, call in enumerate(calls)
        ]
        body = {"session": str(session), "calls": listed, "lost": not listed}
        response = self._post("/v1/sessions/heads", body, CallContext(), signer)
        if response.status_code != 200:
            code = _json_of(response).get("code", response.status_code)
            raise PlaneUnreachable(f"the calls of a session could not be signed: {code}")

    def agree_session(self, signer: KeySigner) -> SessionSigner:
        """Agree a session key with the application's own key; whoever uses it signs its calls in time."""
        own = X25519PrivateKey.generate()
        client = own.public_key().public_bytes_raw()
        body = {"public_key": encode_key(client)}
        response = self._post("/v1/sessions", body, CallContext(), signer)
        if response.status_code == 403:
            # Sessions of an earlier run of this application, whose record ended with it.
            for lost in _SESSION_ID.findall(str(_json_of(response).get("detail", ""))):
                self._sign_head(signer, UUID(lost), ())
            response = self._post("/v1/sessions", body, CallContext(), signer)
        answer = _json_of(response)
        if response.status_code != 200:
            said = answer.get("detail") or response.status_code
            raise PlaneUnreachable(f"no session was agreed: {answer.get('code', '')} {said}")
        try:
            server, expires_at = decode_key(answer["public_key"]), float(answer["expires_at"])
            self._check_session(answer, client, server)
            return accept_answer(own, server, signer.key_id, answer["key_id"], expires_at)
        except (KeyError, TypeError, ValueError) as error:
            raise PlaneUnreachable("the answer agrees no session") from error

    def _check_session(self, answer: dict[str, Any], client: bytes, server: bytes) -> None:
        if self._promise_keys is None:
            return
        key = self._promise_keys.get(answer["signed_by"])
        message = answer_message(client, server, answer["key_id"], answer["expires_at"])
        if key is None or not keys.verify("ed25519", key, decode_key(answer["signature"]), message):
            raise PromiseBroken("the session was not agreed with the platform")

    def _post(
        self,
        path: str,
        body: dict[str, Any],
        context: CallContext,
        signer: RequestSigner,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        target = ("POST", self._http.base_url.netloc.decode("ascii"), path)
        headers = sign_request(signer, target, raw, context, int(time.time()))
        headers["content-type"] = "application/json"
        try:
            timeout = self._http.timeout if timeout_s is None else httpx.Timeout(timeout_s)
            response = self._http.post(path, content=raw, headers=headers, timeout=timeout)
        except httpx.HTTPError as error:
            raise PlaneUnreachable(_reason(error, str(self._http.base_url))) from error
        if len(response.content) > MAX_ANSWER_BYTES:
            raise PlaneUnreachable("the answer is too large")
        return response

    def post(
        self,
        path: str,
        body: dict[str, Any],
        context: CallContext,
        *,
        is_recorded: bool = True,
        timeout_s: float | None = None,
    ) -> PlaneAnswer:
        """Make a signed request of another kind; what is not recorded carries no promise."""
        response = self._post(path, body, context, self._signer, timeout_s)
        text = response.headers.get(HEADER, "")
        promise = self._checked_promise(response, text) if is_recorded or text else None
        return PlaneAnswer(response.status_code, _json_of(response), promise, text)

    def interface(
        self,
        resource: str,
        operation: str,
        body: dict[str, Any],
        context: CallContext,
        *,
        is_sample: bool = False,
    ) -> InterfaceAnswer:
        """Call an operation of a department's own interface; a sample asks nobody and is not recorded."""
        begin = "/v1/sandbox/resources" if is_sample else "/v1/resources"
        path = f"{begin}/{quote(resource, safe='')}/interface/{quote(operation, safe='')}"
        response = self._post(path, body, context, self._signer)
        text = response.headers.get(HEADER, "")
        promise = None if is_sample and not text else self._checked_promise(response, text)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return InterfaceAnswer(response.status_code, kind, response.content, promise)

    def _checked_promise(self, response: httpx.Response, text: str) -> Promise | None:
        """Check the promise of a recorded answer; answers that were not recorded carry none."""
        if not text:
            if response.status_code == 200 and self._promise_keys is not None:
                raise PromiseBroken("the answer came without a promise")
            return None
        try:
            promise = decode_promise(text)
        except PromiseUnreadable as error:
            raise PromiseBroken("the promise can't be read") from error
        if self._promise_keys is not None:
            key = self._promise_keys.get(promise.key_id)
            if key is None or not verify_promise(promise, response.content, key):
                raise PromiseBroken("the promise is not the platform's about this answer")
        return promise


def _reason(error: httpx.HTTPError, url: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"the certificate of {url} is not vouched for, or not for this name; whose is it?"
    return f"{type(error).__name__} at {url}"


def _json_of(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError as error:
        raise PlaneUnreachable("the answer is not JSON") from error
    if not isinstance(body, dict):
        raise PlaneUnreachable("the answer is not a JSON object")
    return body
