"""Reading bodies: capped, timed, and turned into requests.

The server would gather a body of any size and wait for ever; nothing here asks it to.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Protocol, TypeVar

import msgspec

from shuqiao.plane.deadlines import Deadlines
from shuqiao.plane.settings import BODY_TIMEOUT_S, MAX_BODY_BYTES
from shuqiao.rules.errors import BodyNotJson, BodyTooLarge, RequestMalformed, RequestTimeout

T = TypeVar("T")

_LENGTH = re.compile(r"[0-9]{1,12}", re.ASCII)
_CONTENT_TYPE = re.compile(r"application/json(?:\s*;\s*charset=\"?utf-8\"?)?", re.ASCII | re.IGNORECASE)
_FAULTY_PART = re.compile(r"at `\$\.(subject|claims|items|case|public_key)")
_FAULTY_FIELD = re.compile(r"required field `(subject|claims|public_key)`")


class BodyChunks(Protocol):
    """The part of the server's protocol object through which a body comes."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the chunks as they arrive."""


def declared_length(headers: Mapping[str, str]) -> int:
    """Check the headers that announce the body, before a byte of it is read."""
    if "transfer-encoding" in headers or _LENGTH.fullmatch(headers.get("content-length", "")) is None:
        raise RequestMalformed(part="content-length")
    length = int(headers["content-length"])
    if length > MAX_BODY_BYTES:
        raise BodyTooLarge(limit_bytes=MAX_BODY_BYTES)
    if _CONTENT_TYPE.fullmatch(headers.get("content-type", "")) is None:
        raise RequestMalformed(part="content-type")
    return length


async def read_body(chunks: BodyChunks, headers: Mapping[str, str], deadlines: Deadlines) -> bytes:
    """Read a JSON body; raises `BodyTooLarge`, `RequestTimeout` or `RequestMalformed`."""
    length = declared_length(headers)
    parts: list[bytes] = []
    received = 0
    try:
        with deadlines:
            async for chunk in chunks:
                received += len(chunk)
                if received > length:
                    raise RequestMalformed(part="content-length")
                parts.append(chunk)
                if received == length:
                    break
    except TimeoutError:
        raise RequestTimeout(limit_s=BODY_TIMEOUT_S) from None
    if received != length:
        raise RequestMalformed(part="content-length")
    return b"".join(parts)


def decode_body(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read a JSON object of a known form; raises `BodyNotJson` or `RequestMalformed`."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        found = _FAULTY_PART.search(str(error)) or _FAULTY_FIELD.search(str(error))
        if found is None and not body.lstrip()[:1] == b"{":
            raise BodyNotJson() from None
        raise RequestMalformed(part=found.group(1) if found is not None else "body") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BodyNotJson() from None
