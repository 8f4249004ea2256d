"""The vault's keys, all derived from one root (`vault.roots`), and the only uses made of them."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MASTER_KEY_BYTES = 32
NAME_BLIND_BYTES = 16
MARK_BYTES = 16
PSEUDONYM_PREFIX = "px-"
_TOKEN_BYTES = 20
_CONSUMERS_KEPT = 512
_NONCE_BYTES = 12
_NONCES_AT_ONCE = 512


class VaultKeys:
    """Blind indexes, content marks and payload encryption under one version of the keys.

    Citizen numbers can be enumerated: whoever holds the blind key can name everybody. The keys therefore
    never leave this object, and nothing here returns them.
    """

    def __init__(self, root: bytes, version: int = 1) -> None:
        """Derive the keys of `version` from their root."""
        if len(root) != MASTER_KEY_BYTES:
            raise ValueError("the root must have 32 bytes")
        self.version = version
        # Feeding a key into HMAC costs more than the message, so it is done once and copied.
        self._record_key = _keyed(_derive(root, "record key", version))
        self._identifier = _keyed(_derive(root, "identifier", version))
        self._name = _keyed(_derive(root, "name", version))
        self._content = _keyed(_derive(root, "content", version))
        self._mark = _keyed(_derive(root, "guess mark", version))
        pseudonym = _derive(root, "pseudonym", version)
        self._of_consumer = lru_cache(_CONSUMERS_KEPT)(lambda name: _keyed(_derive_for(pseudonym, name)))
        self._nonces = random_pieces(_NONCE_BYTES, _NONCES_AT_ONCE)
        self._payload = AESGCM(_derive(root, "payload", version))
        self.check_value = hashlib.sha256(_derive(root, "check", version)).digest()

    def record_key_blind(self, resource: str, number: str) -> bytes:
        """Where a list's record is found; the same number in two lists gives two unlike blinds."""
        return _mac(self._record_key, f"{resource}\x00{number}".encode())

    def identifier_blind(self, kind: str, number: str) -> bytes:
        """Where a person or body is found, whichever list names it."""
        return _mac(self._identifier, f"{kind}\x00{number}".encode())

    def name_blind(self, resource: str, field: str, name: str) -> bytes:
        """Where the records that bear a name in one field of one list are found."""
        return _mac(self._name, f"{resource}\x00{field}\x00{name}".encode())[:NAME_BLIND_BYTES]

    def content_mark(self, record_id: bytes, content: bytes) -> bytes:
        """A mark that tells whether a record's content changed; equal contents of two records look unlike."""
        return _mac(self._content, record_id + content)

    def guess_mark(self, key_blind: bytes) -> bytes:
        """By what wrong claims about a record key are counted; outside the vault it finds nothing."""
        return _mac(self._mark, key_blind)[:MARK_BYTES]

    def pseudonym(self, consumer: str, number: str) -> str:
        """A consumer's token for a number: always the same for one consumer, unlike for any two."""
        made = _mac(self._of_consumer(consumer), number.encode())[:_TOKEN_BYTES]
        return PSEUDONYM_PREFIX + base64.b32encode(made).decode("ascii").lower()

    def encrypt(self, record_id: bytes, content: bytes) -> bytes:
        """Encrypt a record's content; it opens under this record id only."""
        nonce = next(self._nonces)
        return nonce + self._payload.encrypt(nonce, content, record_id)

    def decrypt(self, record_id: bytes, payload: bytes) -> bytes:
        """Give back a record's content; raises InvalidTag when it was altered or belongs to another."""
        return self._payload.decrypt(payload[:_NONCE_BYTES], payload[_NONCE_BYTES:], record_id)


def random_pieces(size_bytes: int, at_once: int) -> Iterator[bytes]:
    """Give random bytes without end, `at_once` pieces from one call of the system; none is given twice."""
    while True:
        drawn = os.urandom(size_bytes * at_once)
        for start in range(0, len(drawn), size_bytes):
            yield drawn[start : start + size_bytes]


def _keyed(key: bytes) -> HMAC:
    return HMAC(key, hashes.SHA256())


def _derive(root: bytes, purpose: str, version: int) -> bytes:
    info = f"shuqiao vault|{purpose}|{version}".encode("ascii")
    return HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(root)


def _derive_for(key: bytes, name: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"shuqiao consumer|" + name.encode()).derive(key)


def _mac(keyed: HMAC, message: bytes) -> bytes:
    fresh = keyed.copy()
    fresh.update(message)
    return fresh.finalize()
