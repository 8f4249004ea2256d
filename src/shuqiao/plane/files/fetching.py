"""Handing out a file: the part of it that was asked for, read piece by piece as it is taken."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from urllib.parse import quote

from shuqiao.plane.answers import Streamed
from shuqiao.plane.bulk.fetching import Extent
from shuqiao.plane.bulk.statements import FileRow, Statements
from shuqiao.security.at_rest import PIECE_BYTES, FileKey, FileRefused
from shuqiao.security.pieces import count_of, open_piece


def file_reply(statements: Statements, row: FileRow, key: FileKey, extent: Extent, promise: str) -> Streamed:
    """Make the answer that carries a file.

    What is in a file is its provider's word: it is never shown in place, and no reader guesses its type.
    """
    digest = base64.b64encode(bytes.fromhex(row.digest)).decode("ascii")
    headers = (
        f"content-type: {row.media_type}\r\ncache-control: no-store\r\n"
        "x-content-type-options: nosniff\r\ncontent-security-policy: sandbox; default-src 'none'\r\n"
        f'accept-ranges: bytes\r\netag: "{row.digest}"\r\nrepr-digest: sha-256=:{digest}:\r\n'
        f"content-disposition: attachment; filename*=UTF-8''{quote(row.name, safe='')}\r\n"
        f"shuqiao-promise: {promise}\r\n"
    )
    if extent.is_range:
        last = extent.first + extent.size_bytes - 1
        headers += f"content-range: bytes {extent.first}-{last}/{row.size_bytes}\r\n"
    pieces = _pieces(statements, row, key, extent)
    return Streamed(206 if extent.is_range else 200, headers, extent.size_bytes, pieces)


async def _pieces(statements: Statements, row: FileRow, key: FileKey, extent: Extent) -> AsyncIterator[bytes]:
    context, last = row.id.bytes, count_of(row.size_bytes) - 1
    number, skip, left = extent.first // PIECE_BYTES, extent.first % PIECE_BYTES, extent.size_bytes
    while left > 0 and number <= last:
        sealed = await statements.file_piece(row.id, number)
        if sealed is None:
            raise FileRefused(f"piece {number} is missing")
        # Decrypting must not hold up the calls of the same worker.
        content = await asyncio.to_thread(open_piece, key, number, sealed, context, is_last=number == last)
        content = content[skip : skip + left]
        yield content
        left -= len(content)
        number, skip = number + 1, 0
