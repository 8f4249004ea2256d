"""Files in pieces that a database keeps: each piece encrypted by itself, so that any of them is read alone.

A piece is 256 KiB under the file's key (`security.at_rest`); the nonce is its number, and what is bound to it
says whether it is the last and whose it is. A key is used for one version of one file and never again.
Source: our choice, decision 29; guangzhou-2016 art. 38(1).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shuqiao.security import keys
from shuqiao.security.at_rest import PIECE_BYTES, FileKey, FileRefused
from shuqiao.security.suites import NONCE_BYTES, CiphertextRefused

_LABEL = b"shuqiao piece 1\x00"


@dataclass(frozen=True, slots=True, repr=False)
class StoreSecrets:
    """What the keys of stored files are wrapped under, and what links to them are made with."""

    wrapping: bytes
    link: bytes


def read_wrapping(file: Path) -> bytes:
    """Read what keys are wrapped under, by who stores and who gives; raises as `keys.load_secret_file`."""
    return hmac.digest(keys.load_secret_file(file), b"file keys", hashlib.sha256)


def link_secret(of_plane: bytes) -> bytes:
    """Derive what links are made with from a secret of the plane alone: who stores files can't make one."""
    return hmac.digest(of_plane, b"shuqiao file links 1", hashlib.sha256)


def count_of(size_bytes: int) -> int:
    """How many pieces a content of this length has."""
    return max(1, -(-size_bytes // PIECE_BYTES))


def seal_pieces(key: FileKey, content: bytes, context: bytes) -> Iterator[bytes]:
    """Give the encrypted pieces of a content, in order."""
    last = count_of(len(content)) - 1
    for number in range(last + 1):
        nonce, bound = _place(number, context, is_last=number == last)
        piece = content[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]
        yield key.suite.encrypt(key.secret, nonce, piece, bound)


def open_piece(key: FileKey, number: int, sealed: bytes, context: bytes, *, is_last: bool) -> bytes:
    """Give a piece in clear; raises `FileRefused` where it is not as written."""
    nonce, bound = _place(number, context, is_last=is_last)
    try:
        return key.suite.decrypt(key.secret, nonce, sealed, bound)
    except (CiphertextRefused, ValueError) as error:
        raise FileRefused(f"piece {number} is not as written") from error


def _place(number: int, context: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
    return number.to_bytes(NONCE_BYTES, "big"), _LABEL + (b"\x01" if is_last else b"\x00") + context
