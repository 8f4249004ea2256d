"""Session keys: an application signs once with its own key and then authenticates calls with a MAC.

Both sides derive the secret from an X25519 exchange. The platform keeps no table of sessions: the key id
is the session itself, sealed under a key that all workers of the plane share, so any of them can open it.

The platform holds the secret too, so a MAC proves nothing to a third party. A session therefore serves few
calls for a short time, numbered by their nonces, and the application signs the list of them with its own key.

Source: our choice, decisions 5 and 21
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shuqiao.rules.entry_ids import timed_id
from shuqiao.security.http_signatures import SESSION_PREFIX, Verify, session_verifier
from shuqiao.security.suites import DigestName

LIFETIME_S = 60
MAX_CALLS = 1000
SIGN_WITHIN_S = 60
"""How long after a session's end its calls may stand unsigned before no other session is agreed."""
SEALING_KEY_BYTES = 32
_SEAL_LABEL = b"shuqiao-session-v1"
_ANSWER_LABEL = b"shuqiao-session-answer-v1\n"
_CACHED_SESSIONS = 4096
_TIME_BYTES = 4
_NUMBER = re.compile(r"0{13}([0-9]{3})")
_REQUEST_LABEL = b"shuqiao-request-v1\n"
_DELIVERED_LABEL = b"shuqiao-delivered-v1\n"


class SessionRefused(ValueError):
    """A key id that is no session of this platform, or an exchange that can't be made."""


class Session(msgspec.Struct, frozen=True, array_like=True):
    """A session: whose it is, the key that agreed it, until when (Unix seconds), and its secret."""

    application: str
    agreed_by: str
    expires_at: int
    secret: bytes


class OpenSession(NamedTuple):
    """A session as the platform uses it: as `Session`, with its id and the check of its secret."""

    id: UUID
    application: str
    agreed_by: str
    expires_at: int
    verify: Verify


def session_id(key_id: str) -> UUID:
    """Give the id of a session: when it was agreed, as its key id says, and SHA-256 of the key id."""
    try:
        agreed_s = int.from_bytes(decode_key(key_id[len(SESSION_PREFIX) :])[:_TIME_BYTES], "big")
    except SessionRefused:
        # No platform made it, so there is no time that it could name.
        agreed_s = 0
    return timed_id(1000 * agreed_s, hashlib.sha256(key_id.encode("ascii")).digest())


def call_nonce(number: int) -> str:
    """Give the nonce of a session's call: its number from 0, in 16 digits."""
    return f"{number:016d}"


def call_number(nonce: str) -> int | None:
    """Read the number of a session's call; None of any other nonce."""
    found = _NUMBER.fullmatch(nonce)
    return None if found is None else int(found.group(1))


def request_digest(base: bytes, signature: bytes) -> bytes:
    """Give the digest that stands for a signed request in the log and in signed heads.

    The signature is known to the two sides only, so whoever sees the digest can't try out what was asked.
    """
    size = len(signature).to_bytes(1, "big")
    return hashlib.sha256(_REQUEST_LABEL + size + signature + base).digest()


def delivery_digest(signature: bytes, answer: bytes) -> bytes:
    """Give the digest that stands for an answer (SHA-256 of its body) in a signed head."""
    size = len(signature).to_bytes(1, "big")
    return hashlib.sha256(_DELIVERED_LABEL + size + signature + answer).digest()


@dataclass(slots=True)
class SessionCall:
    """One call as the application remembers it: the digests of request and answer, and the signature."""

    request: bytes
    signature: bytes
    answer: bytes | None = None


@dataclass(slots=True)
class SessionSigner:
    """Signs requests with the secret of a session and remembers them for the signed head; one thread."""

    key_id: str
    secret: bytes
    expires_at: float = float("inf")
    calls: list[SessionCall] = field(default_factory=list)
    digest_name: DigestName = "sha-256"

    @property
    def is_used_up(self) -> bool:
        """No number is left."""
        return len(self.calls) >= MAX_CALLS

    def new_nonce(self) -> str:
        """Give the nonce of the next call."""
        return call_nonce(len(self.calls))

    def sign(self, message: bytes) -> bytes:
        """Give the HMAC-SHA-256 of the message."""
        signature = hmac.digest(self.secret, message, "sha256")
        self.calls.append(SessionCall(request_digest(message, signature), signature))
        return signature

    def note_answer(self, body: bytes) -> None:
        """Remember the answer to the last call."""
        last = self.calls[-1]
        last.answer = delivery_digest(last.signature, hashlib.sha256(body).digest())


def encode_key(raw: bytes) -> str:
    """Write 32 bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_key(text: str) -> bytes:
    """Read base64url without padding in its one canonical spelling; raises `SessionRefused`."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SessionRefused("not base64url") from error
    if encode_key(raw) != text:
        raise SessionRefused("not base64url in canonical form")
    return raw


def derive_secret(own: X25519PrivateKey, other: bytes, client: bytes, server: bytes, agreed_by: str) -> bytes:
    """Derive the MAC secret from both ephemeral keys, bound to the key that signed the agreement."""
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError as error:
        raise SessionRefused("not a usable X25519 public key") from error
    salt = hashlib.sha256(client + server).digest()
    info = _SEAL_LABEL + b"\n" + agreed_by.encode("ascii")
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(shared)


def answer_message(client: bytes, server: bytes, key_id: str, expires_at: int) -> bytes:
    """Give the bytes the platform signs so that nobody between can take the server's place."""
    return _ANSWER_LABEL + client + server + f"{key_id}\n{expires_at}".encode("ascii")


class SessionSealer:
    """Makes sessions and opens their key ids. Does not know which applications are active."""

    def __init__(self, sealing_key: bytes) -> None:
        """Take the key shared by all workers: 32 random bytes."""
        if len(sealing_key) != SEALING_KEY_BYTES:
            raise ValueError("the key that seals sessions must have 32 bytes")
        self._cipher = AESGCM(sealing_key)
        self._decoder = msgspec.msgpack.Decoder(Session)
        self._opened: dict[str, OpenSession] = {}

    def agree(self, application: str, agreed_by: str, client: bytes, now: int) -> tuple[str, bytes, int]:
        """Answer an application's ephemeral key: (key id, the server's ephemeral key, expiry)."""
        own = X25519PrivateKey.generate()
        server = own.public_key().public_bytes_raw()
        secret = derive_secret(own, client, client, server, agreed_by)
        session = Session(application, agreed_by, now + LIFETIME_S, secret)
        # Of the nonce's twelve bytes eight are chance: enough for a second, and the time never comes again.
        nonce = now.to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(12 - _TIME_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, msgspec.msgpack.encode(session), _SEAL_LABEL)
        return SESSION_PREFIX + encode_key(sealed), server, session.expires_at

    def open(self, key_id: str) -> OpenSession:
        """Open a session's key id; raises `SessionRefused`. The caller checks expiry and application."""
        known = self._opened.get(key_id)
        if known is not None:
            return known
        sealed = decode_key(key_id[len(SESSION_PREFIX) :])
        try:
            session = self._decoder.decode(self._cipher.decrypt(sealed[:12], sealed[12:], _SEAL_LABEL))
        except (InvalidTag, ValueError, msgspec.MsgspecError) as error:
            raise SessionRefused("not a session of this platform") from error
        if len(self._opened) >= _CACHED_SESSIONS:
            del self._opened[next(iter(self._opened))]
        opened = OpenSession(
            session_id(key_id),
            session.application,
            session.agreed_by,
            session.expires_at,
            session_verifier(session.secret),
        )
        self._opened[key_id] = opened
        return opened


def accept_answer(
    own: X25519PrivateKey, server: bytes, agreed_by: str, key_id: str, expires_at: float = float("inf")
) -> SessionSigner:
    """Finish the exchange on the application's side."""
    client = own.public_key().public_bytes_raw()
    return SessionSigner(key_id, derive_secret(own, server, client, server, agreed_by), expires_at)
