"""What the hub answers a node: signed receipts of merged batches, by request and reply.

A node deletes a batch from its spool only when it holds the receipt signed by the hub's key `receipts`.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from datetime import datetime
from typing import Annotated

import msgspec

from shuqiao.rules.errors import BatchMalformed
from shuqiao.security.keys import PublicKey, SigningKey, sign, verify
from shuqiao.wire.package import ALGORITHM, MAX_ROWS, RowFault

MAX_REPLY_BYTES = 900 * 1024
MAX_UNFOLDED_BYTES = 32 * 1024 * 1024
SIGNING_LABEL = b"shuqiao-batch-receipt-v1\n"
REFUSAL_LABEL = b"shuqiao-batch-refusal-v1\n"

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_ROWS)]
Sequence = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class BatchReceipt(msgspec.Struct, frozen=True):
    """What became of one batch: what the `accepted` rows say holds, each rejected row has a reason.

    Of the accepted ones `removed` have left the base table. A batch that ends a full load has no rows: what
    it accepts are records that are gone.
    """

    department: str
    resource: str
    sequence: Sequence
    manifest_digest: str
    accepted: Count
    inserted: Count
    updated: Count
    unchanged: Count
    rejected: tuple[RowFault, ...]
    merged_at: datetime
    removed: Count = 0


class SignedReceipt(msgspec.Struct, frozen=True):
    """The JSON of a `BatchReceipt` or a `Refusal`, and the hub's signature over it in base64."""

    document: str
    key_id: str
    signature: str


class ReceiptsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for the receipts of the batches after a sequence."""

    after: Sequence


class Refusal(msgspec.Struct, frozen=True):
    """A batch that the loader refused whole: the SHA-256 of its message in hexadecimal, and the reason.

    `rule` cites what the refusal rests on, where the hub knows it; the node has no citations of its own.
    """

    department: str
    resource: str
    message: str
    code: str
    rule: str = ""


class ReceiptsReply(msgspec.Struct, frozen=True):
    """Sequence and generation of the last batch merged, and signed receipts in order, as many as fit.

    `refusal` is the signed refusal of the last batch refused since the last one merged.
    """

    last: Sequence
    receipts: tuple[str, ...]
    refusal: str | None = None
    generation: Sequence = 0


def sign_receipt(receipt: BatchReceipt, key_id: str, key: SigningKey) -> str:
    """Return the text of a signed receipt, as the ledger keeps it."""
    return _signed(SIGNING_LABEL, msgspec.json.encode(receipt), key_id, key)


def sign_refusal(refusal: Refusal, key_id: str, key: SigningKey) -> str:
    """Return the text of a signed refusal: a node acts on it, so nobody between may make one up."""
    return _signed(REFUSAL_LABEL, msgspec.json.encode(refusal), key_id, key)


def _signed(label: bytes, document: bytes, key_id: str, key: SigningKey) -> str:
    signature = base64.b64encode(sign(ALGORITHM, key, label + document)).decode("ascii")
    return msgspec.json.encode(SignedReceipt(document.decode(), key_id, signature)).decode()


def check_receipt(text: str, keys: dict[str, PublicKey]) -> BatchReceipt:
    """Return a receipt signed by one of these keys; raise ValueError for anything else."""
    return msgspec.json.decode(_checked(SIGNING_LABEL, text, keys), type=BatchReceipt)


def check_refusal(text: str, keys: dict[str, PublicKey]) -> Refusal:
    """Return a refusal signed by one of these keys; raise ValueError for anything else."""
    return msgspec.json.decode(_checked(REFUSAL_LABEL, text, keys), type=Refusal)


def _checked(label: bytes, text: str, keys: dict[str, PublicKey]) -> bytes:
    signed = msgspec.json.decode(text, type=SignedReceipt)
    key = keys.get(signed.key_id)
    document = signed.document.encode()
    try:
        signature = base64.b64decode(signed.signature, validate=True)
    except binascii.Error:
        raise ValueError("the receipt's signature is not base64") from None
    if key is None or not verify(ALGORITHM, key, signature, label + document):
        raise ValueError("the receipt is not signed by the hub")
    return document


def encode_reply(reply: ReceiptsReply) -> bytes:
    """Return the reply as compressed JSON, with as many of its receipts as a message may hold."""
    receipts = list(reply.receipts)
    while True:
        whole = msgspec.structs.replace(reply, receipts=tuple(receipts))
        data = zlib.compress(msgspec.json.encode(whole), 1)
        if len(data) <= MAX_REPLY_BYTES or len(receipts) <= 1:
            return data
        del receipts[len(receipts) // 2 :]


def decode_reply(data: bytes) -> ReceiptsReply:
    """Read a reply; refuse what is malformed or would unfold into too much."""
    unfolding = zlib.decompressobj()
    try:
        text = unfolding.decompress(data, MAX_UNFOLDED_BYTES)
        if not unfolding.eof:
            raise BatchMalformed(part="receipts")
        return msgspec.json.decode(text, type=ReceiptsReply)
    except (zlib.error, msgspec.DecodeError, msgspec.ValidationError):
        raise BatchMalformed(part="receipts") from None
