"""Checks the whole log: every entry, leaf, stored node and checkpoint, in one pass with flat memory.

The log is read in chunks of positions, each in a statement of its own. Its rows never change, so nothing is
gained by one long snapshot, and a long one would keep the integrator's queue from being cleaned.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from shuqiao.auditlog.entries import COLUMNS, StoredEntry, entry_fault
from shuqiao.auditlog.proofs import Connection, is_signed
from shuqiao.rules import merkle
from shuqiao.rules.checkpoint import Checkpoint, SignedCheckpoint
from shuqiao.security import keys

CHUNK: Final = 4096
LEAST_KEPT: Final = dt.timedelta(days=729)
"""Nothing younger may have lost its text, whatever a regulation says: 24 months, as in the database."""
_LEVELS: Final = tuple(range(merkle.STEP, 64, merkle.STEP))

_BOUNDS: Final = """
SELECT coalesce((SELECT max(size) FROM audit.checkpoint), 0), (SELECT count(*) FROM audit.leaf),
       (SELECT count(*) FROM audit.node)
"""
_LEAVES: Final = f"""
SELECT l.position, l.entry_id, l.hash, {", ".join(f"e.{name}" for name in COLUMNS.split(", "))}
FROM audit.leaf l LEFT JOIN audit.entry e ON e.id = l.entry_id
WHERE l.position >= %b AND l.position < %b ORDER BY l.position
"""
_NODES: Final = """
SELECT n.level, n.position, n.hash
FROM unnest(%b::smallint[], %b::bigint[], %b::bigint[]) w (level, first, past)
JOIN audit.node n ON n.level = w.level AND n.position >= w.first AND n.position < w.past
"""
_CHECKPOINTS: Final = """
SELECT size, root, signed_at, key_id, signature
FROM audit.checkpoint WHERE size > %b AND size <= %b ORDER BY size
"""
# One statement sees one moment, in which every entry either waits or has its leaf.
_STRAYS: Final = """
SELECT e.id FROM audit.entry e
WHERE NOT EXISTS (SELECT FROM audit.leaf l WHERE l.entry_id = e.id)
  AND NOT EXISTS (SELECT FROM audit.pending p WHERE p.entry_id = e.id) LIMIT 1
"""
_WAITING: Final = """
SELECT p.entry_id, e.id IS NOT NULL AND e.digest = p.digest
FROM audit.pending p LEFT JOIN audit.entry e ON e.id = p.entry_id
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing wrong: a stable code, where, and in words."""

    code: str
    words: str
    position: int | None = None
    entry: UUID | None = None

    def __str__(self) -> str:
        """One line for a person."""
        place = "" if self.position is None else f" at position {self.position}"
        entry = "" if self.entry is None else f", entry {self.entry}"
        return f"{self.code}{place}{entry}: {self.words}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, and the first fault, if any. `pruned` entries have no body any more."""

    size: int
    pruned: int
    checkpoints: int
    waiting: int
    fault: Fault | None


def verify_log(connection: Connection, trusted: Mapping[str, keys.PublicKey], origin: str) -> Report:
    """Check everything up to the newest checkpoint of this moment; needs an autocommit connection."""
    run = _Run(connection, trusted, origin)
    fault = next(run.faults(), None)
    return Report(run.frontier.size, run.pruned, run.checkpoints, run.waiting, fault)


@dataclass
class _Run:
    """One pass. Keeps the right edge of the tree and counts; everything else is forgotten chunk by chunk."""

    connection: Connection
    trusted: Mapping[str, keys.PublicKey]
    origin: str
    frontier: merkle.Frontier = merkle.EMPTY
    pruned: int = 0
    checkpoints: int = 0
    waiting: int = 0
    _grown: dict[merkle.Place, bytes] = field(default_factory=dict)
    _textless: deque[int] = field(default_factory=deque)
    _now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def faults(self) -> Iterator[Fault]:
        """Yield faults in the order of the log, then those of what is outside of it."""
        size, leaves, nodes = self._bounds()
        for start in range(0, size, CHUNK):
            yield from self._chunk(start, min(start + CHUNK, size))
        if leaves > size:
            yield Fault("leaf_uncovered", f"{leaves - size} leaves stand behind the newest checkpoint", size)
        if nodes != sum(size >> level for level in _LEVELS):
            yield Fault("node_count", "there are more stored nodes than the tree has")
        yield from self._outside()

    def _bounds(self) -> tuple[int, int, int]:
        row = self.connection.execute(_BOUNDS).fetchone()
        return (int(str(row[0])), int(str(row[1])), int(str(row[2]))) if row else (0, 0, 0)

    def _chunk(self, start: int, end: int) -> Iterator[Fault]:
        hashes: list[bytes] = []
        for row in self.connection.execute(_LEAVES, [start, end], binary=True):
            yield from self._leaf(row, start + len(hashes))
            hashes.append(row[2])  # type: ignore[arg-type]
        if len(hashes) < end - start:
            yield Fault("leaf_missing", "a leaf is missing", start + len(hashes))
            return
        self._grown = {}
        yield from self._checkpoints(start, end, hashes)
        yield from self._nodes(start, end)

    def _leaf(self, row: tuple[object, ...], expected: int) -> Iterator[Fault]:
        position, entry_id, leaf = row[:3]
        if position != expected:
            yield Fault("leaf_missing", f"a leaf is missing: the next one is {position}", expected)
        if not isinstance(entry_id, UUID) or row[3] is None:
            yield Fault("entry_missing", "the leaf is there, its entry is gone", expected, _uuid(entry_id))
            return
        entry = StoredEntry(*row[3:])  # type: ignore[arg-type]
        if entry.body is None:
            self.pruned += 1
            self._textless.append(expected)
        if merkle.leaf_hash(entry.digest) != leaf:
            yield Fault("leaf_hash", "the leaf is not the hash of its entry's digest", expected, entry.id)
        words = entry_fault(entry)
        if words is not None:
            yield Fault("entry_altered", words, expected, entry.id)

    def _checkpoints(self, start: int, end: int, hashes: list[bytes]) -> Iterator[Fault]:
        done = start
        for row in self.connection.execute(_CHECKPOINTS, [start, end], binary=True):
            size, root, signed_at, key_id, signature = row
            growth = self._grow(hashes[done - start : size - start])  # type: ignore[operator]
            done = growth.frontier.size
            if growth.root != root:
                yield Fault(
                    "checkpoint_root", f"the checkpoint over {done} entries has another root", done - 1
                )
            checkpoint = Checkpoint(self.origin, done, growth.root, signed_at)  # type: ignore[arg-type]
            signed = SignedCheckpoint(checkpoint, str(key_id), signature)  # type: ignore[arg-type]
            if not is_signed(signed, self.trusted):
                words = f"the checkpoint over {done} entries is not signed by a key of the log {self.origin}"
                yield Fault("checkpoint_signature", words, done - 1)
            yield from self._pruned_early(done, signed_at)  # type: ignore[arg-type]
            self.checkpoints += 1
        self._grow(hashes[done - start :])

    def _pruned_early(self, done: int, signed_at: dt.datetime) -> Iterator[Fault]:
        """Hold what has no text against its checkpoint's signed time: an entry's own could be altered."""
        while self._textless and self._textless[0] < done:
            position = self._textless.popleft()
            if signed_at > self._now - LEAST_KEPT:
                yield Fault("pruned_early", "its text is gone and its retention can't be over", position)

    def _grow(self, hashes: list[bytes]) -> merkle.Growth:
        growth = merkle.append(self.frontier, hashes)
        self.frontier = growth.frontier
        self._grown |= {(node.level, node.position): node.hash for node in growth.nodes}
        return growth

    def _nodes(self, start: int, end: int) -> Iterator[Fault]:
        levels = [level for level in _LEVELS if end >> level > start >> level]
        if not levels:
            return
        ranges = [start >> level for level in levels], [end >> level for level in levels]
        rows = self.connection.execute(_NODES, [levels, *ranges], binary=True)
        stored = {(row[0], row[1]): row[2] for row in rows}
        for (level, position), node in sorted(self._grown.items()):
            if stored.get((level, position)) != node:
                words = (
                    f"the stored node {position} of level {level} is missing or not the hash of its leaves"
                )
                yield Fault("node_hash", words, position << level)

    def _outside(self) -> Iterator[Fault]:
        stray = self.connection.execute(_STRAYS).fetchone()
        if stray is not None:
            words = "the entry is neither in the tree nor waiting for it: somebody took it out of the queue"
            yield Fault("entry_stray", words, entry=_uuid(stray[0]))
        for entry, sound in self.connection.execute(_WAITING, binary=True):
            self.waiting += 1
            if not sound:
                words = "the entry waits for the tree but is gone or altered"
                yield Fault("waiting_altered", words, entry=_uuid(entry))


def _uuid(value: object) -> UUID | None:
    return value if isinstance(value, UUID) else None
