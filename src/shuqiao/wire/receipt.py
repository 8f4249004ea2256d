"""The promise that comes with every answer: its audit entry will be in the log by the next checkpoint.

Promises of one micro-batch share one Ed25519 signature over the root of a small RFC 6962 tree whose leaves
are the promised entries. Each promise carries its own path, so it can be checked alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated
from uuid import UUID

import msgspec

from shuqiao.rules.merkle import leaf_hash, node_hash
from shuqiao.security import keys

SIGNING_LABEL = b"shuqiao-promise-v1\n"
HEADER = "shuqiao-promise"
MAX_BATCH = 4096

Hex32 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Promise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The platform's signed word about one entry and one answer.

    `digest` is the entry's digest and Merkle leaf data of the log, `answer` the SHA-256 of the answer's
    body, both in hexadecimal. `at` is the time of signing, in the text that was signed. `index`, `size`
    and `path` place the leaf in the tree of the batch whose root `signature` (hexadecimal) covers.
    """

    entry: UUID
    digest: Hex32
    answer: Hex32
    at: Annotated[str, msgspec.Meta(max_length=40)]
    key_id: Annotated[str, msgspec.Meta(max_length=64)]
    index: Annotated[int, msgspec.Meta(ge=0, lt=MAX_BATCH)]
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_BATCH)]
    path: Annotated[tuple[Hex32, ...], msgspec.Meta(max_length=12)]
    signature: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{128}$")]


class PromiseUnreadable(ValueError):
    """Text that is not a promise."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Promise, strict=True)


def promise_leaf(entry: UUID, digest: bytes, answer_digest: bytes) -> bytes:
    """Hash one promised entry: `sha256(0x00 || entry id || digest || sha256(answer body))`."""
    return leaf_hash(entry.bytes + digest + answer_digest)


def batch_paths(leaves: Sequence[bytes]) -> tuple[bytes, list[tuple[str, ...]]]:
    """Give the root of the batch's tree and the path of every leaf in hexadecimal, from the leaf upwards.

    Paths are built from the root down, each from its parent's: the batch costs one hash and one short tuple a
    node. A last node without a neighbour rises unchanged, which is the tree of RFC 6962 section 2.1.
    """
    levels = [list(leaves)]
    while len(level := levels[-1]) > 1:
        whole = len(level) - len(level) % 2
        levels.append([node_hash(level[i], level[i + 1]) for i in range(0, whole, 2)] + level[whole:])
    paths: list[tuple[str, ...]] = [()]
    for level in levels[-2::-1]:
        names = [node.hex() for node in level]
        following: list[tuple[str, ...]] = []
        for place, above in enumerate(paths):
            pair = names[2 * place : 2 * place + 2]
            if len(pair) == 2:
                following += ((pair[1], *above), (pair[0], *above))
            else:
                following.append(above)
        paths = following
    return levels[-1][0], paths


def _root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Climb from a leaf to the root its path implies; null when the path has the wrong length."""
    node, position, last = leaf, index, size - 1
    rest = iter(path)
    while last > 0:
        if position % 2 or position < last:
            neighbour = next(rest, None)
            if neighbour is None:
                return None
            node = node_hash(neighbour, node) if position % 2 else node_hash(node, neighbour)
        position //= 2
        last //= 2
    return node if next(rest, None) is None else None


def make_promises(
    entries: Sequence[tuple[UUID, bytes, bytes]], at: str, key_id: str, sign: Callable[[bytes], bytes]
) -> list[Promise]:
    """Promise a whole batch of (entry id, digest, SHA-256 of the answer body) with one signature."""
    root, paths = batch_paths([promise_leaf(*entry) for entry in entries])
    signature = sign(SIGNING_LABEL + root + at.encode("ascii")).hex()
    return [
        Promise(
            entry,
            digest.hex(),
            answer.hex(),
            at,
            key_id,
            index,
            len(entries),
            paths[index],
            signature,
        )
        for index, (entry, digest, answer) in enumerate(entries)
    ]


def encode_promise(promise: Promise) -> str:
    """Give the header form: base64url without padding of the JSON."""
    return base64.urlsafe_b64encode(_encoder.encode(promise)).rstrip(b"=").decode("ascii")


def decode_promise(text: str) -> Promise:
    """Read the header form; anything else raises `PromiseUnreadable`."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return _decoder.decode(raw)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise PromiseUnreadable("not a promise") from error


def promise_is_signed(promise: Promise, key: keys.PublicKey) -> bool:
    """Tell whether the key signed the promise, about whatever answer it was given."""
    if promise.index >= promise.size:
        return False
    leaf = promise_leaf(promise.entry, bytes.fromhex(promise.digest), bytes.fromhex(promise.answer))
    root = _root_of(leaf, promise.index, promise.size, [bytes.fromhex(node) for node in promise.path])
    if root is None:
        return False
    message = SIGNING_LABEL + root + promise.at.encode("ascii", "replace")
    return keys.verify("ed25519", key, bytes.fromhex(promise.signature), message)


def verify_promise(promise: Promise, answer_body: bytes, key: keys.PublicKey) -> bool:
    """Tell whether the promise is signed and is about exactly this answer."""
    about = hashlib.sha256(answer_body).hexdigest()
    return about == promise.answer and promise_is_signed(promise, key)
