"""Sealing: encrypt to somebody's X25519 key so that only its owner can read.

A sealed message is `header || ciphertext`; the header is a version byte, the first 8 bytes of the
recipient's key id and the sender's one-time public key. Key and nonce come from HKDF-SHA-256 over the
shared secret, so a nonce can't repeat: every message has a key of its own. Sealing says nothing about
who sent it; the signature over the batch manifest does.

A `Sealer` seals many small messages with one exchange: version 2 of the header, then a nonce for each
message. Its key is forgotten with the object, so whoever sealed can't open either.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shuqiao.security.keys import public_der

VERSION = 1
MANY_VERSION = 2
_KEY_ID_BYTES = 8
_PUBLIC_KEY_BYTES = 32
_AES_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
HEADER_BYTES = 1 + _KEY_ID_BYTES + _PUBLIC_KEY_BYTES
OVERHEAD_BYTES = HEADER_BYTES + _TAG_BYTES


class SealRefusedError(Exception):
    """The message was not sealed to this key, for this context, or was altered."""


def seal(recipient: X25519PublicKey, plaintext: bytes, context: bytes) -> bytes:
    """Encrypt to `recipient`; opening needs the same `context`, which is bound but not sent."""
    one_time = X25519PrivateKey.generate()
    header = _header(recipient, one_time.public_key().public_bytes_raw())
    key, nonce = _derive(one_time.exchange(recipient), header, recipient)
    return header + AESGCM(key).encrypt(nonce, plaintext, header + context)


class Sealer:
    """Seals many messages to one recipient; make a new one from time to time, and one for each process."""

    def __init__(self, recipient: X25519PublicKey) -> None:
        """Make the one exchange."""
        one_time = X25519PrivateKey.generate()
        self._header = _header(recipient, one_time.public_key().public_bytes_raw(), MANY_VERSION)
        key, _ = _derive(one_time.exchange(recipient), self._header, recipient)
        self._cipher = AESGCM(key)
        self.count = 0

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt one message; opening needs the same `context`."""
        # The key is this object's own, so counting never repeats a nonce.
        self.count += 1
        nonce = self.count.to_bytes(_NONCE_BYTES, "big")
        return self._header + nonce + self._cipher.encrypt(nonce, plaintext, self._header + context)


def open_sealed(key: X25519PrivateKey, message: bytes, context: bytes) -> bytes:
    """Decrypt what was sealed to `key` for this `context`, or refuse."""
    if len(message) < OVERHEAD_BYTES or message[0] not in (VERSION, MANY_VERSION):
        raise SealRefusedError("not a sealed message of a known version")
    header, body = message[:HEADER_BYTES], message[HEADER_BYTES:]
    if header[1 : 1 + _KEY_ID_BYTES] != _recipient_id(key.public_key()):
        raise SealRefusedError("the message is sealed to another key")
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(header[1 + _KEY_ID_BYTES :]))
        aes_key, nonce = _derive(shared, header, key.public_key())
        if message[0] == MANY_VERSION:
            nonce, body = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
        return AESGCM(aes_key).decrypt(nonce, body, header + context)
    except (InvalidTag, ValueError) as error:
        raise SealRefusedError("the message was altered or is meant for another context") from error


def sealed_key_id(message: bytes) -> str:
    """The key id (16 hex digits) a sealed message names as its recipient."""
    if len(message) < OVERHEAD_BYTES or message[0] not in (VERSION, MANY_VERSION):
        raise SealRefusedError("not a sealed message of a known version")
    return message[1 : 1 + _KEY_ID_BYTES].hex()


def _recipient_id(recipient: X25519PublicKey) -> bytes:
    return hashlib.sha256(public_der(recipient)).digest()[:_KEY_ID_BYTES]


def _header(recipient: X25519PublicKey, one_time_public: bytes, version: int = VERSION) -> bytes:
    return bytes([version]) + _recipient_id(recipient) + one_time_public


def _derive(shared: bytes, header: bytes, recipient: X25519PublicKey) -> tuple[bytes, bytes]:
    info = b"shuqiao seal 1\x00" + header + recipient.public_bytes_raw()
    material = HKDF(hashes.SHA256(), _AES_KEY_BYTES + _NONCE_BYTES, salt=None, info=info).derive(shared)
    return material[:_AES_KEY_BYTES], material[_AES_KEY_BYTES:]
