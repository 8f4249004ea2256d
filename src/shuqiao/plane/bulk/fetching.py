"""Handing out a part: ranges (RFC 9110 section 14), the body read from its file as it is taken."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shuqiao.plane.answers import Streamed
from shuqiao.plane.bulk.settings import Spool
from shuqiao.plane.bulk.statements import JobRow
from shuqiao.rules.bulk import media_type
from shuqiao.rules.errors import RangeUnsatisfiable
from shuqiao.security.at_rest import encrypted_size, read_encrypted, read_pieces, unwrap_key
from shuqiao.wire.bulk import Manifest, ManifestPart

_RANGE = re.compile(
    r"bytes=(?:(?P<first>[0-9]{1,15})-(?P<last>[0-9]{0,15})|-(?P<tail>[0-9]{1,15}))", re.ASCII
)
SEALED_TYPE = "application/octet-stream"
# Reading and decrypting must not hold up the calls of the same worker.
_readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="bulk-read")


class Tagged(Protocol):
    """What is handed out: its length, and its digest in hexadecimal, which is its tag."""

    @property
    def size_bytes(self) -> int:
        """How long it is."""

    @property
    def digest(self) -> str:
        """Its digest."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A part as it is handed out: so many bytes, opened here or sealed to its recipient.

    The tag is the manifest's digest either way: a copy that is ready is not made anew.
    """

    part: ManifestPart
    size_bytes: int
    digest: str
    is_sealed: bool


@dataclass(frozen=True, slots=True)
class Extent:
    """What of a part is sent: from byte `first`, so many; `is_range` where it was asked for so."""

    first: int
    size_bytes: int
    is_range: bool


def extent_of(part: Tagged, wanted: str | None, condition: str | None) -> Extent:
    """Read `Range` and `If-Range`; what is no single range of bytes is ignored, as RFC 9110 lets us.

    Raises `RangeUnsatisfiable` for a range behind the end.
    """
    whole = Extent(0, part.size_bytes, is_range=False)
    found = _RANGE.fullmatch(wanted) if wanted is not None else None
    if found is None or (condition is not None and condition != etag_of(part)):
        return whole
    if found["tail"] is not None:
        size = min(int(found["tail"]), part.size_bytes)
        first, last = part.size_bytes - size, part.size_bytes - 1
    else:
        first = int(found["first"])
        last = min(int(found["last"]), part.size_bytes - 1) if found["last"] else part.size_bytes - 1
        if found["last"] and int(found["last"]) < first:
            return whole
    if first > last:
        raise RangeUnsatisfiable(size_bytes=part.size_bytes)
    return Extent(first, last - first + 1, is_range=True)


def etag_of(part: Tagged) -> str:
    """The tag of a part: its digest."""
    return f'"{part.digest}"'


def stored_of(job: JobRow, part: ManifestPart) -> Stored:
    """Say how a part is handed out: opened, or as it lies where it is sealed to its recipient."""
    if job.recipient is None:
        return Stored(part, part.size_bytes, part.digest, is_sealed=False)
    return Stored(part, encrypted_size(part.size_bytes), part.digest, is_sealed=True)


def part_reply(spool: Spool, job: JobRow, manifest: Manifest, given: Stored, extent: Extent) -> Streamed:
    """Make the answer that carries a part; raises `FileRefused` where the key can't be had."""
    part = given.part
    path = spool.folder / str(job.id) / str(job.attempt) / part.name
    content = _content(spool, job, given, path, extent.first)
    name = f"{manifest.resource}-{str(job.id)[:8]}-{Path(part.name).name}{'.sealed' * given.is_sealed}"
    kind = SEALED_TYPE if given.is_sealed else media_type(job.format)
    headers = (
        f"content-type: {kind}\r\ncache-control: no-store\r\n"
        f"x-content-type-options: nosniff\r\naccept-ranges: bytes\r\netag: {etag_of(given)}\r\n"
        f'content-disposition: attachment; filename="{name}"\r\n'
    )
    if extent.is_range:
        last = extent.first + extent.size_bytes - 1
        headers += f"content-range: bytes {extent.first}-{last}/{given.size_bytes}\r\n"
    return Streamed(206 if extent.is_range else 200, headers, extent.size_bytes, _pieces(content, extent))


def _content(spool: Spool, job: JobRow, given: Stored, path: Path, first: int) -> Iterator[bytes]:
    if given.is_sealed:
        return read_encrypted(path, given.size_bytes, first)
    context = f"{job.id}/{job.attempt}".encode()
    key = unwrap_key(spool.wrapping_secret, job.wrapped_key or b"", context)
    return read_pieces(path, key, given.part.number, context, given.size_bytes, first)


async def _pieces(content: Iterator[bytes], extent: Extent) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    left = extent.size_bytes
    while left > 0:
        piece = await loop.run_in_executor(_readers, next, content, None)
        if piece is None:
            return
        yield piece[:left]
        left -= len(piece)
