"""What a node signs with the key of its batches, so that hub and third parties know who said it."""

from __future__ import annotations

import msgspec

from shuqiao.security import keys


class NotTheNodes(ValueError):
    """Something that is not signed by the node it is said to come from, or can't be read."""


class Signed(msgspec.Struct, frozen=True, array_like=True):
    """Something a node signed; nothing of it is believed before `content_of` has looked at it."""

    content: bytes
    signature: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Signed).decode


def sign_content(label: bytes, content: bytes, key: keys.SigningKey) -> bytes:
    """Return the content with the node's signature; the label says what it is for and is signed with it."""
    return _encode(Signed(content, keys.sign(keys.algorithm_of(key), key, label + content)))


def content_of(label: bytes, message: bytes, key: keys.PublicKey) -> bytes:
    """Return what the node signed under this label; raises `NotTheNodes`."""
    signed = split(message)
    if not keys.verify("ed25519", key, signed.signature, label + signed.content):
        raise NotTheNodes("the signature is not the node's")
    return signed.content


def split(message: bytes) -> Signed:
    """Take a message apart without believing it; raises `NotTheNodes`."""
    try:
        return _decode(message)
    except msgspec.MsgspecError:
        raise NotTheNodes("unreadable") from None
