"""A one-use token that admits a node, and what is said with it; its secret never travels.

Two values are made from the secret, each one-way. A signing key: the node signs what it asks with it, the hub
keeps only the public half, so who reads the hub's database can't ask in a node's place. And a key of the
hub's answer: the node takes no admission that doesn't bear its mark.
Source: our choice, decision 40.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Literal
from uuid import UUID, uuid4

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shuqiao.security import keys
from shuqiao.wire.enrolment import NodeRequest
from shuqiao.wire.subjects import check_department

PREFIX = "sqn1."
MAX_TOKEN_CHARS = 1024
MAX_REQUEST_BYTES = 4096
MAX_ROUND = 1_000_000
SECRET_BYTES = 32


class TokenRefused(ValueError):
    """The text is no token."""


class EnrolmentToken(msgspec.Struct, frozen=True):
    """What a token carries: whom to ask, how to know that server, for which department, and the secret.

    `pin` is the SHA-256 of the pages' certificate (DER, hex), empty where a proxy of the platform ends TLS.
    """

    id: UUID
    department: str
    url: str
    pin: str
    secret: bytes


class EnrolmentRequest(msgspec.Struct, frozen=True):
    """What a node asks; `round` rises with each renewal. Signed with the token's key and the node's own."""

    token: UUID
    request: NodeRequest
    round: int
    proof: bytes
    signature: bytes


class EnrolmentAnswer(msgspec.Struct, frozen=True):
    """How far it is; an admission comes as the bytes of its JSON, with their mark."""

    state: Literal["waiting", "admitted"]
    admission: bytes = b""
    mac: bytes = b""


def create_token(department: str, url: str, pin: str) -> EnrolmentToken:
    """Draw a new token."""
    check_department(department)
    return EnrolmentToken(uuid4(), department, url, pin, secrets.token_bytes(SECRET_BYTES))


def write_token(token: EnrolmentToken) -> str:
    """Write it as one word to be copied."""
    return PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(token)).rstrip(b"=").decode("ascii")


def read_token(text: str) -> EnrolmentToken:
    """Read it; raises `TokenRefused`."""
    word = text.strip()
    try:
        if not word.startswith(PREFIX) or len(word) > MAX_TOKEN_CHARS:
            raise TokenRefused("this is no token of a node")
        coded = word.removeprefix(PREFIX)
        content = base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True)
        token = msgspec.msgpack.decode(content, type=EnrolmentToken)
        check_department(token.department)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise TokenRefused("this is no token of a node: copy all of it") from None
    if len(token.secret) != SECRET_BYTES or not token.url.startswith(("https://", "http://")):
        raise TokenRefused("this is no token of a node: copy all of it")
    return token


def verifier_of(token: EnrolmentToken) -> bytes:
    """The public half of the key that signs what is asked: 32 bytes that the hub keeps."""
    return _proof_key(token).public_key().public_bytes_raw()


def answer_key_of(token: EnrolmentToken) -> bytes:
    """The key of the hub's answer: 32 bytes that the hub keeps."""
    return _derived(token, b"shuqiao node enrolment answer")


def sign_request(
    token: EnrolmentToken, request: NodeRequest, key: keys.SigningKey, turn: int
) -> EnrolmentRequest:
    """Sign what a node asks with the token's key, and with the node's own to show that it has it."""
    said = _statement(token.id, request, turn)
    return EnrolmentRequest(
        token.id, request, turn, _proof_key(token).sign(said), keys.sign("ed25519", key, said)
    )


def is_proved(asked: EnrolmentRequest, verifier: bytes, department: str) -> bool:
    """Tell whether who asks holds the token's secret and the new signing key, and asks for its department."""
    said = _statement(asked.token, asked.request, asked.round)
    try:
        Ed25519PublicKey.from_public_bytes(verifier).verify(asked.proof, said)
        key = keys.load_public_der(asked.request.signing_key)
        is_own = isinstance(key, Ed25519PublicKey) and keys.verify("ed25519", key, asked.signature, said)
    except (InvalidSignature, ValueError, keys.KeyRefusedError):
        return False
    return is_own and asked.request.department == department and 1 <= asked.round <= MAX_ROUND


def mark(answer_key: bytes, asked: EnrolmentRequest, admission: bytes) -> bytes:
    """The mark of an answer: bound to the token, the keys and the round it answers."""
    said = hashlib.sha256(_statement(asked.token, asked.request, asked.round)).digest()
    return hmac.digest(answer_key, said + admission, "sha256")


def is_marked(token: EnrolmentToken, asked: EnrolmentRequest, answer: EnrolmentAnswer) -> bool:
    """Tell whether the answer is the hub's own, to this very request."""
    return hmac.compare_digest(mark(answer_key_of(token), asked, answer.admission), answer.mac)


def fingerprint(signing_key: bytes, nats_user: str) -> str:
    """A short word for a node's two keys, which people compare: 8 groups of 4 hex digits."""
    digest = hashlib.sha256(signing_key + nats_user.encode()).hexdigest()
    return " ".join(digest[at : at + 4] for at in range(0, 32, 4))


def _statement(token: UUID, request: NodeRequest, turn: int) -> bytes:
    return b"shuqiao node enrolment\n" + msgspec.json.encode([token, request, turn])


def _proof_key(token: EnrolmentToken) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_derived(token, b"shuqiao node enrolment request"))


def _derived(token: EnrolmentToken, use: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=token.id.bytes, info=use).derive(token.secret)
