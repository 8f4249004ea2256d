"""A copy's content key, sealed to its recipient: whoever keeps or carries the copy can't open it.

The recipient's key is X25519, sealing is that of `security.sealing` (HKDF-SHA-256, AES-256-GCM). Written
down, the public half is base64 of its SubjectPublicKeyInfo. There is no sealing to SM2 keys.

Digests of a sealed copy are made over a salt and the content: they commit to the content, and let nobody but
the recipient try out what it may be. The salt follows from the content key.
Source: our choice, decision 50
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from shuqiao.security import keys
from shuqiao.security.at_rest import FileKey
from shuqiao.security.sealing import SealRefusedError, open_sealed, seal
from shuqiao.security.suites import INTERNATIONAL

SALT_BYTES = 32
SALT_FILE = "manifest.salt"
"""Beside the parts at the recipient's, in hexadecimal: with it anybody may hold them against the manifest."""

_SALT_LABEL = b"shuqiao salt of digests 1\x00"


class RecipientUnfit(ValueError):
    """Text that is no public key to which a copy can be sealed."""


def read_recipient(text: str) -> X25519PublicKey:
    """Read a recipient's public key; raises `RecipientUnfit`."""
    try:
        key = keys.load_public_der(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, keys.KeyRefusedError):
        raise RecipientUnfit("not base64 of a public key") from None
    if not isinstance(key, X25519PublicKey) or write_recipient(key) != text:
        raise RecipientUnfit("not an X25519 public key")
    try:
        # A key of small order would share no secret.
        seal(key, b"", b"")
    except ValueError:
        raise RecipientUnfit("a key that shares no secret") from None
    return key


def write_recipient(key: X25519PublicKey) -> str:
    """Write a recipient's public key down."""
    return base64.b64encode(keys.public_der(key)).decode("ascii")


def recipient_id(text: str) -> str:
    """Name a recipient's key that stands in a manifest."""
    return keys.key_id(base64.b64decode(text))


def seal_key(recipient: X25519PublicKey, key: FileKey, context: bytes) -> bytes:
    """Seal a content key of the international suite; begins with its cipher's name and a colon."""
    if key.suite is not INTERNATIONAL:
        raise ValueError("only keys of the international suite are sealed")
    return key.suite.cipher_name.encode("ascii") + b":" + seal(recipient, key.secret, context)


def open_key(own: X25519PrivateKey, sealed: bytes, context: bytes) -> FileKey:
    """Open a content key with the recipient's private key; raises `SealRefusedError`."""
    name, _, message = sealed.partition(b":")
    if name != INTERNATIONAL.cipher_name.encode("ascii"):
        raise SealRefusedError("the key is for no cipher that copies are sealed with")
    secret = open_sealed(own, message, context)
    if len(secret) != INTERNATIONAL.key_bytes:
        raise SealRefusedError("what was sealed is no key")
    return FileKey(secret)


def salt_of(key: FileKey) -> bytes:
    """The salt under which the parts of a sealed copy are digested, 32 bytes."""
    return hmac.digest(key.secret, _SALT_LABEL, hashlib.sha256)
