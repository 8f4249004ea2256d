"""The signed request as it is kept with its audit entry: sealed to the vault, and a digest for everybody.

The signature covers a digest of the body, and a body holds a person's number: whoever has both can try out
all numbers. So the log holds a digest that can't be tried out and the request itself sealed. Only the vault
opens it, for evidence that somebody with a right to it asks for.

Source: our choice, decision 21
"""

from __future__ import annotations

from typing import Annotated

import msgspec

REQUEST_CONTEXT = b"shuqiao-call-v1\x00"
PROMISE_CONTEXT = b"shuqiao-promises-v1\x00"
MAC = "hmac-sha256"


class SignedRequest(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A signed request: what the signature covers (`RequestSignature.covered`), and the signature."""

    covered: Annotated[str, msgspec.Meta(max_length=8192)]
    signature: Annotated[bytes, msgspec.Meta(min_length=32, max_length=64)]


class GivenPromises(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The leaves of a micro-batch's promises: digest of each entry and SHA-256 of each answer, in order."""

    digests: bytes
    answers: bytes


_encoder = msgspec.msgpack.Encoder()
_request_decoder = msgspec.msgpack.Decoder(SignedRequest)
_promises_decoder = msgspec.msgpack.Decoder(GivenPromises)


def encode_request(request: SignedRequest) -> bytes:
    """Give the bytes that are sealed."""
    return _encoder.encode(request)


def decode_request(raw: bytes) -> SignedRequest:
    """Read what `encode_request` wrote; raises `msgspec.MsgspecError`."""
    return _request_decoder.decode(raw)


def encode_promises(promises: GivenPromises) -> bytes:
    """Give the bytes that are sealed."""
    return _encoder.encode(promises)


def decode_promises(raw: bytes) -> GivenPromises:
    """Read what `encode_promises` wrote; raises `msgspec.MsgspecError`."""
    return _promises_decoder.decode(raw)
