"""Recalls of copies whose grant has ended, and the signed word of a holder that it deleted them.

Source: our choice, decision 42
"""

from __future__ import annotations

import base64
import binascii
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from shuqiao.security import keys
from shuqiao.wire.bulk import Count

DELETION_LABEL = b"shuqiao-deletion-v1\n"
MAX_HELD = 500
"""So many copies a recall names, the newest; `left_out` counts the others."""
MAX_STATEMENT_CHARS = 128 * 1024
MAX_NOTE_CHARS = 500
NUMBER = r"L-[0-9]{4}-[0-9]{4,9}"

Way = Literal["feed", "copy", "file", "offline"]
Kind = Literal["feed", "files", "medium"]
"""What a recall is about: a feed that was applied somewhere, files that were fetched, or media."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Digest = Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9a-f]{64})?$")]


class Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was given under the grant: a feed, a copy, a version of a file, an offline delivery.

    `rows` and `parts` count what was handed out, `up_to` is the last batch in it, `manifest_digest` the
    SHA-256 of its (newest) manifest. `earlier` are feeds that this one has replaced.
    """

    way: Way
    id: str
    name: str = ""
    rows: int = 0
    parts: int = 0
    up_to: int = 0
    manifest_digest: str = ""
    earlier: tuple[str, ...] = ()


class Recall(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Calls on the holder to delete what it was given under a grant that has ended, until `due_on`."""

    number: str
    kind: Kind
    grant: str
    resource: str
    provider: str
    reason: str
    called_at: datetime
    due_on: date
    held: tuple[Held, ...]
    left_out: int = 0


class RecallsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for the recalls of the calling application that have no receipt yet, or for that of one feed."""

    feed: UUID | None = None


class RecallsAnswer(msgspec.Struct, frozen=True):
    """The most urgent first, as many as one answer holds."""

    recalls: tuple[Recall, ...]


class Deleted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was deleted of one thing held: its rows, and those that lay apart (`dead`).

    A node says with a feed how far it was: the part, the batch it ends with, the digest of its manifest.
    """

    way: Way
    id: Name
    rows: Count = 0
    dead: Count = 0
    part: Count = 0
    up_to: Count = 0
    manifest_digest: Digest = ""


class Deletion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A holder's word that it deleted everything a recall names."""

    recall: Annotated[str, msgspec.Meta(pattern=f"^{NUMBER}$")]
    deleted_at: Annotated[datetime, msgspec.Meta(tz=True)]
    deleted: Annotated[tuple[Deleted, ...], msgspec.Meta(min_length=1, max_length=MAX_HELD)]
    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE_CHARS)] = ""


class DeletionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Brings a deletion receipt: the JSON of a `Deletion`; of a node, with its signature over it (base64)."""

    statement: Annotated[str, msgspec.Meta(min_length=2, max_length=MAX_STATEMENT_CHARS)]
    signature: Annotated[str, msgspec.Meta(max_length=256)] = ""


class DeletionKept(msgspec.Struct, frozen=True):
    """The receipt is kept under this entry; said again, it is the same one."""

    recall: str
    entry: UUID
    at: datetime


class FeedEndRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ends a feed for its consumer. With `rests` no other is given until it is ended without."""

    rests: bool = False


class FeedEnded(msgspec.Struct, frozen=True):
    """The feed is ended."""

    feed: UUID
    entry: UUID
    at: datetime


class StatementUnreadable(ValueError):
    """A text that is no deletion receipt."""


_decoder = msgspec.json.Decoder(Deletion, strict=True)


def write_deletion(deletion: Deletion) -> str:
    """Write a receipt in its one form: JSON, keys sorted, no spaces."""
    return msgspec.json.encode(deletion, order="sorted").decode()


def read_deletion(text: str) -> Deletion:
    """Read a receipt; raises `StatementUnreadable`."""
    try:
        deletion = _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise StatementUnreadable("no deletion receipt") from None
    if not deletion.note.isprintable() or not all(one.id.isprintable() for one in deletion.deleted):
        raise StatementUnreadable("no deletion receipt")
    return deletion


def sign_deletion(text: str, key: keys.SigningKey) -> str:
    """Sign a receipt with a node's key; base64."""
    return base64.b64encode(keys.sign(keys.algorithm_of(key), key, DELETION_LABEL + text.encode())).decode()


def is_signed(text: str, signature: str, public_key: bytes) -> bool:
    """Tell whether a node's key (SubjectPublicKeyInfo DER) signed this receipt."""
    try:
        given, key = base64.b64decode(signature, validate=True), keys.load_public_der(public_key)
    except (binascii.Error, ValueError, keys.KeyRefusedError):
        return False
    return keys.verify("ed25519", key, given, DELETION_LABEL + text.encode())


def names_all(deletion: Deletion, held: tuple[Held, ...]) -> bool:
    """Tell whether a receipt speaks of everything that its recall names."""
    return {(one.way, one.id) for one in held} <= {(one.way, one.id) for one in deletion.deleted}
