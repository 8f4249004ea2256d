"""Proofs from the stored tree: that an entry is in the log, and that an older log begins a newer one.

Reads only; needs SELECT on the schema `audit` and on `exchange.signing_key` (role `shuqiao_auditor`). The
queries fetch exactly the stored nodes a proof needs, at most some hundreds of rows however long the log is.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec
import psycopg

from shuqiao.auditlog.entries import COLUMNS, StoredEntry
from shuqiao.rules import merkle
from shuqiao.rules.checkpoint import Checkpoint, SignedCheckpoint, is_origin, time_text
from shuqiao.security import keys

Connection = psycopg.Connection[tuple[object, ...]]
PROOF_FORMAT: Final = "shuqiao/audit-proof/v1"
CONSISTENCY_FORMAT: Final = "shuqiao/audit-consistency/v1"

_READ_NODES: Final = """
SELECT 0::smallint, l.position, l.hash FROM unnest(%b::bigint[]) w (position)
JOIN audit.leaf l USING (position)
UNION ALL
SELECT n.level, n.position, n.hash FROM unnest(%b::smallint[], %b::bigint[]) w (level, position)
JOIN audit.node n USING (level, position)
"""
_ENTRY: Final = f"SELECT {COLUMNS} FROM audit.entry WHERE id = %b"
_PLACE: Final = "SELECT position FROM audit.leaf WHERE entry_id = %b"
_AT: Final = "SELECT entry_id FROM audit.leaf WHERE position = %b"
_NEWEST: Final = """
SELECT size, root, signed_at, key_id, signature FROM audit.checkpoint ORDER BY size DESC LIMIT 1
"""
_OF_SIZE: Final = "SELECT size, root, signed_at, key_id, signature FROM audit.checkpoint WHERE size = %b"
_KEYS: Final = "SELECT id, public_key FROM exchange.signing_key WHERE purpose = %b"


class TreeIncompleteError(Exception):
    """A stored leaf or node that the proof needs is missing: the log has been tampered with."""


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The way from one entry to the root of a signed checkpoint; `path` runs from the leaf upwards."""

    entry: UUID
    digest: bytes
    position: int
    path: tuple[bytes, ...]
    signed: SignedCheckpoint

    def holds(self) -> bool:
        """Whether the path leads from the entry's digest to the checkpoint's root; looks at no signature."""
        checkpoint = self.signed.checkpoint
        leaf = merkle.leaf_hash(self.digest)
        return merkle.verify_inclusion(leaf, self.position, checkpoint.size, self.path, checkpoint.root)

    def document(self) -> dict[str, object]:
        """The proof as JSON values, complete enough to be checked by anybody who has the log's public key."""
        return {
            "format": PROOF_FORMAT,
            "entry": str(self.entry),
            "digest": self.digest.hex(),
            "position": self.position,
            "path": [node.hex() for node in self.path],
            "checkpoint": signed_document(self.signed),
        }


def parse_document(content: bytes) -> InclusionProof:
    """Read what `InclusionProof.document` wrote; ValueError for anything else."""
    document = msgspec.json.decode(content, type=_Document)
    if document.format != PROOF_FORMAT:
        raise ValueError("not a proof of the audit log")
    path, signed = _path(document.path), _signed(document.checkpoint)
    return InclusionProof(document.entry, bytes.fromhex(document.digest), document.position, path, signed)


def parse_consistency(content: bytes) -> ConsistencyProof:
    """Read what `ConsistencyProof.document` wrote; ValueError for anything else."""
    document = msgspec.json.decode(content, type=_ConsistencyDocument)
    if document.format != CONSISTENCY_FORMAT:
        raise ValueError("not a proof of consistency")
    return ConsistencyProof(_signed(document.older), _signed(document.newer), _path(document.path))


def signed_document(signed: SignedCheckpoint) -> dict[str, object]:
    """Give a signed checkpoint as JSON values."""
    checkpoint = signed.checkpoint
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": base64.b64encode(checkpoint.root).decode("ascii"),
        "signed_at": time_text(checkpoint.signed_at),
        "key_id": signed.key_id,
        "signature": base64.b64encode(signed.signature).decode("ascii"),
    }


def _signed(checkpoint: _DocumentCheckpoint) -> SignedCheckpoint:
    signed_at = dt.datetime.fromisoformat(checkpoint.signed_at)
    if signed_at.tzinfo is None or not is_origin(checkpoint.origin):
        raise ValueError("not a checkpoint of the audit log")
    root, signature = base64.b64decode(checkpoint.root), base64.b64decode(checkpoint.signature)
    said = Checkpoint(checkpoint.origin, checkpoint.size, root, signed_at)
    return SignedCheckpoint(said, checkpoint.key_id, signature)


def _path(nodes: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(node) for node in nodes)


class _DocumentCheckpoint(msgspec.Struct, frozen=True):
    origin: str
    size: int
    root: str
    signed_at: str
    key_id: str
    signature: str


class _Document(msgspec.Struct, frozen=True):
    format: str
    entry: UUID
    digest: str
    position: int
    path: tuple[str, ...]
    checkpoint: _DocumentCheckpoint


class _ConsistencyDocument(msgspec.Struct, frozen=True):
    format: str
    older: _DocumentCheckpoint
    newer: _DocumentCheckpoint
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the log of an older checkpoint begins a newer one's: nothing was changed or removed."""

    older: SignedCheckpoint
    newer: SignedCheckpoint
    path: tuple[bytes, ...]

    def holds(self) -> bool:
        """Whether the path joins both roots; no signature is looked at."""
        older, newer = self.older.checkpoint, self.newer.checkpoint
        return merkle.verify_consistency(older.size, newer.size, (older.root, newer.root), self.path)

    def document(self) -> dict[str, object]:
        """The proof as JSON values; RFC 9162, 2.1.4.2 says how to check it without this program."""
        return {
            "format": CONSISTENCY_FORMAT,
            "older": signed_document(self.older),
            "newer": signed_document(self.newer),
            "path": [node.hex() for node in self.path],
        }


def is_signed(signed: SignedCheckpoint, trusted: Mapping[str, keys.PublicKey]) -> bool:
    """Whether one of the trusted keys signed the checkpoint."""
    key = trusted.get(signed.key_id)
    return key is not None and keys.verify("ed25519", key, signed.signature, signed.checkpoint.text())


def read_keys(connection: Connection, purpose: str) -> dict[str, keys.PublicKey]:
    """Read every key that ever signed for `purpose`, by id; a row whose id is not its key's is left out."""
    rows = connection.execute(_KEYS, [purpose], binary=True)
    found = ((str(row[0]), _as_bytes(row[1])) for row in rows)
    return {name: keys.load_public_der(der) for name, der in found if keys.key_id(der) == name}


def read_entry(connection: Connection, entry: UUID) -> StoredEntry | None:
    """Read one entry by its id."""
    row = connection.execute(_ENTRY, [entry], binary=True).fetchone()
    return None if row is None else StoredEntry(*row)  # type: ignore[arg-type]


def read_position(connection: Connection, entry: UUID) -> int | None:
    """Where the entry stands in the tree, or None while it waits or if it isn't there."""
    row = connection.execute(_PLACE, [entry], binary=True).fetchone()
    return None if row is None else _as_int(row[0])


def read_entry_id(connection: Connection, position: int) -> UUID | None:
    """Which entry stands at `position` of the tree."""
    row = connection.execute(_AT, [position], binary=True).fetchone()
    return row[0] if row is not None and isinstance(row[0], UUID) else None


def read_newest(connection: Connection, origin: str) -> SignedCheckpoint | None:
    """Read the newest checkpoint, or None of an empty log."""
    return _checkpoint(connection.execute(_NEWEST, binary=True).fetchone(), origin)


def read_checkpoint(connection: Connection, size: int, origin: str) -> SignedCheckpoint | None:
    """Read the checkpoint over exactly `size` entries."""
    return _checkpoint(connection.execute(_OF_SIZE, [size], binary=True).fetchone(), origin)


def prove_inclusion(
    connection: Connection, entry: StoredEntry, position: int, signed: SignedCheckpoint
) -> InclusionProof:
    """Prove `entry` at `position` under a checkpoint that is larger than the position."""
    size = signed.checkpoint.size
    nodes = _read_nodes(connection, merkle.nodes_for_inclusion(position, size))
    path = merkle.inclusion_proof(lambda level, at: nodes[level, at], position, size)
    return InclusionProof(entry.id, entry.digest, position, tuple(path), signed)


def prove_consistency(
    connection: Connection, older: SignedCheckpoint, newer: SignedCheckpoint
) -> ConsistencyProof:
    """Prove that the log of `older` is the beginning of that of `newer`."""
    sizes = older.checkpoint.size, newer.checkpoint.size
    nodes = _read_nodes(connection, merkle.nodes_for_consistency(*sizes))
    path = merkle.consistency_proof(lambda level, at: nodes[level, at], *sizes)
    return ConsistencyProof(older, newer, tuple(path))


def _read_nodes(connection: Connection, places: Sequence[merkle.Place]) -> dict[merkle.Place, bytes]:
    leaves = [position for level, position in places if level == 0]
    upper = [place for place in places if place[0] > 0]
    arguments = [leaves, [level for level, _ in upper], [position for _, position in upper]]
    rows = connection.execute(_READ_NODES, arguments, binary=True)
    nodes = {(_as_int(row[0]), _as_int(row[1])): _as_bytes(row[2]) for row in rows}
    if len(nodes) < len(set(places)):
        raise TreeIncompleteError("a stored leaf or node is missing")
    return nodes


def _checkpoint(row: tuple[object, ...] | None, origin: str) -> SignedCheckpoint | None:
    if row is None or not isinstance(row[2], dt.datetime):
        return None
    checkpoint = Checkpoint(origin, _as_int(row[0]), _as_bytes(row[1]), row[2])
    return SignedCheckpoint(checkpoint, str(row[3]), _as_bytes(row[4]))


def _as_int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("the database gave no number where the contract has one")
    return value


def _as_bytes(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("the database gave no bytes where the contract has them")
    return bytes(value)
