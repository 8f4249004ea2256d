"""Keeps row keys out of the spool file: they are often numbers of persons.

The key of the cover lies beside the node's other keys, so a copy of the spool alone names nobody.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shuqiao.security.keys import random_secret_file

_NONCE_BYTES = 12


class Cover:
    """Encrypts the position of a full load and digests row versions, both with one secret of the node."""

    def __init__(self, key_file: Path) -> None:
        """Read the secret, or make it at the first start."""
        secret = random_secret_file(key_file)
        self._cipher = AESGCM(hashlib.blake2b(secret, digest_size=32, person=b"cursor").digest())
        self._digest_key = hashlib.blake2b(secret, digest_size=32, person=b"seen").digest()
        self._mark_key = hashlib.blake2b(secret, digest_size=32, person=b"guess").digest()

    def hide(self, text: str) -> str:
        """Return the text encrypted, as base64."""
        nonce = os.urandom(_NONCE_BYTES)
        return b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), None)).decode("ascii")

    def show(self, hidden: str) -> str:
        """Return the text that `hide` was given; raise InvalidTag where it was altered."""
        data = b64decode(hidden)
        return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None).decode()

    def digest(self, key: str, changed: str, values: tuple[object, ...]) -> bytes:
        """Return 16 bytes that stand for one version of one row.

        The values belong to it: a source that notes changes by the second may change a row twice in one.
        """
        text = f"{key}\0{changed}\0{values!r}".encode()
        return hashlib.blake2b(text, digest_size=16, key=self._digest_key).digest()

    def mark(self, resource: str, number: str) -> bytes:
        """Return 16 bytes that stand for one subject of a resource."""
        text = f"{resource}\0{number}".encode()
        return hashlib.blake2b(text, digest_size=16, key=self._mark_key).digest()
