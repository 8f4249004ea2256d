"""Comparing what a department holds with what the platform shares: what node and hub say to each other.

Rows are told apart by marks: keyed digests of their record key, under a key that the node makes for one run
and seals to the vault. Ranges are ranges of marks, so both sides part their rows alike whatever the order of
keys is at the source. A row's digest covers its mark, its identity items and a digest of its plain items
under a salt that the hub makes; nobody holds both secrets but the node, and whoever carries the messages
holds neither. So a sum of few rows, or of one, can be tried out by nobody.

Every step is a message to `reports.<department>.reconcile`, signed by the node and sent again until it has an
answer. The key stays the same within a run; a new run begins with step 1. Source: decision 41.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec

from shuqiao.rules.normalise import normalise_value
from shuqiao.security import keys
from shuqiao.wire.node_signed import NotTheNodes, content_of, sign_content
from shuqiao.wire.node_state import KEY_BYTES, MAX_RANGES
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from shuqiao.wire.subjects import check_department

RECONCILE = "reconcile"
"""Stands in the subject where a resource stands in the others."""

MAX_MESSAGE_BYTES = 900 * 1024
RANGE_ROWS = 250
MAX_NARROWED_ROWS = 20_000
"""Rows that one step names; a range with more is told as a whole."""
MAX_LISTED = 200
"""Differences that are listed; of more, the ranges are told."""
MAX_SAMPLE = 50
MARK_BYTES = DIGEST_BYTES = 16
ITEM_BYTES = 8
SUMS = 2**128
MOVING = bytes(DIGEST_BYTES)
"""Stands for the digest of a row that was not the same in two looks: it is on its way."""

_LABEL = b"shuqiao-reconciliation-v1\n"

_Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
_Run = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
_Name = Annotated[str, msgspec.Meta(max_length=64)]
_Code = Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,40}$")]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
_Step = Annotated[int, msgspec.Meta(ge=1, lt=2**20)]
_Range = Annotated[int, msgspec.Meta(ge=0, lt=MAX_RANGES)]
_Index = Annotated[int, msgspec.Meta(ge=0, lt=MAX_NARROWED_ROWS * 2)]
_Mark = Annotated[bytes, msgspec.Meta(min_length=MARK_BYTES, max_length=MARK_BYTES)]
_Key = Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
_Item = Annotated[bytes, msgspec.Meta(min_length=ITEM_BYTES, max_length=ITEM_BYTES)]
_Field = Annotated[str, msgspec.Meta(max_length=63)]
_Digests = Annotated[dict[_Field, _Item], msgspec.Meta(max_length=200)]
_Ranges = Annotated[tuple[_Range, ...], msgspec.Meta(max_length=MAX_RANGES)]
_Shown = Annotated[str, msgspec.Meta(max_length=64)]


class Sums(msgspec.Struct, frozen=True, tag="sums"):
    """The first step: sums of all ranges, sealed, and the plain items of a sample of rows by their digests.

    `structure` is `structure_of` the resource as the node knows it.
    """

    structure: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    mapping: _Name
    rows: _Count
    ranges: Annotated[int, msgspec.Meta(ge=1, le=MAX_RANGES)]
    sample: Annotated[tuple[_Digests, ...], msgspec.Meta(max_length=MAX_SAMPLE)]
    sealed: bytes


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """The rows of chosen ranges, sealed; every batch before `sequence` was merged before they were read.

    `moving` are those that were not the same in two looks, between which all that was read was merged.
    """

    chosen: _Ranges
    rows: Annotated[int, msgspec.Meta(ge=0, le=MAX_NARROWED_ROWS * 2)]
    sequence: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    moving: Annotated[tuple[_Index, ...], msgspec.Meta(max_length=MAX_NARROWED_ROWS * 2)]
    sealed: bytes


class Detail(msgspec.Struct, frozen=True, array_like=True):
    """A row in question: its number in the step before, its masked key, its plain items by their digests."""

    index: _Index
    shown: _Shown
    plain: _Digests


class Details(msgspec.Struct, frozen=True, tag="details"):
    """The rows in question item by item; digests of identity items are sealed, in the same order."""

    rows: Annotated[tuple[Detail, ...], msgspec.Meta(max_length=MAX_LISTED)]
    sealed: bytes


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The node can't compare, and why."""

    code: _Code


class Mended(msgspec.Struct, frozen=True, tag="mended"):
    """The rows of the chosen ranges were put into batches."""

    rows: _Count


class Waiting(msgspec.Struct, frozen=True, tag="waiting"):
    """The node is at work: what it does, and how many rows it has read."""

    phase: _Code
    done: _Count


Said = Sums | Rows | Details | Failed | Mended | Waiting


class Step(msgspec.Struct, frozen=True):
    """One message of a node."""

    department: _Name
    resource: _Name
    id: _Id
    run: _Run
    step: _Step
    said: Said


class Reply(msgspec.Struct, frozen=True):
    """The hub's answer to a step: what is wanted next.

    `narrow` asks for the rows of `ranges`, `details` for those of the numbers in `rows`. `working`: ask again
    by sending the same step. `again`: the run isn't known, begin anew. `over`: nothing more is wanted.
    """

    state: Literal["working", "narrow", "details", "again", "over"]
    ranges: _Ranges = ()
    rows: Annotated[tuple[_Index, ...], msgspec.Meta(max_length=MAX_LISTED)] = ()


class SampleRow(msgspec.Struct, frozen=True, array_like=True):
    """A row that is compared in full: its mark and its identity items by their digests."""

    mark: _Mark
    identity: _Digests


class SumsSealed(msgspec.Struct, frozen=True):
    """What `Sums` says to the vault alone: the key of the run, and count and sum of each range."""

    key: _Key
    counts: Annotated[tuple[_Count, ...], msgspec.Meta(max_length=MAX_RANGES)]
    sums: Annotated[bytes, msgspec.Meta(max_length=MAX_RANGES * DIGEST_BYTES)]
    sample: Annotated[tuple[SampleRow, ...], msgspec.Meta(max_length=MAX_SAMPLE)]


class RowsSealed(msgspec.Struct, frozen=True):
    """What `Rows` says to the vault alone: marks and digests, side by side, parted into `ranges`."""

    key: _Key
    ranges: Annotated[int, msgspec.Meta(ge=1, le=MAX_RANGES)]
    chosen: _Ranges
    marks: Annotated[bytes, msgspec.Meta(max_length=2 * MAX_NARROWED_ROWS * MARK_BYTES)]
    digests: Annotated[bytes, msgspec.Meta(max_length=2 * MAX_NARROWED_ROWS * DIGEST_BYTES)]


class DetailsSealed(msgspec.Struct, frozen=True):
    """What `Details` says to the vault alone."""

    key: _Key
    rows: Annotated[tuple[_Digests, ...], msgspec.Meta(max_length=MAX_LISTED)]


_steps = msgspec.msgpack.Decoder(Step)
_replies = msgspec.json.Decoder(Reply)
_packer = msgspec.msgpack.Encoder(order="deterministic")


def reconcile_subject(department: str) -> str:
    """Return the subject to which a node brings its steps."""
    return f"reports.{check_department(department)}.{RECONCILE}"


def sealing_context(department: str, resource: str, task: str, run: str, step: int) -> bytes:
    """Return what the sealed part of a step is bound to."""
    return f"shuqiao reconciliation 1\n{department}\n{resource}\n{task}\n{run}\n{step}".encode("ascii")


def sign_step(step: Step, key: keys.SigningKey) -> bytes:
    """Encode and sign a step."""
    return sign_content(_LABEL, msgspec.msgpack.encode(step), key)


def read_step(message: bytes, key: keys.PublicKey) -> Step:
    """Check and read a step; raises `NotTheNodes`."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise NotTheNodes("too large")
    try:
        return _steps.decode(content_of(_LABEL, message, key))
    except msgspec.MsgspecError:
        raise NotTheNodes("unreadable") from None


def encode_reply(reply: Reply) -> bytes:
    """Return the hub's answer."""
    return msgspec.json.encode(reply)


def decode_reply(data: bytes) -> Reply:
    """Read the hub's answer; raises msgspec.MsgspecError."""
    return _replies.decode(data)


def ranges_for(rows: int) -> int:
    """Return into how many ranges a table of so many rows is parted: a power of two."""
    wanted = max(1, rows // RANGE_ROWS)
    return min(MAX_RANGES, 1 << (wanted - 1).bit_length())


def range_of(mark: bytes, ranges: int) -> int:
    """Return the range in which a mark lies."""
    return int.from_bytes(mark[:4], "big") * ranges >> 32


@dataclass(frozen=True)
class RunKey:
    """The node's key of one run, and what is made with it."""

    secret: bytes

    def mark(self, item: ItemSpec, number: str) -> bytes:
        """Return what stands for a record, however its key is written."""
        normal = normalise_value(item.kind, item.type, number)
        return _keyed(self.secret, b"mark", normal.encode())

    def row(self, mark: bytes, identity: Mapping[str, str], plain: bytes) -> bytes:
        """Return the digest of a whole row; `plain` is `plain_digest` of its plain items."""
        return _keyed(self.secret, b"row", mark + plain + _packer.encode(identity))

    def items(self, mark: bytes, identity: Mapping[str, str]) -> dict[str, bytes]:
        """Return a digest for each identity item that has a value."""
        return {
            name: _keyed(self.secret, b"item", mark + _packer.encode((name, value)))[:ITEM_BYTES]
            for name, value in identity.items()
        }


def identity_of(items: Sequence[ItemSpec], values: Iterable[Any]) -> dict[str, str]:
    """Return the identity items of a row as the vault keeps them: those that have a value, as written."""
    found = {item.field: written(value) for item, value in zip(items, values, strict=True)}
    kept = {item.field: item for item in items}
    return {
        name: text
        for name, text in found.items()
        if text is not None and normalise_value(kept[name].kind, kept[name].type, text)
    }


def plain_digest(salt: bytes, values: Iterable[Any]) -> bytes:
    """Return the digest of a row's plain items, in the order of the catalogue."""
    return _keyed(salt, b"plain", _packer.encode([_plain(value) for value in values]))


def plain_items_digests(salt: bytes, fields: Sequence[str], values: Iterable[Any]) -> dict[str, bytes]:
    """Return a digest for each plain item, those without value too."""
    return {
        name: _keyed(salt, b"plain item", _packer.encode((name, _plain(value))))[:ITEM_BYTES]
        for name, value in zip(fields, values, strict=True)
    }


def structure_of(spec: ResourceSpec) -> bytes:
    """Return a digest of what both sides must agree on: the items, their types and where they are kept."""
    said = [(item.field, item.type, item.identity, item.kind) for item in spec.items]
    return hashlib.blake2b(_packer.encode((spec.record_key, said)), digest_size=16).digest()


def written(value: object) -> str | None:
    """Return an identity value as the vault keeps it."""
    match value:
        case str():
            return value
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case date():
            return value.isoformat()
        case _:
            return None


def _plain(value: Any) -> str | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    return None if value is None else str(value)


def _keyed(key: bytes, purpose: bytes, message: bytes) -> bytes:
    return hashlib.blake2b(message, digest_size=DIGEST_BYTES, key=key, person=purpose).digest()
