"""Fetching what has a digest: only what is missing of it, checked before it gets its name."""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from shuqiao.client.plane import PlaneUnreachable
from shuqiao.security.at_rest import FileKey, FileRefused, encrypted_size, open_pieces
from shuqiao.security.recipients import salt_of

# Its line about each request would have the link, with which whoever reads the log could fetch the file.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

MAX_TRIES = 5
_READ_BYTES = 256 * 1024


class CopyRefused(Exception):
    """The plane refused, or the copy could not be prepared; `code` says why."""

    def __init__(self, code: str, detail: str) -> None:
        """Keep both."""
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class CopyBroken(Exception):
    """What came is not what the platform has signed; it must not be used."""


class Opening(NamedTuple):
    """What opens a part that comes sealed: content key, number of the part, what its pieces are bound to."""

    key: FileKey
    number: int
    context: bytes


class Wanted(NamedTuple):
    """What is to be fetched: by which link, and how long it is with which digest of which algorithm.

    With `opening` it comes sealed; length and digest are those of what is in it, the salt before it.
    """

    path: str
    size_bytes: int
    digest: str
    algorithm: str = "sha256"
    opening: Opening | None = None


class Fetcher:
    """Fetches by links, which nobody has to sign for."""

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        """Remember whom to ask."""
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=60.0, verify=tls, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def open(self, path: str, wanted: str | None) -> httpx.Response:
        """Begin to fetch something, or a range of it; the caller reads it piece by piece and closes it."""
        headers = {"range": wanted} if wanted else {}
        response = self._http.send(self._http.build_request("GET", path, headers=headers), stream=True)
        if response.status_code not in (200, 206):
            _refuse(response)
        return response

    def fetch(self, wanted: Wanted, begun: Path, target: Path) -> None:
        """Fetch into `begun` what is missing there; whole, checked and durable it becomes `target`.

        Raises `CopyBroken` for anything but what was wanted, and `CopyRefused`.
        """
        if wanted.opening is not None:
            self._fetch_sealed(wanted, wanted.opening, begun, target)
            return
        digest = hashlib.new(wanted.algorithm)
        have = _feed(digest, begun) if begun.exists() else 0
        if have > wanted.size_bytes or (have == wanted.size_bytes and digest.hexdigest() != wanted.digest):
            have, digest = 0, hashlib.new(wanted.algorithm)
        self._bring(wanted, wanted.size_bytes, begun, have, digest)
        if digest.hexdigest() != wanted.digest:
            begun.unlink()
            raise CopyBroken(f"{target.name} is not what the platform has signed")
        begun.rename(target)

    def _fetch_sealed(self, wanted: Wanted, opening: Opening, begun: Path, target: Path) -> None:
        """Fetch what is sealed as it lies, then open it."""
        size = encrypted_size(wanted.size_bytes)
        have = begun.stat().st_size if begun.exists() else 0
        self._bring(wanted, size, begun, have if have <= size else 0, hashlib.new(wanted.algorithm))
        opened = target.with_name(target.name + ".opened")
        try:
            _open(wanted, opening, begun, opened)
        except (FileRefused, CopyBroken):
            begun.unlink()
            opened.unlink()
            raise CopyBroken(f"{target.name} is not what the platform has signed") from None
        opened.rename(target)
        begun.unlink()

    def _bring(self, wanted: Wanted, size_bytes: int, begun: Path, have: int, digest: Any) -> None:
        """Bring what is missing of a file of so many bytes, durable."""
        headers = {"range": f"bytes={have}-", "if-range": f'"{wanted.digest}"'} if have else {}
        with begun.open("r+b" if have else "wb") as out:
            out.seek(have)
            left = size_bytes - have
            if left > 0:
                with self._http.stream("GET", wanted.path, headers=headers) as response:
                    if response.status_code != (206 if have else 200):
                        _refuse(response)
                    for piece in response.iter_raw(_READ_BYTES):
                        # Whoever sends on and on fills no disk: one byte too many tells as much as all.
                        out.write(piece[: left + 1])
                        digest.update(piece[: left + 1])
                        left -= len(piece)
                        if left < 0:
                            break
            out.truncate()
            out.flush()
            os.fsync(out.fileno())


def digest_of(file: Path, algorithm: str = "sha256", salt: bytes = b"") -> str:
    """Give the digest of a file, in hexadecimal; of a sealed copy's, the salt stands before it."""
    digest = hashlib.new(algorithm, salt)
    _feed(digest, file)
    return str(digest.hexdigest())


def _open(wanted: Wanted, opening: Opening, begun: Path, opened: Path) -> None:
    """Open what has come, durable; raises `FileRefused` or `CopyBroken` for what is not as it was signed."""
    digest = hashlib.new(wanted.algorithm, salt_of(opening.key))
    with begun.open("rb") as file, opened.open("wb") as out:
        arriving = iter(lambda: file.read(_READ_BYTES), b"")
        key, number, context = opening
        for piece in open_pieces(arriving, key, number, context, wanted.size_bytes):
            out.write(piece)
            digest.update(piece)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != wanted.digest:
        raise CopyBroken(opened.name)


def _feed(digest: Any, file: Path) -> int:
    size = 0
    with file.open("rb") as begun:
        while piece := begun.read(_READ_BYTES):
            digest.update(piece)
            size += len(piece)
    return size


def _refuse(response: httpx.Response) -> None:
    response.read()
    response.close()
    try:
        body = response.json()
        raise CopyRefused(str(body.get("code", response.status_code)), str(body.get("detail", "")))
    except ValueError as error:
        raise PlaneUnreachable("the answer is none of the interface") from error
