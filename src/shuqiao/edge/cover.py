"""Keeps row keys and batches out of the spool file: whoever has the file alone reads nothing of a row.

The key of the cover lies beside the node's other keys. A batch says by which suite's cipher it is covered.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shuqiao.security.keys import random_secret_file
from shuqiao.security.suites import INTERNATIONAL, SUITES, CiphertextRefused, Suite

_NONCE_BYTES = 12


class Cover:
    """Encrypts positions of full loads and batches, and digests row versions, with one secret of the node."""

    def __init__(self, key_file: Path, suite: Suite = INTERNATIONAL) -> None:
        """Read the secret, or make it at the first start; batches are covered by the suite's cipher."""
        secret = random_secret_file(key_file)
        self._suite = suite
        batch = hashlib.blake2b(secret, digest_size=32, person=b"batch").digest()
        self._batch_keys = {one.cipher_name: batch[: one.key_bytes] for one in SUITES.values()}
        self._cipher = AESGCM(hashlib.blake2b(secret, digest_size=32, person=b"cursor").digest())
        self._digest_key = hashlib.blake2b(secret, digest_size=32, person=b"seen").digest()
        self._derive_key = hashlib.blake2b(secret, digest_size=32, person=b"derive").digest()
        self._mark_key = hashlib.blake2b(secret, digest_size=32, person=b"guess").digest()

    def hide(self, text: str) -> str:
        """Return the text encrypted, as base64."""
        nonce = os.urandom(_NONCE_BYTES)
        return b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), None)).decode("ascii")

    def show(self, hidden: str) -> str:
        """Return the text that `hide` was given; raise InvalidTag where it was altered."""
        data = b64decode(hidden)
        return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None).decode()

    def seal(self, message: bytes, place: str) -> bytes:
        """Return a batch encrypted; it opens at this place only."""
        nonce, name = os.urandom(_NONCE_BYTES), self._suite.cipher_name
        sealed = self._suite.encrypt(self._batch_keys[name], nonce, message, place.encode())
        return name.encode("ascii") + b":" + nonce + sealed

    def open(self, stored: bytes, place: str) -> bytes:
        """Return the batch that `seal` was given, by either suite.

        What an earlier version stored in clear is returned as it is, and so is what can't be opened, because
        it was altered or the secret was lost: the hub refuses it, and its rows are read again.
        """
        for suite in SUITES.values():
            name = suite.cipher_name.encode("ascii") + b":"
            if stored.startswith(name):
                nonce, sealed = stored[len(name) :][:_NONCE_BYTES], stored[len(name) + _NONCE_BYTES :]
                with suppress(CiphertextRefused, ValueError):
                    return suite.decrypt(self._batch_keys[suite.cipher_name], nonce, sealed, place.encode())
        return stored

    def digest(self, key: str, changed: str, values: tuple[object, ...]) -> bytes:
        """Return 16 bytes that stand for one version of one row.

        The values belong to it: a source that notes changes by the second may change a row twice in one.
        """
        text = f"{key}\0{changed}\0{values!r}".encode()
        return hashlib.blake2b(text, digest_size=16, key=self._digest_key).digest()

    def derived(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for one purpose, always the same one."""
        return hashlib.blake2b(purpose.encode(), digest_size=32, key=self._derive_key).digest()

    def mark(self, resource: str, number: str) -> bytes:
        """Return 16 bytes that stand for one subject of a resource."""
        text = f"{resource}\0{number}".encode()
        return hashlib.blake2b(text, digest_size=16, key=self._mark_key).digest()
