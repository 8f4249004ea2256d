"""The language of the vault: one frame, one message; who may ask what; and the client that asks.

A frame is a 4-byte big-endian length and that many bytes of msgpack. A connection begins with a challenge:
both sides prove with an HMAC that they hold the client's key, so that neither a stranger nor a false vault
learns anything. Then requests and answers flow independently, matched by their id.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Literal
from uuid import UUID

import msgspec

PROTOCOL = 1
MAX_FRAME_BYTES = 8 * 1024 * 1024
MAX_REVEALED_BYTES = 6 * 1024 * 1024
"""How much of records an answer holds at most, so that it is a frame with all that is around them."""
MAX_HANDSHAKE_BYTES = 1024
MAX_CALLS = 1024
MAX_ROWS = 10_000
MAX_FOUND = 200
NONCE_BYTES = 32
LENGTH_BYTES = 4

RequestId = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Resource = Annotated[str, msgspec.Meta(pattern=r"^r[0-9]{6}[a-z2-7]{10}$")]
Field = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
Number = Annotated[str, msgspec.Meta(max_length=128)]
Value = Annotated[str, msgspec.Meta(max_length=1024)]
Entries = Annotated[tuple[UUID, ...], msgspec.Meta(max_length=MAX_CALLS)]
Nonce = Annotated[bytes, msgspec.Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Proof = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]

ALLOWED: dict[str, frozenset[str]] = {
    "plane": frozenset({"resolve", "compare", "reveal", "reveal_records"}),
    "bulk": frozenset({"reveal_records"}),
    "loader": frozenset({"assign", "reconcile"}),
    "control": frozenset({"find_by_name", "open_sealed"}),
    "auditor": frozenset({"open_sealed"}),
}


class Challenge(msgspec.Struct, frozen=True, tag="challenge"):
    """The vault's first word: a nonce to prove the key over."""

    protocol: int
    nonce: Nonce


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The client's answer: who it is, the proof, and a nonce for the vault to prove itself over."""

    client: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    nonce: Nonce
    proof: Proof


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The vault holds the same key; requests may follow."""

    proof: Proof


class Resolve(msgspec.Struct, frozen=True, tag="resolve"):
    """Asks for the record id behind each record key; unknown numbers get random ids."""

    id: RequestId
    resource: Resource
    numbers: Annotated[tuple[Number, ...], msgspec.Meta(max_length=MAX_CALLS)]
    entries: Entries


class CompareCall(msgspec.Struct, frozen=True, array_like=True):
    """One comparison: the record key, and the claimed value per identity field."""

    number: Number
    claims: Annotated[dict[Field, Value], msgspec.Meta(max_length=64)]


class Compare(msgspec.Struct, frozen=True, tag="compare"):
    """Asks whether claims agree with records; nothing but yes and no comes back."""

    id: RequestId
    resource: Resource
    calls: Annotated[tuple[CompareCall, ...], msgspec.Meta(max_length=MAX_CALLS)]
    entries: Entries


class RevealCall(msgspec.Struct, frozen=True, array_like=True):
    """One disclosure: the record key, the fields, and the grant that permits it.

    Fields in `masked` come back masked, those in `tokens` as tokens of `consumer`; the rest in clear.
    """

    number: Number
    fields: Annotated[tuple[Field, ...], msgspec.Meta(max_length=64)]
    grant: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    masked: Annotated[tuple[Field, ...], msgspec.Meta(max_length=64)] = ()
    tokens: Annotated[tuple[Field, ...], msgspec.Meta(max_length=64)] = ()
    consumer: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Reveal(msgspec.Struct, frozen=True, tag="reveal"):
    """Asks for identity values in clear, each call under a grant."""

    id: RequestId
    resource: Resource
    calls: Annotated[tuple[RevealCall, ...], msgspec.Meta(max_length=MAX_CALLS)]
    entries: Entries


class RevealRecords(msgspec.Struct, frozen=True, tag="reveal_records"):
    """Asks for identity values of records the base has given out under a grant, for a copy or a page.

    `call` says what is given and how, its number is empty.
    """

    id: RequestId
    resource: Resource
    records: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=MAX_ROWS)]
    call: RevealCall
    entries: Entries


class FindByName(msgspec.Struct, frozen=True, tag="find_by_name"):
    """Asks which records bear exactly this name in a field, or have this number in the list's record key.

    An official states the reason.
    """

    id: RequestId
    resource: Resource
    field: Field
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    entries: Entries


class OpenSealed(msgspec.Struct, frozen=True, tag="open_sealed"):
    """Asks to open what the plane sealed with calls: a signed request, or promises (`wire.call_proof`).

    It opens nothing else: batches of nodes are sealed for another context.
    """

    id: RequestId
    kind: Literal["request", "promises"]
    sealed: Annotated[bytes, msgspec.Meta(max_length=64 * 1024)]
    entries: Entries
    resource: Resource | None = None


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """What was sealed; null where it was not sealed to this vault for this use, or was altered."""

    id: RequestId
    plain: bytes | None


class Assign(msgspec.Struct, frozen=True, tag="assign"):
    """Hands over the identity columns of a batch, still sealed by the node, to be stored.

    `spec` is the msgpack of `wire.schemas.ResourceSpec`. `sealed` opens with `wire.package.sealing_context`
    to a part with exactly the resource's identity columns, rows in the order of the plain part; `rows`, where
    given, is how many there must be. Rows in `skip` failed elsewhere and are left out. The same batch again
    gives the same ids and versions; an older one, by (generation, sequence), changes nothing. Rows in
    `removed` name records by their key alone that are gone from the source. With `complete_since`, everything
    the source holds came in this generation or later: what was not met since is gone, and up to `MAX_ROWS`
    records of it are marked so.
    """

    id: RequestId
    resource: Resource
    spec: Annotated[bytes, msgspec.Meta(max_length=256 * 1024)]
    department: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}-[a-z0-9-]{1,40}$")]
    generation: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    sequence: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    sealed: bytes
    skip: Annotated[tuple[int, ...], msgspec.Meta(max_length=MAX_ROWS)]
    entries: Entries
    rows: Annotated[int, msgspec.Meta(ge=0, le=MAX_ROWS)] | None = None
    removed: Annotated[tuple[int, ...], msgspec.Meta(max_length=MAX_ROWS)] = ()
    complete_since: Annotated[int, msgspec.Meta(ge=1, lt=2**53)] | None = None


class Reconcile(msgspec.Struct, frozen=True, tag="reconcile"):
    """Asks how records of the base agree with what a node sealed about its own (`wire.reconciliation`).

    `context` is what the sealed part is bound to. `plain` holds 16 bytes for each record. In step `sums`
    each page adds to `state`, which only the vault can read, and `last` compares; in `details`, `places` says
    which row of the sealed part is held against each record.
    """

    id: RequestId
    resource: Resource
    step: Literal["sums", "rows", "details"]
    context: Annotated[bytes, msgspec.Meta(max_length=512)]
    sealed: Annotated[bytes, msgspec.Meta(max_length=1024 * 1024)]
    records: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=MAX_ROWS)]
    plain: Annotated[bytes, msgspec.Meta(max_length=16 * MAX_ROWS)]
    state: Annotated[bytes, msgspec.Meta(max_length=256 * 1024)]
    places: Annotated[tuple[int, ...], msgspec.Meta(max_length=MAX_ROWS)]
    last: bool
    entries: Entries


Request = Resolve | Compare | Reveal | RevealRecords | FindByName | Assign | OpenSealed | Reconcile


class Resolved(msgspec.Struct, frozen=True, tag="resolved"):
    """Record ids in the order of the numbers."""

    id: RequestId
    records: tuple[UUID, ...]


class CompareResult(msgspec.Struct, frozen=True, array_like=True):
    """The record id, the identity version read, and per field whether the claim agrees.

    For an unknown number a random id, version 1, and no agreement: nothing tells it from a wrong claim.
    `mark` is a keyed digest of resource and number, the same for known and unknown ones, by which wrong
    claims are counted.
    """

    record: UUID
    version: int
    matches: dict[str, bool]
    mark: Annotated[bytes, msgspec.Meta(max_length=16)] = b""


class Compared(msgspec.Struct, frozen=True, tag="compared"):
    """Results in the order of the calls."""

    id: RequestId
    results: tuple[CompareResult, ...]


class RevealResult(msgspec.Struct, frozen=True, array_like=True):
    """The record id, the identity version read, and the values as they were asked for; null for none.

    Pictures are base64 text.
    """

    record: UUID
    version: int
    values: dict[str, str | None]


class Revealed(msgspec.Struct, frozen=True, tag="revealed"):
    """Results in the order of the calls."""

    id: RequestId
    results: tuple[RevealResult, ...]


class RecordsRevealed(msgspec.Struct, frozen=True, tag="records_revealed"):
    """A column for each field, in the order of the records; null where there is no value or no record.

    `count` says how many of the records it is about, from the first on; the others are to be asked for again.
    """

    id: RequestId
    count: int
    columns: tuple[tuple[str | None, ...], ...]


class Found(msgspec.Struct, frozen=True, tag="found"):
    """Record ids, at most `MAX_FOUND`; `more` says that there were others."""

    id: RequestId
    records: tuple[UUID, ...]
    more: bool


class AssignedRow(msgspec.Struct, frozen=True):
    """A stored row: its 0-based number in the batch, and what the base table keeps of its identity."""

    row: int
    record: UUID
    subject: UUID
    version: int


class RowFault(msgspec.Struct, frozen=True, array_like=True):
    """A refused row: its 0-based number in the batch, the item and a code of `rules.errors.RowError`."""

    row: int
    item: str
    code: str


class Assigned(msgspec.Struct, frozen=True, tag="assigned"):
    """What became of a batch: every row not skipped is stored, among the faults by its number, or removed.

    Of the stored rows, in the order of their records, `numbers` and `versions` have one value each and
    `records` and `subjects` 16 bytes each: a batch has thousands. They are `new` where this call made the
    records of all. `removed` are records that are gone; a removed row of a record nobody knows is in none.
    Raises ValueError where the columns have different lengths.
    """

    id: RequestId
    numbers: tuple[int, ...]
    records: bytes
    subjects: bytes
    versions: tuple[int, ...]
    faults: tuple[RowFault, ...]
    removed: tuple[UUID, ...] = ()
    new: bool = False

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        count = len(self.numbers)
        if {len(self.records), len(self.subjects)} != {16 * count} or len(self.versions) != count:
            raise ValueError("the columns have different lengths")

    @property
    def rows(self) -> tuple[AssignedRow, ...]:
        """The stored rows one by one, in the order of their numbers."""
        ids = [
            [UUID(bytes=column[begin : begin + 16]) for begin in range(0, len(column), 16)]
            for column in (self.records, self.subjects)
        ]
        rows = map(AssignedRow, self.numbers, *ids, self.versions)
        return tuple(sorted(rows, key=lambda row: row.row))


class Held(msgspec.Struct, frozen=True, array_like=True):
    """A record of the base held against the node's rows: the number of its row, -1 where the node has none.

    `items` are identity items that differ. `shown` is the record's key, masked, where it does not agree.
    """

    row: int
    record: UUID
    agrees: bool
    items: tuple[str, ...] = ()
    shown: str = ""


class Reconciled(msgspec.Struct, frozen=True, tag="reconciled"):
    """What became of a page: records that matter for the step, ranges that differ, records nobody knows.

    Each range is its number and how many rows it has here and there.
    """

    id: RequestId
    state: bytes = b""
    held: tuple[Held, ...] = ()
    ranges: tuple[tuple[int, int, int], ...] = ()
    unknown: tuple[UUID, ...] = ()


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The request was not done; `code` is one of `REFUSAL_CODES`. Id 0 before the welcome."""

    id: RequestId
    code: str


Answer = Opened | Resolved | Compared | Revealed | RecordsRevealed | Found | Assigned | Reconciled | Refused

REFUSAL_CODES = frozenset(
    {
        "vault_access_refused",
        "vault_operation_not_allowed",
        "vault_unavailable",
        "vault_answer_too_large",
        "batch_malformed",
    }
)

_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")


class VaultError(Exception):
    """The vault did not do what was asked."""


class VaultUnavailable(VaultError):
    """The vault can't be reached, hung up, or did not answer in time; asking again is safe."""


class VaultRefused(VaultError):
    """The vault answered with a refusal; `code` is one of `REFUSAL_CODES`."""

    def __init__(self, code: str) -> None:
        """Keep the code, which is also the message."""
        super().__init__(code)
        self.code = code


class FrameRefused(VaultError):
    """A frame that is too long or not a message."""


def encode_message(message: msgspec.Struct) -> bytes:
    """Give the frame of a message: length and msgpack."""
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise FrameRefused(f"a frame of {len(body)} bytes exceeds {MAX_FRAME_BYTES}")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def client_proof(key: bytes, client: str, vault_nonce: bytes, client_nonce: bytes) -> bytes:
    """Prove to the vault that the client holds its key."""
    return _proof(key, b"client", client, vault_nonce, client_nonce)


def vault_proof(key: bytes, client: str, vault_nonce: bytes, client_nonce: bytes) -> bytes:
    """Prove to the client that the vault holds the client's key."""
    return _proof(key, b"vault", client, vault_nonce, client_nonce)


def _proof(key: bytes, side: bytes, client: str, vault_nonce: bytes, client_nonce: bytes) -> bytes:
    # Both nonces have a fixed length, so the parts can't be shifted against each other.
    message = b"shuqiao vault 1\x00" + side + b"\x00" + vault_nonce + client_nonce + client.encode("utf-8")
    return hmac.digest(key, message, hashlib.sha256)
