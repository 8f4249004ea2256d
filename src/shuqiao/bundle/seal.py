"""The list of a bundle's files with their digests, its signature, and checking both.

`SHA256SUMS` has the form of `sha256sum`, and its signature is plain Ed25519: on a machine that has nothing of
ours yet, `openssl pkeyutl -verify -rawin` and `sha256sum --check --strict` do the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from shuqiao.security.keys import SigningKey, sign

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
MAX_SUMS_BYTES = 1024 * 1024
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._+!/-]*)")
_PIECE = 1024 * 1024


class BundleRefused(Exception):
    """The bundle is not what was signed; the message names the file."""


def seal(folder: Path, key: SigningKey) -> None:
    """Write the list and its signature."""
    lines = [f"{digest_of(folder / name)}  {name}\n" for name in sorted(_files(folder))]
    content = "".join(lines).encode("ascii")
    (folder / SUMS).write_bytes(content)
    (folder / SIGNATURE).write_bytes(sign("ed25519", key, content))


def check(folder: Path, public_pem: bytes) -> int:
    """Check signature and every file, and that there is no other; return their number, or raise."""
    try:
        content, signature = _bounded(folder / SUMS), _bounded(folder / SIGNATURE)
        key = load_pem_public_key(public_pem)
        if not isinstance(key, Ed25519PublicKey):
            raise BundleRefused("the key is no Ed25519 public key (PEM)")
        key.verify(signature, content)
    except FileNotFoundError as error:
        raise BundleRefused(f"{Path(str(error.filename)).name} is missing") from error
    except InvalidSignature:
        raise BundleRefused(f"{SUMS} is not signed with this key") from None
    except ValueError:
        raise BundleRefused("the key is no Ed25519 public key (PEM)") from None
    listed = _read(content)
    there = set(_files(folder))
    if missing := sorted(listed.keys() - there):
        raise BundleRefused(f"{missing[0]} is missing")
    if more := sorted(there - listed.keys()):
        raise BundleRefused(f"{more[0]} was not signed")
    for name, digest in listed.items():
        if digest_of(folder / name) != digest:
            raise BundleRefused(f"{name} has been changed")
    return len(listed)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _read(content: bytes) -> dict[str, str]:
    listed = {}
    for line in content.decode("ascii", "replace").splitlines():
        found = _LINE.fullmatch(line)
        if found is None or ".." in found[2].split("/") or found[2] in listed:
            raise BundleRefused(f"{SUMS} has a line that names no file")
        listed[found[2]] = found[1]
    return listed


def _files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise BundleRefused(f"{name} is a link")
        if path.is_file() and name not in (SUMS, SIGNATURE):
            yield name


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_SUMS_BYTES + 1)
    if len(content) > MAX_SUMS_BYTES:
        raise BundleRefused(f"{path.name} is too large")
    return content
