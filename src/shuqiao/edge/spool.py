"""The node's memory on disk: batches not yet receipted, and how far each table has been read.

One SQLite file in WAL mode, flushed at every commit. A batch and the position it was read up to are written
in one transaction, so a crash at any line neither loses a row nor sends it under two numbers. The batches
hold identity items only sealed to the vault, and are encrypted as a whole under the node's cover.

Calls block on the disk: async code runs them in a thread. They may come from several threads.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from shuqiao.edge import disk, guard, ranges
from shuqiao.edge.cover import Cover
from shuqiao.edge.quarantine import Caught
from shuqiao.edge.spool_schema import open_file

KEPT_OUTCOMES = 1000
"""Receipts kept for each resource for whoever runs the node; the hub's ledger keeps them all."""

_FREED_PAGES = 512

Phase = Literal["full", "changes"]
T = TypeVar("T")
Also = Callable[[sqlite3.Connection, int], None]
"""What else is written with some batches; it is told the sequence of the last batch stored by then."""

_NOT_DUE, _DUE, _BARRED = 0, 1, -1


def _place(resource: str, sequence: int) -> str:
    return f"{resource}/{sequence}"


def _before(text: str) -> list[Any]:
    """Return the parts of a position and the load it belongs to, None in a batch of an earlier version."""
    parts: list[Any] = json.loads(text)
    return parts if len(parts) > 4 else [*parts, None]


@dataclass(frozen=True)
class Position:
    """How far a table has been read.

    In phase `full`, `cursor` is the last key read, encrypted. `watermark` is the source's clock, as text,
    from which changes are still to be read; it is known from the start of the full load on.
    """

    mapping: str
    phase: Phase
    cursor: str | None
    watermark: str | None


@dataclass(frozen=True)
class Number:
    """What a batch is called: the generation of its load, and its sequence."""

    generation: int
    sequence: int

    def after(self, count: int) -> Number:
        """Return the number of the batch that comes `count` later."""
        return Number(self.generation, self.sequence + count)


@dataclass(frozen=True)
class ResourceState:
    """The position of a resource and the number its next batch gets.

    `load_since` is the generation in which the full load began; `is_end_due` says that it is done and the hub
    is still to be told that what it didn't meet is gone.
    """

    position: Position
    next: Number
    load_since: int = 0
    is_end_due: bool = False


@dataclass(frozen=True)
class SpooledBatch:
    """A batch that waits for its receipt; `digest` is the SHA-256 of its manifest in hexadecimal.

    `is_end`: it is the word that a full load is complete, without rows. `is_compared`: ranges were compared.
    Of a batch that was just built, `kept` are rows that don't leave, and `hides_key` says that the key of one
    of them was left out as well; neither is stored.
    """

    sequence: int
    message: bytes
    digest: str
    rows: int
    is_end: bool = False
    is_compared: bool = False
    kept: tuple[Caught, ...] = ()
    hides_key: bool = False


@dataclass(frozen=True)
class Seen:
    """A row version inside the overlap window that has been put into a batch, and when it changed."""

    digest: bytes
    changed: str


@dataclass(frozen=True)
class Outcome:
    """What the hub's receipt says about a batch; `rejected` is JSON of (row, item, code)."""

    accepted: int
    rejected: str
    merged_at: str


class Spool:
    """The spool file of one node. Use `close` at the end; a second process on the same file is refused."""

    def __init__(self, path: Path, cover: Cover) -> None:
        """Open or create the file."""
        self._cover = cover
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._folder = path.parent
        self._db = open_file(path)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def state(self, resource: str) -> ResourceState | None:
        """Return how far a resource has come, or None when nothing is known of it."""
        with self._lock:
            row = self._db.execute(
                "SELECT mapping, phase, cursor, watermark, generation, next_sequence, load_since, ending"
                " FROM resource WHERE resource = ?",
                (resource,),
            ).fetchone()
        if row is None:
            return None
        is_due = row[1] == "changes" and row[6] > 0 and row[7] == _DUE
        return ResourceState(Position(*row[:4]), Number(*row[4:6]), row[6], is_due)

    def begin(self, resource: str, mapping: str, first: Number) -> None:
        """Start the resource over with a full load whose first batch gets this number, or a later generation.

        Drops batches that wait: the full load reads their rows again.
        """
        with self._transaction() as db:
            (before,) = db.execute(
                "SELECT max(generation) FROM resource WHERE resource = ?", (resource,)
            ).fetchone()
            generation = max(first.generation, (before or 0) + 1)
            for table in ("batch", "seen", "resource"):
                db.execute(f"DELETE FROM {table} WHERE resource = ?", (resource,))
            ranges.forget(db, resource)
            guard.begin(db, resource, is_first=first.sequence == 1)
            db.execute(
                "INSERT INTO resource (resource, mapping, generation, next_sequence, phase, load_since,"
                " ending) VALUES (?, ?, ?, ?, 'full', ?, ?)",
                # Before the very first batch the hub has nothing that could be gone.
                (
                    resource,
                    mapping,
                    generation,
                    first.sequence,
                    generation,
                    _BARRED if first.sequence == 1 else _NOT_DUE,
                ),
            )

    def rewind(self, resource: str, sequence: int) -> bool:
        """Go back to where the rows of a waiting batch were read, and drop it and those behind it.

        The sequence is used again, in a later generation. False, and nothing, where the file doesn't say, or
        where another full load began since: by what that one meets the hub tells what is gone.
        """
        with self._transaction() as db:
            found = db.execute(
                "SELECT before, load_since FROM batch JOIN resource USING (resource)"
                " WHERE resource = ? AND sequence = ?",
                (resource, sequence),
            ).fetchone()
            if found is None or found[0] is None:
                return False
            *before, load = _before(found[0])
            loads = before[1] == "full"
            if load not in (None, found[1]) or not ranges.step_back(db, resource, sequence, into_load=loads):
                return False
            ends, rows = db.execute(
                "SELECT coalesce(sum(is_end), 0), coalesce(sum(rows), 0) FROM batch"
                " WHERE resource = ? AND sequence >= ?",
                (resource, sequence),
            ).fetchone()
            if ends:
                self._set_ending(db, resource, _DUE)
            if loads:
                guard.loaded(db, resource, -rows)
            db.execute("DELETE FROM batch WHERE resource = ? AND sequence >= ?", (resource, sequence))
            db.execute("DELETE FROM seen WHERE resource = ? AND sequence >= ?", (resource, sequence))
            db.execute(
                "UPDATE resource SET mapping = ?, phase = ?, cursor = ?, watermark = ?, next_sequence = ?,"
                " generation = generation + 1 WHERE resource = ?",
                (*before, sequence, resource),
            )
        return True

    def restart_load(self, resource: str, mapping: str) -> None:
        """Read the table from its beginning under another mapping; batches that wait are still sent.

        What is read now belongs to a later generation, by which the hub tells what the load did not meet.
        """
        with self._transaction() as db:
            db.execute("DELETE FROM seen WHERE resource = ?", (resource,))
            ranges.forget(db, resource)
            guard.restart(db, resource)
            db.execute(
                "UPDATE resource SET mapping = ?, phase = 'full', cursor = NULL, watermark = NULL,"
                " generation = generation + 1, load_since = generation + 1, ending = ? WHERE resource = ?",
                (mapping, _NOT_DUE, resource),
            )

    def store(
        self,
        resource: str,
        batches: Sequence[SpooledBatch],
        position: Position,
        seen: Sequence[Seen] = (),
        *,
        now: float,
        also: Also | None = None,
        is_incomplete: bool = False,
    ) -> None:
        """Write batches, the position they lead to and what `also` writes in one transaction.

        The first batch must have the sequence that is next: else ValueError, and nothing is written.
        With `is_incomplete` a row of the load could not be told, so what is missing in it says nothing.
        """
        with self._transaction() as db:
            expected, *before = db.execute(
                "SELECT next_sequence, mapping, phase, cursor, watermark, load_since FROM resource"
                " WHERE resource = ?",
                (resource,),
            ).fetchone()
            if [batch.sequence for batch in batches] != list(range(expected, expected + len(batches))):
                raise ValueError("the batches do not continue the sequence")
            last = expected + len(batches) - 1
            self._insert(db, resource, batches, now, json.dumps(before))
            db.executemany(
                "INSERT OR REPLACE INTO seen (resource, digest, changed, sequence) VALUES (?, ?, ?, ?)",
                # Of several batches the last: whichever of them is dropped, its rows are read again.
                [(resource, row.digest, row.changed, last) for row in seen],
            )
            db.execute(
                "UPDATE resource SET next_sequence = ?, phase = ?, cursor = ?, watermark = ?"
                " WHERE resource = ?",
                (last + 1, position.phase, position.cursor, position.watermark, resource),
            )
            was_loading = before[1] == "full"
            if was_loading:
                guard.loaded(db, resource, sum(batch.rows for batch in batches))
            if is_incomplete:
                self._set_ending(db, resource, _BARRED)
            elif was_loading and position.phase == "changes":
                self._end_load(db, resource)
            if any(batch.is_end for batch in batches):
                self._set_ending(db, resource, _NOT_DUE)
            if also is not None:
                also(db, last)

    def _end_load(self, db: sqlite3.Connection, resource: str) -> None:
        """Note that the hub is to be told what a load didn't meet, unless the load can't say."""
        db.execute(
            "UPDATE resource SET ending = ? WHERE resource = ? AND ending <> ?", (_DUE, resource, _BARRED)
        )

    def _insert(
        self,
        db: sqlite3.Connection,
        resource: str,
        batches: Sequence[SpooledBatch],
        now: float,
        before: str,
    ) -> None:
        """Write batches, each under the node's cover; `before` is where their rows were read from."""
        db.executemany(
            "INSERT INTO batch (resource, sequence, message, digest, rows, created, before, is_end,"
            " is_compared) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    resource,
                    b.sequence,
                    self._cover.seal(b.message, _place(resource, b.sequence)),
                    b.digest,
                    b.rows,
                    now,
                    before,
                    b.is_end,
                    b.is_compared,
                )
                for b in batches
            ],
        )

    def _set_ending(self, db: sqlite3.Connection, resource: str, ending: int) -> None:
        db.execute("UPDATE resource SET ending = ? WHERE resource = ?", (ending, resource))

    def within(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction of its own."""
        with self._transaction() as db:
            return work(db)

    def finish_run(self, resource: str, watermark: str, oldest: str) -> None:
        """Note that changes up to `watermark` have been read, and forget what was seen before `oldest`.

        Both are texts of the source's clock in one fixed format, so that they sort as they follow each other.
        """
        with self._transaction() as db:
            db.execute("UPDATE resource SET watermark = ? WHERE resource = ?", (watermark, resource))
            db.execute("DELETE FROM seen WHERE resource = ? AND changed < ?", (resource, oldest))

    def unseen(self, resource: str, digests: Sequence[bytes]) -> list[bool]:
        """Say for each row version whether it has not been put into a batch yet."""
        with self._lock:
            find = "SELECT 1 FROM seen WHERE resource = ? AND digest = ?"
            return [self._db.execute(find, (resource, d)).fetchone() is None for d in digests]

    def unsent(self, resource: str, limit: int) -> list[SpooledBatch]:
        """Return the first batches that have not been handed to the stream, in order."""
        with self._lock:
            rows = self._db.execute(
                "SELECT sequence, message, digest, rows, is_end, is_compared FROM batch"
                " WHERE resource = ? AND sent = 0"
                " ORDER BY sequence LIMIT ?",
                (resource, limit),
            ).fetchall()
        return [self._opened(resource, *row) for row in rows]

    def first(self, resource: str) -> SpooledBatch | None:
        """Return the batch that has waited longest, sent or not."""
        with self._lock:
            row = self._db.execute(
                "SELECT sequence, message, digest, rows, is_end, is_compared FROM batch WHERE resource = ?"
                " ORDER BY sequence LIMIT 1",
                (resource,),
            ).fetchone()
        return None if row is None else self._opened(resource, *row)

    def oldest_position(self, resource: str) -> Position | None:
        """Return where the rows of the batch that has waited longest were read, if any waits."""
        with self._lock:
            row = self._db.execute(
                "SELECT before FROM batch WHERE resource = ? AND before IS NOT NULL"
                " ORDER BY sequence LIMIT 1",
                (resource,),
            ).fetchone()
        return None if row is None else Position(*_before(row[0])[:4])

    def _opened(self, resource: str, sequence: int, stored: bytes, *rest: Any) -> SpooledBatch:
        digest, rows, is_end, is_compared = rest
        message = self._cover.open(stored, _place(resource, sequence))
        return SpooledBatch(sequence, message, digest, rows, bool(is_end), bool(is_compared))

    def mark_sent(self, resource: str, sequence: int) -> None:
        """Note that the stream has acknowledged a batch."""
        with self._transaction() as db:
            db.execute("UPDATE batch SET sent = 1 WHERE resource = ? AND sequence = ?", (resource, sequence))

    def send_again(self, resource: str) -> None:
        """Let every batch that waits be sent once more, from the first on."""
        with self._transaction() as db:
            db.execute("UPDATE batch SET sent = 0 WHERE resource = ?", (resource,))

    def waiting(self, resource: str) -> tuple[int, int, float | None]:
        """Return the first sequence that waits (or the next one), how many rows wait, and since when."""
        with self._lock:
            first, rows, created = self._db.execute(
                "SELECT min(sequence), coalesce(sum(rows), 0), min(created) FROM batch WHERE resource = ?",
                (resource,),
            ).fetchone()
            if first is None:
                (first,) = self._db.execute(
                    "SELECT next_sequence FROM resource WHERE resource = ?", (resource,)
                ).fetchone()
        return first, rows, created

    def digest(self, resource: str, sequence: int) -> str | None:
        """Return the manifest digest of a batch that waits."""
        with self._lock:
            row = self._db.execute(
                "SELECT digest FROM batch WHERE resource = ? AND sequence = ?", (resource, sequence)
            ).fetchone()
        return None if row is None else str(row[0])

    def receipted(
        self, resource: str, sequence: int, outcome: Outcome, *, is_full: bool = False, gained: int = 0
    ) -> None:
        """Delete a batch whose receipt has been verified, and keep what became of it.

        Where the end of a load took as many records away as a batch may, `is_full`, it is told once more.
        With it the hub holds so many records more, or less, as are `gained`.
        """
        with self._transaction() as db:
            ranges.receipted(db, resource, sequence)
            (ended,) = db.execute(
                "SELECT count(*) FROM batch WHERE resource = ? AND sequence = ? AND is_end",
                (resource, sequence),
            ).fetchone()
            guard.receipted(db, resource, gained, ends_load=bool(ended) and not is_full)
            if is_full:
                db.execute(
                    "UPDATE resource SET ending = ?3 WHERE resource = ?1 AND EXISTS (SELECT 1 FROM batch"
                    " WHERE resource = ?1 AND sequence = ?2 AND is_end)",
                    (resource, sequence, _DUE),
                )
            db.execute("DELETE FROM batch WHERE resource = ? AND sequence = ?", (resource, sequence))
            db.execute(
                "INSERT OR REPLACE INTO outcome (resource, sequence, accepted, rejected, merged_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (resource, sequence, outcome.accepted, outcome.rejected, outcome.merged_at),
            )
            db.execute(
                "DELETE FROM outcome WHERE resource = ? AND sequence <= ?",
                (resource, sequence - KEPT_OUTCOMES),
            )
        self._give_room_back()

    def _give_room_back(self) -> None:
        """Shorten the file. That needs some room itself, and is not part of what must be written."""
        with suppress(disk.DiskFull), self._transaction() as db:
            (free,) = db.execute("PRAGMA freelist_count").fetchone()
            if free >= _FREED_PAGES // 2:
                # The pragma frees one page for each row fetched.
                db.execute(f"PRAGMA incremental_vacuum({_FREED_PAGES})").fetchall()

    def room_bytes(self) -> int:
        """Return how much may still be written where the file lies."""
        return disk.free_bytes(self._folder)

    def outcomes(self, resource: str, limit: int, *, faulty: bool = False) -> list[tuple[int, Outcome]]:
        """Return the latest outcomes, newest first; only those that reject rows, with `faulty`."""
        with self._lock:
            rows = self._db.execute(
                "SELECT sequence, accepted, rejected, merged_at FROM outcome WHERE resource = ?"
                " AND (NOT ? OR rejected <> '[]') ORDER BY sequence DESC LIMIT ?",
                (resource, faulty, limit),
            ).fetchall()
        return [(row[0], Outcome(*row[1:])) for row in rows]

    def size_bytes(self) -> int:
        """Return how much the waiting messages take."""
        with self._lock:
            (size,) = self._db.execute("SELECT coalesce(sum(length(message)), 0) FROM batch").fetchone()
        return int(size)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, disk.transaction(self._db):
            yield self._db
