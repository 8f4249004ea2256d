"""Suites of algorithms: which digest, cipher and kind of signing key go together, behind one interface.

`international` is what the platform uses for itself; `national` is SM2, SM3 and SM4 for cities whose rules
ask for them. Whatever is digested, sealed or signed says by which algorithm, so a reader needs no setting and
both may stand side by side.

Source: our choice, decision 21
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC

from shuqiao.security import keys

DigestName = Literal["sha-256", "sm3"]
TAG_BYTES = 16
NONCE_BYTES = 12


class Suite(Protocol):
    """One set of algorithms. Ciphers are authenticated and take a nonce of 12 bytes, used once for a key."""

    @property
    def name(self) -> str:
        """The name in settings."""

    @property
    def digest_name(self) -> DigestName:
        """The name recorded beside a digest."""

    @property
    def signature_name(self) -> keys.Algorithm:
        """The name recorded beside a signature, of the keys this suite makes."""

    @property
    def cipher_name(self) -> str:
        """The name recorded beside what was encrypted."""

    @property
    def key_bytes(self) -> int:
        """The length of the cipher's key."""

    def digest(self, message: bytes) -> bytes:
        """Digest, 32 bytes."""

    def mac(self, key: bytes, message: bytes) -> bytes:
        """HMAC with the suite's digest."""

    def encrypt(self, key: bytes, nonce: bytes, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt and authenticate; `context` is bound and not sent."""

    def decrypt(self, key: bytes, nonce: bytes, ciphertext: bytes, context: bytes) -> bytes:
        """Give the plaintext back; raises `CiphertextRefused` when anything was altered."""


class CiphertextRefused(ValueError):
    """What was encrypted was altered, or for another key or context."""


@dataclass(frozen=True, slots=True)
class _Hashing:
    """Digest and MAC of one hash function."""

    algorithm: hashes.HashAlgorithm

    def digest(self, message: bytes) -> bytes:
        """Digest, 32 bytes."""
        made = hashes.Hash(self.algorithm)
        made.update(message)
        return made.finalize()

    def mac(self, key: bytes, message: bytes) -> bytes:
        """HMAC."""
        made = HMAC(key, self.algorithm)
        made.update(message)
        return made.finalize()


class International(_Hashing):
    """Ed25519, SHA-256, AES-256-GCM."""

    name = "international"
    digest_name: DigestName = "sha-256"
    signature_name: keys.Algorithm = "ed25519"
    cipher_name = "aes-256-gcm"
    key_bytes = 32

    def __init__(self) -> None:
        """Take SHA-256."""
        super().__init__(hashes.SHA256())

    def encrypt(self, key: bytes, nonce: bytes, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt and authenticate."""
        return AESGCM(_checked(key, self.key_bytes)).encrypt(nonce, plaintext, context)

    def decrypt(self, key: bytes, nonce: bytes, ciphertext: bytes, context: bytes) -> bytes:
        """Give the plaintext back."""
        try:
            return AESGCM(_checked(key, self.key_bytes)).decrypt(nonce, ciphertext, context)
        except InvalidTag:
            raise CiphertextRefused("the ciphertext was altered") from None


class National(_Hashing):
    """SM2, SM3, SM4-GCM."""

    name = "national"
    digest_name: DigestName = "sm3"
    signature_name: keys.Algorithm = "sm2-sm3"
    cipher_name = "sm4-gcm"
    key_bytes = 16

    def __init__(self) -> None:
        """Take SM3."""
        super().__init__(hashes.SM3())

    def encrypt(self, key: bytes, nonce: bytes, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt and authenticate."""
        made = Cipher(algorithms.SM4(_checked(key, self.key_bytes)), modes.GCM(nonce)).encryptor()
        made.authenticate_additional_data(context)
        return made.update(plaintext) + made.finalize() + made.tag

    def decrypt(self, key: bytes, nonce: bytes, ciphertext: bytes, context: bytes) -> bytes:
        """Give the plaintext back."""
        if len(ciphertext) < TAG_BYTES:
            raise CiphertextRefused("the ciphertext is cut off")
        body, tag = ciphertext[:-TAG_BYTES], ciphertext[-TAG_BYTES:]
        made = Cipher(algorithms.SM4(_checked(key, self.key_bytes)), modes.GCM(nonce, tag)).decryptor()
        made.authenticate_additional_data(context)
        try:
            return made.update(body) + made.finalize()
        except InvalidTag:
            raise CiphertextRefused("the ciphertext was altered") from None


def _checked(key: bytes, size: int) -> bytes:
    if len(key) != size:
        raise ValueError(f"the key must have {size} bytes")
    return key


SUITES: Mapping[str, Suite] = MappingProxyType({"international": International(), "national": National()})
"""Every suite by its name in settings."""


INTERNATIONAL: Suite = SUITES["international"]
SETTING = "SHUQIAO_SUITE"
"""The setting of an installation: by which suite it writes. What the other wrote is read all the same."""


def read_suite(environment: Mapping[str, str]) -> Suite:
    """Read the installation's suite, the international one where none is set; ValueError for another."""
    name = environment.get(SETTING) or INTERNATIONAL.name
    if name not in SUITES:
        raise ValueError(f"{SETTING} must be one of {', '.join(sorted(SUITES))}")
    return SUITES[name]


def suite_of_cipher(name: str) -> Suite:
    """The suite whose cipher is recorded beside what was encrypted; ValueError for an unknown one."""
    return _find(lambda suite: suite.cipher_name == name, f"there is no cipher {name}")


def suite_of_digest(name: str) -> Suite:
    """The suite whose digest is recorded; ValueError for an unknown one."""
    return _find(lambda suite: suite.digest_name == name, f"there is no digest {name}")


def _find(is_it: Callable[[Suite], bool], otherwise: str) -> Suite:
    for suite in SUITES.values():
        if is_it(suite):
            return suite
    raise ValueError(otherwise)


def digest_by(name: str, message: bytes) -> bytes:
    """Digest by the algorithm recorded beside a digest; ValueError for an unknown one."""
    return suite_of_digest(name).digest(message)


def is_digest(name: str, expected: bytes, message: bytes) -> bool:
    """Whether a recorded digest is that of the message, compared in constant time."""
    return hmac.compare_digest(digest_by(name, message), expected)
