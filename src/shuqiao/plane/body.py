"""Bodies: what may be announced, and how they become requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

from shuqiao.plane.settings import MAX_BODY_BYTES
from shuqiao.rules.errors import BodyNotJson, BodyTooLarge, CallError, DigestMismatch, RequestMalformed
from shuqiao.security.http_signatures import is_digest_of

T = TypeVar("T")

_LENGTH = re.compile(r"[0-9]{1,12}", re.ASCII)
_CONTENT_TYPE = re.compile(r"application/json(?:\s*;\s*charset=\"?utf-8\"?)?", re.ASCII | re.IGNORECASE)
_FAULTY_PART = re.compile(r"at `\$\.(subjects|subject|claims|items|case|public_key|session|calls|lost)")
_FAULTY_FIELD = re.compile(r"required field `(subjects|subject|claims|public_key|session|calls)`")


def check_announced(headers: Mapping[str, str]) -> None:
    """Check the headers that announce a JSON body; raises `BodyTooLarge` or `RequestMalformed`."""
    if "transfer-encoding" in headers or _LENGTH.fullmatch(headers.get("content-length", "")) is None:
        raise RequestMalformed(part="content-length")
    if int(headers["content-length"]) > MAX_BODY_BYTES:
        raise BodyTooLarge(limit_bytes=MAX_BODY_BYTES)
    kind = headers.get("content-type", "")
    if kind != "application/json" and _CONTENT_TYPE.fullmatch(kind) is None:
        raise RequestMalformed(part="content-type")


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


class SignedBody(Generic[T]):
    """Waits for the body of a call whose head is in order, and begins its work with the request it holds."""

    __slots__ = ("_begin", "_content_digest", "_decoder", "_refuse")

    def __init__(
        self,
        content_digest: str,
        decoder: msgspec.json.Decoder[T],
        begin: Callable[[T], None],
        refuse: Callable[[CallError], None],
    ) -> None:
        """Keep the parts; `begin` may raise a `CallError`, and `refuse` records what can't be begun."""
        self._content_digest = content_digest
        self._decoder = decoder
        self._begin = begin
        self._refuse = refuse

    def arrived(self, body: bytes) -> None:
        """Begin the work."""
        try:
            if not is_digest_of(self._content_digest, body):
                raise DigestMismatch()
            self._begin(decode_body(self._decoder, body))
        except CallError as error:
            self._refuse(error)

    def broken(self, error: CallError) -> None:
        """Refuse, with an entry."""
        self._refuse(error)
