"""Private keys and shared secrets in files that only their owner can read.

A key file has mode 0400 and lies in a folder that nobody else may write to; anything wider is refused
when it is loaded, because a key that others could read or replace proves nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from shuqiao.security import sm2
from shuqiao.security.replacing import flush_folder
from shuqiao.security.sm2 import Sm2PrivateKey, Sm2PublicKey

Algorithm = Literal["ed25519", "ecdsa-p256-sha256", "sm2-sm3"]
SigningKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | Sm2PrivateKey
VerifyingKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | Sm2PublicKey
SealingKey = x25519.X25519PrivateKey
PrivateKey = SigningKey | SealingKey
PublicKey = VerifyingKey | x25519.X25519PublicKey

KEY_FILE_MODE = 0o400
KEY_FOLDER_MODE = 0o700
_MAX_KEY_FILE_BYTES = 16 * 1024
_P256_COORDINATE_BYTES = 32
_ECDSA = ec.ECDSA(hashes.SHA256())


class KeyRefusedError(Exception):
    """A key file or key is not safe or not usable; the message names the file and the remedy."""


def load_private_key(path: Path) -> PrivateKey:
    """Read a private key (PKCS #8 PEM) of one of the four kinds this project uses."""
    content = read_secret_file(path)
    with contextlib.suppress(sm2.Sm2Unusable):
        return sm2.load_private_pem(content)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except ValueError as error:
        raise KeyRefusedError(f"{path} is not an unencrypted PKCS #8 PEM private key") from error
    if isinstance(key, ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise KeyRefusedError(f"{path} holds a key that is neither Ed25519, P-256, SM2 nor X25519")


def load_signing_key(path: Path) -> SigningKey:
    """Read an Ed25519, P-256 or SM2 private key."""
    key = load_private_key(path)
    if isinstance(key, x25519.X25519PrivateKey):
        raise KeyRefusedError(f"{path} holds an X25519 key, which cannot sign")
    return key


def load_sealing_key(path: Path) -> SealingKey:
    """Read an X25519 private key, the one that opens what is sealed to its public half."""
    key = load_private_key(path)
    if not isinstance(key, x25519.X25519PrivateKey):
        raise KeyRefusedError(f"{path} holds a signing key where an X25519 key is needed")
    return key


def load_or_create_signing_key(path: Path, algorithm: Algorithm = "ed25519") -> SigningKey:
    """Read the signing key at `path`, or make one there; safe when two processes do so at once."""
    _create_once(path, lambda: private_pem(generate_signing_key(algorithm)))
    key = load_signing_key(path)
    if algorithm_of(key) != algorithm:
        raise KeyRefusedError(f"{path} holds a key for {algorithm_of(key)}, not for {algorithm}")
    return key


def load_or_create_sealing_key(path: Path) -> SealingKey:
    """Read the X25519 key at `path`, or make one there; safe when two processes do so at once."""
    _create_once(path, lambda: private_pem(x25519.X25519PrivateKey.generate()))
    return load_sealing_key(path)


def random_secret_file(path: Path, size_bytes: int = 32) -> bytes:
    """Read the secret at `path`, or make `size_bytes` random bytes there first."""
    _create_once(path, lambda: secrets.token_bytes(size_bytes))
    return load_secret_file(path, size_bytes)


def load_secret_file(path: Path, size_bytes: int = 32) -> bytes:
    """Read a raw secret of exactly `size_bytes`; anything shorter or longer is refused."""
    secret = read_secret_file(path)
    if len(secret) != size_bytes:
        raise KeyRefusedError(f"{path} must hold exactly {size_bytes} bytes")
    return secret


def generate_signing_key(algorithm: Algorithm = "ed25519") -> SigningKey:
    """Make a new signing key in memory."""
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "sm2-sm3":
        return sm2.generate()
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: PrivateKey) -> bytes:
    """PKCS #8 PEM of a private key."""
    if isinstance(key, Sm2PrivateKey):
        return key.pem()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_der(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo DER of a public key: the form that is stored, sent and hashed."""
    if isinstance(key, Sm2PublicKey):
        return key.der()
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_public_der(der: bytes) -> PublicKey:
    """Parse SubjectPublicKeyInfo DER into one of the four kinds this project uses."""
    try:
        if sm2.is_sm2_der(der):
            return sm2.load_public_der(der)
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefusedError("not a SubjectPublicKeyInfo DER public key") from error
    if isinstance(key, ed25519.Ed25519PublicKey | x25519.X25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise KeyRefusedError("the public key is neither Ed25519, P-256, SM2 nor X25519")


def key_id(public: PublicKey | bytes) -> str:
    """Name of a public key: the first 16 hex digits of SHA-256 of its SubjectPublicKeyInfo DER."""
    der = public if isinstance(public, bytes) else public_der(public)
    return hashlib.sha256(der).hexdigest()[:16]


def algorithm_of(key: SigningKey | VerifyingKey) -> Algorithm:
    """The algorithm name a key signs or verifies with."""
    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, Sm2PrivateKey | Sm2PublicKey):
        return "sm2-sm3"
    return "ecdsa-p256-sha256"


def sign(algorithm: str, key: SigningKey, message: bytes) -> bytes:
    """Sign `message`; P-256 signatures are the 64 bytes r || s of RFC 9421, section 3.3.4."""
    if algorithm == "ed25519" and isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if algorithm == "sm2-sm3" and isinstance(key, Sm2PrivateKey):
        return key.sign(message)
    if algorithm == "ecdsa-p256-sha256" and isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(message, _ECDSA))
        return r.to_bytes(_P256_COORDINATE_BYTES, "big") + s.to_bytes(_P256_COORDINATE_BYTES, "big")
    raise KeyRefusedError(f"the key does not sign with {algorithm}")


def verify(algorithm: str, key: PublicKey, signature: bytes, message: bytes) -> bool:
    """True if `signature` is right; an algorithm that doesn't belong to the key is simply wrong."""
    try:
        if algorithm == "ed25519" and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
            return True
        if algorithm == "sm2-sm3" and isinstance(key, Sm2PublicKey):
            return key.verify(signature, message)
        if algorithm == "ecdsa-p256-sha256" and isinstance(key, ec.EllipticCurvePublicKey):
            if len(signature) != 2 * _P256_COORDINATE_BYTES:
                return False
            r = int.from_bytes(signature[:_P256_COORDINATE_BYTES], "big")
            s = int.from_bytes(signature[_P256_COORDINATE_BYTES:], "big")
            key.verify(encode_dss_signature(r, s), message, _ECDSA)
            return True
    except InvalidSignature:
        return False
    return False


def read_secret_file(path: Path) -> bytes:
    """Read a file of mode 0400; refuse links, wider modes, other owners and folders open to others."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise KeyRefusedError(f"{path} does not exist") from error
    except OSError as error:
        raise KeyRefusedError(f"{path} cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        # The open file is examined, not the name, so nobody can swap it between check and use.
        _require_private(path, os.fstat(file.fileno()))
        content = file.read(_MAX_KEY_FILE_BYTES + 1)
    if len(content) > _MAX_KEY_FILE_BYTES:
        raise KeyRefusedError(f"{path} is too large for a key file")
    return content


def write_secret_file(path: Path, content: bytes) -> bool:
    """Create `path` with mode 0400 and this content in one step; False if it was there already.

    The file appears complete and flushed or not at all, whenever the process is killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=KEY_FOLDER_MODE)
    _require_guarded_folder(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, KEY_FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            # A hard link, unlike a rename, never replaces a key that another process made first.
            os.link(temporary, path)
        except FileExistsError:
            return False
    finally:
        temporary.unlink()
    flush_folder(path.parent)
    return True


def _create_once(path: Path, make: Callable[[], bytes]) -> None:
    if not path.is_symlink() and not path.exists():
        write_secret_file(path, make())


def _require_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyRefusedError(f"{path} is not a regular file")
    if stat.S_IMODE(status.st_mode) & ~KEY_FILE_MODE:
        raise KeyRefusedError(f"{path} has mode {stat.S_IMODE(status.st_mode):04o}: run chmod 0400 on it")
    if status.st_uid not in (os.geteuid(), 0):
        raise KeyRefusedError(f"{path} belongs to another user")
    _require_guarded_folder(path)


def _require_guarded_folder(path: Path) -> None:
    mode = stat.S_IMODE(path.parent.stat().st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KeyRefusedError(f"others may write to {path.parent} (mode {mode:04o}): run chmod 0700 on it")
