"""Signatures of HTTP requests: one fixed profile of RFC 9421, read strictly.

The label is `sq`; the covered components, their order and the three parameters are fixed; the body is
bound by `Content-Digest` with SHA-256, or with SM3 where the caller's suite is the national one. Whatever
differs is refused, however valid RFC 9421 may find it.
This module reads and checks; it knows no applications, keeps no nonces and looks at no clock.

Source: our choice, decisions 5 and 31
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple, Protocol
from urllib.parse import quote, unquote_to_bytes

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from shuqiao.rules.errors import RequestMalformed, SignatureMissing
from shuqiao.security import keys
from shuqiao.security.suites import DigestName, digest_by

WINDOW_S = 300
SESSION_PREFIX = "s."

_COMPONENTS = (
    '("@method" "@authority" "@path" "content-digest" "shuqiao-purpose" "shuqiao-end-user" "shuqiao-grant")'
)
_INPUT_PREFIX = "sq=" + _COMPONENTS
_PREFIX_LENGTH = len(_INPUT_PREFIX)
_NONCE = r'nonce="(?P<nonce{0}>[A-Za-z0-9_-]{{16,64}})"'
_KEY_ID = r'keyid="(?P<key_id{0}>[0-9a-f]{{16}}|s\.[A-Za-z0-9_-]{{40,600}})"'
# The most used Python library writes keyid before nonce; both orders are signed as they are written.
_PARAMETERS = re.compile(
    r";created=(?P<created>[1-9][0-9]{9});(?:"
    + (_NONCE + ";" + _KEY_ID).format("")
    + "|"
    + (_KEY_ID + ";" + _NONCE).format("_2")
    + ")"
)
# The last character before the padding has unused bits; only the one spelling with zeros is let in.
_SIGNATURE = re.compile(r"sq=:((?:[A-Za-z0-9+/]{85}[AQgw]==)|(?:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)):")
_WORD = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2}){1,512}")
# The same few purposes, users, grants and hosts come again and again.
_REMEMBERED = 1024
_AUTHORITY = re.compile(r"[a-z0-9.-]{1,253}(?::[1-9][0-9]{0,4})?|\[[0-9a-f:.]{2,45}\](?::[1-9][0-9]{0,4})?")

SIGNED_HEADERS = ("shuqiao-purpose", "shuqiao-end-user", "shuqiao-grant")
_SINGLE = frozenset(
    {
        *SIGNED_HEADERS,
        "content-digest",
        "content-length",
        "content-type",
        "host",
        "signature",
        "signature-input",
        "transfer-encoding",
        "accept-language",
    }
)


class RequestSignature(NamedTuple):
    """A signature as it was read, with the bytes it must cover. Reading it proves nothing yet.

    `covered` is what varies of those bytes, one value a line: `base_of` makes the base of it again.
    """

    key_id: str
    created: int
    nonce: str
    signature: bytes
    base: bytes
    content_digest: str
    covered: str = ""


Verify = Callable[[bytes, bytes], bool]
"""Tells whether (signature, message) belong together; one such function for each key."""


class RequestSigner(Protocol):
    """What signs requests: an application's private key, or the secret of a session."""

    @property
    def key_id(self) -> str:
        """The id sent as `keyid`."""

    @property
    def digest_name(self) -> DigestName:
        """By what the bodies of the requests it signs are digested."""

    def new_nonce(self) -> str:
        """Give a nonce this key has not used."""

    def sign(self, message: bytes) -> bytes:
        """Give the signature in the form RFC 9421 section 3.3 sends (for ECDSA: r and s, 32 bytes each)."""


def single_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Collect headers (names in lower case); one that decides something and comes twice is refused."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        if name in headers and name in _SINGLE:
            raise RequestMalformed(part=name)
        headers[name] = value
    return headers


def content_digest(body: bytes, name: DigestName = "sha-256") -> str:
    """Give the value of `Content-Digest` for a body (RFC 9530); `sm3` is a key of this profile's own."""
    # Every call comes through here, so its usual digest goes the short way.
    digest = hashlib.sha256(body).digest() if name == "sha-256" else digest_by(name, body)
    return f"{name}=:{base64.b64encode(digest).decode('ascii')}:"


@lru_cache(maxsize=_REMEMBERED)
def _is_word(value: str) -> bool:
    return _WORD.fullmatch(value) is not None


@lru_cache(maxsize=_REMEMBERED)
def _is_authority(value: str) -> bool:
    return _AUTHORITY.fullmatch(value) is not None


def _covered(method: str, authority: str, path: str, headers: Mapping[str, str], rest: str) -> str:
    return (
        f"{method}\n{authority}\n{path}\n{headers['content-digest']}\n{headers['shuqiao-purpose']}\n"
        f"{headers['shuqiao-end-user']}\n{headers['shuqiao-grant']}\n{rest}"
    )


def base_of(covered: str) -> bytes:
    """Give the signature base of the values it covers; ValueError for any other number of lines."""
    return _base(*covered.split("\n"))


def _base(
    method: str, authority: str, path: str, digest: str, purpose: str, end_user: str, grant: str, rest: str
) -> bytes:
    text = (
        f'"@method": {method}\n"@authority": {authority}\n"@path": {path}\n"content-digest": {digest}\n'
        f'"shuqiao-purpose": {purpose}\n"shuqiao-end-user": {end_user}\n"shuqiao-grant": {grant}\n'
        f'"@signature-params": {_COMPONENTS}{rest}'
    )
    return text.encode("ascii", "strict")


class Covered(NamedTuple):
    """The values a signature of the profile covers, told apart."""

    method: str
    authority: str
    path: str
    content_digest: str
    purpose: str
    end_user: str
    grant: str
    created: int
    nonce: str
    key_id: str


def read_covered(covered: str) -> Covered:
    """Tell apart what `RequestSignature.covered` holds; ValueError for anything else."""
    *values, rest = covered.split("\n")
    parameters = _PARAMETERS.fullmatch(rest)
    if parameters is None or len(values) != len(Covered._fields) - 3:
        raise ValueError("not what a signature of the profile covers")
    created, nonce, key_id, key_id_2, nonce_2 = parameters.groups()
    method, authority, path, digest, purpose, end_user, grant = values
    return Covered(
        method, authority, path, digest, purpose, end_user, grant,
        int(created), nonce or nonce_2, key_id or key_id_2,
    )  # fmt: skip


def read_signature(method: str, path: str, headers: Mapping[str, str]) -> RequestSignature:
    """Read the signature of a request and build its base.

    `path` is the path as sent, without a query. The caller has collected the headers with
    `single_headers` and checks the body with `content_digest` and the time with `is_within_window`.
    Raises `SignatureMissing` or `RequestMalformed`.
    """
    given, signature_header = headers.get("signature-input"), headers.get("signature")
    if given is None or signature_header is None:
        raise SignatureMissing()
    if not given.startswith(_INPUT_PREFIX):
        raise RequestMalformed(part="signature-input")
    rest = given[_PREFIX_LENGTH:]
    parameters = _PARAMETERS.fullmatch(rest)
    if parameters is None:
        raise RequestMalformed(part="signature-input")
    encoded = _SIGNATURE.fullmatch(signature_header)
    if encoded is None:
        raise RequestMalformed(part="signature")
    for name in SIGNED_HEADERS:
        if not _is_word(headers.get(name, "")):
            raise RequestMalformed(part=name)
    authority = headers.get("host", "").lower()
    if not _is_authority(authority):
        raise RequestMalformed(part="host")
    if "content-digest" not in headers:
        raise RequestMalformed(part="content-digest")
    created, nonce, key_id, key_id_2, nonce_2 = parameters.groups()
    try:
        covered = _covered(method, authority, path, headers, rest)
        base = base_of(covered)
    except ValueError:
        raise RequestMalformed(part="signed headers") from None
    signature = base64.b64decode(encoded.group(1))
    return RequestSignature(
        key_id or key_id_2,
        int(created),
        nonce or nonce_2,
        signature,
        base,
        headers["content-digest"],
        covered,
    )


def is_within_window(created: int, now: float) -> bool:
    """Tell whether a signature's time is at most 300 seconds from now, in either direction."""
    return abs(now - created) <= WINDOW_S


def is_digest_of(given: str, body: bytes) -> bool:
    """Tell whether a `Content-Digest` is exactly one digest of the body, by SHA-256 or by SM3."""
    right = content_digest(body, "sm3" if given.startswith("sm3=") else "sha-256")
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode("ascii"))


def decode_word(value: str) -> str:
    """Decode a percent-encoded signed header; raises `RequestMalformed` when it isn't printable UTF-8."""
    if "%" not in value:
        return value
    try:
        text = unquote_to_bytes(value).decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise RequestMalformed(part="signed headers") from None
    if not text.isprintable():
        raise RequestMalformed(part="signed headers")
    return text


def encode_word(value: str) -> str:
    """Percent-encode a text for a signed header; an empty one becomes `-`."""
    return quote(value, safe="") or "-"


def request_verifier(algorithm: str, public_key: bytes) -> Verify:
    """Make the check of one application's key (SubjectPublicKeyInfo DER); raises `KeyRefusedError`."""
    key = keys.load_public_der(public_key)
    return partial(keys.verify, algorithm, key)


def session_verifier(secret: bytes) -> Verify:
    """Make the check of one session's secret: HMAC-SHA-256, compared in constant time."""
    return partial(_is_mac, HMAC(secret, SHA256()))


def _is_mac(keyed: HMAC, signature: bytes, message: bytes) -> bool:
    # Feeding the key in costs more than the message, so it was done once.
    fresh = keyed.copy()
    fresh.update(message)
    return hmac.compare_digest(fresh.finalize(), signature)


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a caller says about a call besides its body: purpose, end user, grant (or `auto`)."""

    purpose: str = "auto"
    end_user: str = ""
    grant: str = "auto"


def sign_request(
    signer: RequestSigner,
    target: tuple[str, str, str],
    body: bytes,
    context: CallContext,
    created: int,
    nonce: str | None = None,
) -> dict[str, str]:
    """Give the headers that sign a request to `target` (method, authority, path) in the fixed profile.

    `created` is Unix time in seconds. The signer draws the nonce unless it is given.
    """
    method, authority, path = target
    headers = {
        "content-digest": content_digest(body, signer.digest_name),
        "shuqiao-purpose": encode_word(context.purpose),
        "shuqiao-end-user": encode_word(context.end_user),
        "shuqiao-grant": encode_word(context.grant),
    }
    rest = f';created={created};nonce="{nonce or signer.new_nonce()}";keyid="{signer.key_id}"'
    signature = signer.sign(base_of(_covered(method, authority.lower(), path, headers, rest)))
    headers["signature-input"] = _INPUT_PREFIX + rest
    headers["signature"] = "sq=:" + base64.b64encode(signature).decode("ascii") + ":"
    return headers


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs requests with an application's own private key."""

    key: keys.SigningKey
    key_id: str

    @property
    def digest_name(self) -> DigestName:
        """The digest of the suite whose key this is."""
        return "sm3" if keys.algorithm_of(self.key) == "sm2-sm3" else "sha-256"

    def new_nonce(self) -> str:
        """Draw a nonce at random."""
        return secrets.token_urlsafe(16)

    def sign(self, message: bytes) -> bytes:
        """Give the signature in the form RFC 9421 sends."""
        return keys.sign(keys.algorithm_of(self.key), self.key, message)


def key_signer(key: keys.SigningKey) -> KeySigner:
    """Make the signer of an application's private key; its id is that of the public key."""
    return KeySigner(key, keys.key_id(key.public_key()))
