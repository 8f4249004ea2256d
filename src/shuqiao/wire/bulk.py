"""A bulk copy on the wire: what is asked and answered, the signed manifest, and links that expire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from shuqiao.security import keys
from shuqiao.security.links import make_token, open_token
from shuqiao.wire.grant import Row
from shuqiao.wire.messages import CaseNumber, Field

MANIFEST_LABEL = b"shuqiao-bulk-manifest-v1\n"

MAX_WAIT_S = 30
"""The longest that whoever asks for the state of a feed may wait for a change of it."""

MAX_UNFIT = 100
"""So many rows that didn't fit a receipt names; it counts all of them."""

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Format = Literal["arrow", "parquet", "csv", "xlsx"]
FeedFormat = Literal["arrow", "parquet", "csv"]
Digest = Literal["sha-256", "sm3"]
Recipient = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[A-Za-z0-9+/=]*$")]
"""Empty, or the public key to which a copy is sealed: `security.recipients.write_recipient`."""
ResourceName = Annotated[str, msgspec.Meta(pattern=r"^r[0-9]{6}[a-z2-7]{10}$")]


class BulkRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for a copy of what a grant of mode bulk covers.

    `channel` says whether a system fetches it (interface) or a person (download); `digest` is by what its
    parts are digested in the manifest, `auto` by what the platform's suite says. With `recipient` it is
    sealed to that key: only its owner can open what is handed out.
    """

    resource: ResourceName
    format: Format = "arrow"
    digest: Digest | Literal["auto"] = "auto"
    channel: Literal["interface", "download"] = "interface"
    case: CaseNumber = ""
    recipient: Recipient = ""


class BulkAsked(msgspec.Struct, frozen=True):
    """The copy is going to be prepared; `job` names it."""

    job: UUID
    entry: UUID
    at: datetime


class StateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks how far something is."""


class PartLink(msgspec.Struct, frozen=True):
    """Where a part is fetched, until when."""

    number: int
    path: str
    expires_at: datetime


class BulkState(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How far a copy is; with the manifest, its signature (base64) and links once it is ready.

    `sealed_key` (base64) is the content key of a copy that is sealed to its recipient.
    """

    job: UUID
    state: Literal["waiting", "preparing", "ready", "failed", "expired"]
    format: Format
    rows_done: int = 0
    rows_total: int | None = None
    failure: str = ""
    expires_at: datetime | None = None
    manifest: str = ""
    signature: str = ""
    key_id: str = ""
    links: tuple[PartLink, ...] = ()
    sealed_key: str = ""


class FeedRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Subscribes to the changes of a resource under a grant; the first part holds everything there is.

    With `recipient` all parts are sealed to that key.
    """

    resource: ResourceName
    format: FeedFormat = "arrow"
    case: CaseNumber = ""
    recipient: Recipient = ""


class FeedAsked(msgspec.Struct, frozen=True, omit_defaults=True):
    """The subscription, new or the one there was, and the key to which its parts are sealed.

    That of one there was may be another than was asked for: it stays until the feed is ended.
    """

    feed: UUID
    entry: UUID
    at: datetime
    recipient: Recipient = ""


class FeedPart(msgspec.Struct, frozen=True):
    """A part of a feed that waits: the changes after batch `after` up to batch `up_to`; `job` fetches it."""

    number: int
    job: UUID
    state: str
    after: int
    up_to: int | None


class FeedStateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks where a feed stands.

    With `wait` the answer may take so many seconds, until a part after `after` is ready. Where too many wait
    already, it comes at once.
    """

    wait: Annotated[float, msgspec.Meta(ge=0, le=MAX_WAIT_S)] = 0.0
    after: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0


class FeedState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a feed stands; `parts` are those not taken yet, in order and without gaps.

    `next` is the state of the first part after the one that was named, once it is ready.
    """

    feed: UUID
    resource: str
    last_number: int
    taken_number: int
    parts: tuple[FeedPart, ...]
    next: BulkState | None = None


class Unfit(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A row of a part that didn't fit the consumer's table: its number from 1, and the code of the reason."""

    row: Count
    reason: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of the last of the parts: rows put in or changed, rows that went, rows that didn't fit.

    `manifest_digest` is the SHA-256 of the part's manifest in hexadecimal, `applied_at` the consumer's time.
    `unfit` names the first of the rows that didn't fit, each with its reason.
    """

    manifest_digest: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    applied_at: Annotated[datetime, msgspec.Meta(tz=True)]
    applied: Count
    gone: Count
    dead: Count
    unfit: Annotated[tuple[Unfit, ...], msgspec.Meta(max_length=MAX_UNFIT)] = ()


class TakenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says that the parts up to this number are kept by the consumer, and what it did with the last."""

    number: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    receipt: Receipt | None = None


class FeedTaken(msgspec.Struct, frozen=True):
    """The position is kept."""

    number: int
    entry: UUID
    at: datetime


class BrowseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for one page of records; filters and order by granted items that are given unmasked."""

    filters: Annotated[tuple[Row, ...], msgspec.Meta(max_length=8)] = ()
    sort: Field | None = None
    descending: bool = False
    offset: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    case: CaseNumber = ""


class BrowseAnswer(msgspec.Struct, frozen=True):
    """One page: items of each record in text form, null where there is no value; `total` counts to 10,001."""

    fields: tuple[str, ...]
    records: tuple[tuple[str | None, ...], ...]
    total: int
    entry: UUID
    at: datetime


class ManifestPart(msgspec.Struct, frozen=True):
    """One file: its rows, bytes and digest (hexadecimal) as they are delivered.

    Of a sealed copy they are those of the opened file, the digest over the salt and the file.
    """

    number: int
    name: str
    rows: int
    size_bytes: int
    digest: str


class ManifestItem(msgspec.Struct, frozen=True):
    """One column: its item, type, names, and whether its values are masked."""

    field: str
    type: str
    zh: str
    en: str
    masked: bool = False


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a copy is, signed by the platform (key of purpose `promise`, label `MANIFEST_LABEL`).

    `epoch` is the state of grants it was decided on, `up_to` the last batch in it, `entry` its audit
    entry. A feed's part has `feed`, `number` and `after`, the batch the part before it ends with.
    `sealed_to` is the public key of the recipient, where the copy is sealed to one.
    """

    job: UUID
    entry: UUID
    grant: str
    resource: str
    department: str
    provider: str
    purpose: str
    format: Format
    digest_algorithm: Digest
    rows: int
    up_to: int
    epoch: int
    at: datetime
    items: tuple[ManifestItem, ...]
    parts: tuple[ManifestPart, ...]
    feed: UUID | None = None
    number: int | None = None
    after: int | None = None
    note: str = ""
    sealed_to: Recipient = ""


class ManifestUnreadable(ValueError):
    """Text that is no manifest, or whose signature is not the platform's."""


_manifest_decoder = msgspec.json.Decoder(Manifest, strict=True)


def encode_manifest(manifest: Manifest) -> bytes:
    """Give the canonical form: JSON in UTF-8, keys sorted, no spaces."""
    return msgspec.json.encode(manifest, order="sorted")


def verify_manifest(text: bytes | str, signature: bytes, key: keys.PublicKey) -> Manifest:
    """Check the signature, then read the manifest; raises `ManifestUnreadable`."""
    raw = text.encode() if isinstance(text, str) else text
    if not keys.verify("ed25519", key, signature, MANIFEST_LABEL + raw):
        raise ManifestUnreadable("the manifest is not signed by this key of the platform")
    return read_manifest(raw)


def read_manifest(text: bytes | str) -> Manifest:
    """Read a manifest whose signature is checked elsewhere; raises `ManifestUnreadable`."""
    try:
        return _manifest_decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise ManifestUnreadable("not a manifest") from error


def sealed_context(job: UUID) -> bytes:
    """What the content key and the pieces of a sealed copy are bound to."""
    return b"shuqiao sealed copy 1\x00" + job.bytes


class Link(msgspec.Struct, frozen=True, array_like=True):
    """What a link is good for: one part, for whom it was made, until when (seconds since 1970)."""

    job: UUID
    part: int
    application: str
    grant: str
    actor: str
    expires: int


_link_decoder = msgspec.msgpack.Decoder(Link)


def link_token(secret: bytes, link: Link) -> str:
    """Make the token of a link."""
    return make_token(secret, msgspec.msgpack.encode(link))


def open_link(secret: bytes, token: str) -> Link | None:
    """Read a token; None for one that this platform didn't make. Its end is not looked at."""
    content = open_token(secret, token)
    try:
        return None if content is None else _link_decoder.decode(content)
    except msgspec.MsgspecError:
        return None
