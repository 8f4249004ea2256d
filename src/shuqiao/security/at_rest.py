"""Files that lie encrypted on a disk and can be read from any place.

A file is a row of pieces of 256 KiB, each encrypted under the file's key; the nonce is the number of the
file and of the piece, and what is bound to a piece says whether it is the last. The key of a set of files is
random, used for one writing only, and kept wrapped under a secret of the platform, apart from the files. A
key knows the suite whose cipher it is for (AES-256-GCM or SM4-GCM), and so does the key when it is wrapped:
a reader needs no setting.
Source: our choice, decisions 22 and 31; guangzhou-2016 art. 38(1).
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shuqiao.security.suites import (
    INTERNATIONAL,
    NONCE_BYTES,
    TAG_BYTES,
    CiphertextRefused,
    Suite,
    suite_of_cipher,
)

PIECE_BYTES = 256 * 1024
_LABEL = b"shuqiao file 1\x00"

DIGESTS = {"sha-256": "sha256", "sm3": "sm3"}
"""Names of digests on the wire, and what the library calls them."""


class FileRefused(Exception):
    """A file or wrapped key that was altered, cut, or belongs elsewhere."""


@dataclass(frozen=True, slots=True, repr=False)
class FileKey:
    """The key of one set of files, and the suite whose cipher it is for; `repr` doesn't show it."""

    secret: bytes
    suite: Suite = INTERNATIONAL


def new_key(suite: Suite = INTERNATIONAL) -> FileKey:
    """Make the key of one set of files."""
    return FileKey(secrets.token_bytes(suite.key_bytes), suite)


def wrap_key(secret: bytes, key: FileKey, context: bytes) -> bytes:
    """Encrypt a key by its own suite under the platform's secret, for this context only.

    What comes out begins with the cipher's name and a colon.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = key.suite.encrypt(_wrapping(secret, key.suite), nonce, key.secret, _LABEL + context)
    return key.suite.cipher_name.encode("ascii") + b":" + nonce + sealed


def unwrap_key(secret: bytes, wrapped: bytes, context: bytes) -> FileKey:
    """Give back a key; raises `FileRefused`."""
    name, _, rest = wrapped.partition(b":")
    try:
        suite = suite_of_cipher(name.decode("ascii", "replace"))
        nonce, sealed = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
        return FileKey(suite.decrypt(_wrapping(secret, suite), nonce, sealed, _LABEL + context), suite)
    except (CiphertextRefused, ValueError) as error:
        raise FileRefused("the key was wrapped under another secret or for something else") from error


def _wrapping(secret: bytes, suite: Suite) -> bytes:
    return suite.mac(secret, _LABEL + suite.cipher_name.encode("ascii"))[: suite.key_bytes]


class EncryptedFile(io.RawIOBase):
    """Writes one file; knows length and digest of what was written, and flushes it to the disk at its end.

    The file appears under its name when it is closed, complete, or not at all.
    """

    def __init__(
        self,
        path: Path,
        key: FileKey,
        number: int,
        context: bytes,
        digest: str = "sha-256",
        *,
        head: bytes = b"",
        salt: bytes = b"",
    ) -> None:
        """Begin the file beside its final name; `head` stands in clear before the pieces.

        `salt` is digested before the content, so that nobody without it can try out what the content is.
        """
        super().__init__()
        self._path = path
        self._part = path.with_name(path.name + ".part")
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(head)
        self._key, self._number, self._context = key, number, context
        self._waiting = bytearray()
        self._pieces = 0
        self._digest = hashlib.new(DIGESTS[digest], salt)
        self.size_bytes = 0

    @property
    def digest(self) -> str:
        """The digest of the salt and what was written, in hexadecimal."""
        return self._digest.hexdigest()

    def writable(self) -> bool:
        """It is written only."""
        return True

    def tell(self) -> int:
        """Say how much was written."""
        return self.size_bytes

    def write(self, data: bytes) -> int:  # type: ignore[override]  # a narrower promise than any buffer
        """Take some of the content."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self.size_bytes += len(view)
        self._waiting += view
        if len(self._waiting) > PIECE_BYTES:
            self._put_pieces()
        return len(view)

    def _put_pieces(self) -> None:
        # The last piece is known as such only at the end, so one byte at least stays behind.
        whole = (len(self._waiting) - 1) // PIECE_BYTES
        with memoryview(self._waiting) as waiting:
            for piece in range(whole):
                self._put(waiting[piece * PIECE_BYTES : (piece + 1) * PIECE_BYTES], is_last=False)
        del self._waiting[: whole * PIECE_BYTES]

    def _put(self, data: bytes | memoryview, *, is_last: bool) -> None:
        nonce, bound = _place(self._number, self._pieces, self._context, is_last=is_last)
        self._file.write(self._key.suite.encrypt(self._key.secret, nonce, bytes(data), bound))
        self._pieces += 1

    def close(self) -> None:
        """Write the last piece, flush, and give the file its name."""
        if self.closed:
            return
        try:
            self._put(bytes(self._waiting), is_last=True)
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
            super().close()
        self._part.rename(self._path)

    def discard(self) -> None:
        """Leave nothing behind."""
        try:
            if not self.closed:
                super().close()
                self._file.close()
        finally:
            self._part.unlink(missing_ok=True)


def read_pieces(
    path: Path,
    key: FileKey,
    number: int,
    context: bytes,
    size_bytes: int,
    first: int = 0,
    *,
    head_bytes: int = 0,
) -> Iterator[bytes]:
    """Give the content from byte `first`, piece by piece; raises `FileRefused` where it is not as written."""
    last = max(0, (size_bytes - 1) // PIECE_BYTES)
    piece = first // PIECE_BYTES
    with path.open("rb", buffering=0) as file:
        file.seek(head_bytes + piece * (PIECE_BYTES + TAG_BYTES))
        skip = first - piece * PIECE_BYTES
        while piece <= last:
            nonce, bound = _place(number, piece, context, is_last=piece == last)
            try:
                content = key.suite.decrypt(key.secret, nonce, file.read(PIECE_BYTES + TAG_BYTES), bound)
            except (CiphertextRefused, ValueError) as error:
                raise FileRefused(f"piece {piece} of {path.name} is not as written") from error
            yield content[skip:] if skip else content
            skip = 0
            piece += 1


def encrypted_size(size_bytes: int) -> int:
    """How many bytes the pieces of a content have."""
    return size_bytes + TAG_BYTES * max(1, -(-size_bytes // PIECE_BYTES))


def read_encrypted(path: Path, size_bytes: int, first: int = 0) -> Iterator[bytes]:
    """Give a file of so many bytes as it lies, from byte `first`; raises `FileRefused` for another length."""
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size != size_bytes:
            raise FileRefused(f"{path.name} has not the bytes that were written")
        file.seek(first)
        while content := file.read(PIECE_BYTES):
            yield content


def open_pieces(
    arriving: Iterable[bytes], key: FileKey, number: int, context: bytes, size_bytes: int
) -> Iterator[bytes]:
    """Decrypt pieces as their bytes come, in whatever lengths; `size_bytes` is that of the content.

    Raises `FileRefused` where they are not as written, end too early or go on.
    """
    last, piece, waiting = max(0, (size_bytes - 1) // PIECE_BYTES), 0, bytearray()
    length = min(size_bytes, PIECE_BYTES) + TAG_BYTES
    for some in arriving:
        waiting += some
        while piece <= last and len(waiting) >= length:
            nonce, bound = _place(number, piece, context, is_last=piece == last)
            try:
                yield key.suite.decrypt(key.secret, nonce, bytes(waiting[:length]), bound)
            except (CiphertextRefused, ValueError) as error:
                raise FileRefused(f"piece {piece} is not as written") from error
            del waiting[:length]
            piece += 1
            length = min(size_bytes - piece * PIECE_BYTES, PIECE_BYTES) + TAG_BYTES
    if piece <= last or waiting:
        raise FileRefused("the file has not the bytes that were written")


def _place(number: int, piece: int, context: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
    nonce = number.to_bytes(4, "big") + piece.to_bytes(8, "big")
    return nonce, _LABEL + (b"\x01" if is_last else b"\x00") + context
