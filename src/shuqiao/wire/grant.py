"""A grant: what one department lets another use, for what and how long, as an immutable signed document."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

from shuqiao.rules.exchange import Channel as Way
from shuqiao.rules.exchange import GrantFacts, Match, Mode
from shuqiao.rules.ids import ApplicationId, DepartmentCode, GrantId, ResourceId
from shuqiao.security import keys

# The label keeps a grant's signature from ever being valid for another kind of document.
SIGNING_LABEL = b"shuqiao-grant-v1\n"

Text = Annotated[str, msgspec.Meta(max_length=4000)]
Channel = Literal["interface", "download", "browse", "offline"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A condition that every record given out fulfils; `rules.rows` says what the operators mean."""

    field: Name
    op: Literal["eq", "in", "range", "null"]
    values: Annotated[tuple[Text, ...], msgspec.Meta(max_length=200)] = ()


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The words of a grant. A change is a new grant.

    `department` may ask, `provider` owns the resource. With `match` `all` a verification answers one word
    for all items together. `applications` are the only systems that may use it. Both days of the period
    are legal days in Asia/Shanghai and belong to it. `items` are the granted items, no others are touched.
    Sensitive items are masked unless they stand in `unmasked`; with `pseudonyms` identifiers are given as
    tokens of this consumer; all of `rows` hold for a record that is answered or delivered; with
    `signed_calls` each call carries a signature of the application's own key. `channels` are the ways in
    which it is given, `operations` those of a proxied interface, `files` the files that are given, `*` for
    all of the entry. Source: xiamen-2015 art. 13; shenyang-2016 art. 21.
    """

    id: Name
    resource: Name
    department: Name
    provider: Name
    mode: Literal["verify", "query", "bulk"]
    items: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=64)]
    match: Literal["all", "each"] = "all"
    applications: Annotated[tuple[Name, ...], msgspec.Meta(max_length=200)]
    purpose: Text
    case_required: bool = False
    valid_from: date
    valid_until: date
    regulation: Name
    request_no: Name
    conditions: tuple[Text, ...] = ()
    rows: Annotated[tuple[Row, ...], msgspec.Meta(max_length=16)] = ()
    unmasked: Annotated[tuple[Name, ...], msgspec.Meta(max_length=64)] = ()
    pseudonyms: bool = False
    signed_calls: bool = False
    channels: Annotated[tuple[Channel, ...], msgspec.Meta(min_length=1, max_length=4)] = ("interface",)
    operations: Annotated[tuple[Name, ...], msgspec.Meta(max_length=64)] = ()
    files: Annotated[tuple[Name, ...], msgspec.Meta(max_length=200)] = ()
    issued_at: datetime
    issued_by: Name


class GrantUnreadable(ValueError):
    """A grant document that isn't the canonical form of a grant, or whose signature is not the key's."""


class SignedGrant(msgspec.Struct, frozen=True):
    """The three columns of `exchange.grant` that carry the document."""

    document: str
    signature: bytes
    key_id: str


_decoder = msgspec.json.Decoder(Grant, strict=True)


def encode_grant(grant: Grant) -> bytes:
    """Give the canonical form: JSON in UTF-8, keys sorted, no spaces."""
    return msgspec.json.encode(grant, order="sorted")


def decode_grant(document: bytes | str) -> Grant:
    """Read the canonical form; anything else raises `GrantUnreadable`."""
    raw = document.encode("utf-8", "strict") if isinstance(document, str) else document
    try:
        grant = _decoder.decode(raw)
    except msgspec.MsgspecError as error:
        raise GrantUnreadable(f"not a grant: {error}") from error
    if encode_grant(grant) != raw:
        raise GrantUnreadable("not in canonical form")
    return grant


def sign_grant(grant: Grant, key: keys.SigningKey) -> SignedGrant:
    """Encode and sign a grant with the platform's key for grants."""
    document = encode_grant(grant)
    signature = keys.sign(keys.algorithm_of(key), key, SIGNING_LABEL + document)
    return SignedGrant(document.decode("utf-8"), signature, keys.key_id(key.public_key()))


def verify_grant(document: bytes | str, signature: bytes, algorithm: str, key: keys.PublicKey) -> Grant:
    """Check the signature, then read the document; raises `GrantUnreadable` when either fails."""
    raw = document.encode("utf-8", "strict") if isinstance(document, str) else document
    if not keys.verify(algorithm, key, signature, SIGNING_LABEL + raw):
        raise GrantUnreadable("the signature is not the key's")
    return decode_grant(raw)


def facts_of(grant: Grant) -> GrantFacts:
    """Give what a decision looks at in a grant that nobody has revoked or suspended."""
    return GrantFacts(
        GrantId(grant.id),
        DepartmentCode(grant.department),
        ResourceId(grant.resource),
        Mode(grant.mode),
        frozenset(grant.items),
        Match(grant.match),
        frozenset(ApplicationId(application) for application in grant.applications),
        grant.purpose,
        grant.valid_from,
        grant.valid_until,
        channels=frozenset(Way(channel) for channel in grant.channels),
    )
