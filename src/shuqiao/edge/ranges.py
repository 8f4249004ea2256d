"""Which keys the node has sent, by ranges: what a table held when it was last read, in the node's spool.

A range holds for each of its keys a digest of the row, sealed under the node's cover. A pass walks from range
to range and puts each under its own number, so that after a stop at any line it is plain what was walked and
what is still to come. Ranges are in the order in which the source gave its keys; nothing here compares keys.

`loose` are records the hub may hold that stand in no range: rows sent by other ways, and keys that were not
found where they had been. When a pass has walked all ranges, those of them that no range holds are gone.

Every function here takes the spool's connection within a transaction.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from shuqiao.edge.connectors import WEIGHTS
from shuqiao.edge.cover import Cover

RANGE_ROWS = 2_000
_AT_ONCE = 8
_COMPRESSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS key_pass (
    resource TEXT PRIMARY KEY,
    turn     INTEGER NOT NULL,
    stage    TEXT NOT NULL CHECK (stage IN ('load', 'rest', 'walk', 'check')),
    checked  INTEGER NOT NULL DEFAULT 0,
    finished REAL NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS key_range (
    resource TEXT NOT NULL,
    turn     INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    content  BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    stale    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (resource, turn, number)
) STRICT;
CREATE TABLE IF NOT EXISTS loose (
    resource TEXT NOT NULL,
    mark     BLOB NOT NULL,
    identity BLOB NOT NULL,
    turn     INTEGER NOT NULL,
    sent     INTEGER,
    PRIMARY KEY (resource, mark)
) STRICT, WITHOUT ROWID;
"""

Stage = Literal["load", "rest", "walk", "check"]


class RangesUnreadable(Exception):
    """A range can't be opened, as after the loss of the node's key: the table must be loaded in full."""


@dataclass(frozen=True)
class Pass:
    """Which pass is under way or was the last, how far it is, and when the last one ended."""

    turn: int
    stage: Stage
    checked: int
    finished: float


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """What was sent of a row: the value of its record key, and the digest of all its values."""

    identity: str
    digest: bytes


class KeyRange(msgspec.Struct, frozen=True, array_like=True):
    """The keys behind `after` up to `until`, None for no bound, and the sum of the weights if known."""

    after: str | None
    until: str | None
    weight: int | None
    rows: dict[str, Sent]


@dataclass(frozen=True)
class Kept:
    """A range as it is kept: its numbers, the last batch its rows went into; a stale one is sent again."""

    numbers: tuple[int, ...]
    sequence: int
    stale: bool
    range: KeyRange


_ranges = msgspec.msgpack.Decoder(KeyRange)


def _sealed(cover: Cover, resource: str, one: KeyRange) -> bytes:
    packed = zlib.compress(msgspec.msgpack.encode(one), _COMPRESSION)
    return cover.seal(packed, f"ranges/{resource}")


def _opened(cover: Cover, resource: str, stored: bytes) -> KeyRange:
    try:
        return _ranges.decode(zlib.decompress(cover.open(stored, f"ranges/{resource}")))
    except (zlib.error, msgspec.DecodeError):
        raise RangesUnreadable("a range can't be opened under this node's key") from None


def forget(db: sqlite3.Connection, resource: str) -> None:
    """Drop everything that is known of a resource's keys, as before a full load."""
    for table in ("key_range", "loose", "key_pass"):
        db.execute(f"DELETE FROM {table} WHERE resource = ?", (resource,))


def read_pass(db: sqlite3.Connection, resource: str) -> Pass | None:
    """Return how far passes have come; None before the first range is kept."""
    row = db.execute(
        "SELECT turn, stage, checked, finished FROM key_pass WHERE resource = ?", (resource,)
    ).fetchone()
    return None if row is None else Pass(*row)


def write_pass(db: sqlite3.Connection, resource: str, now: Pass) -> None:
    """Note how far passes have come."""
    db.execute(
        "INSERT OR REPLACE INTO key_pass (resource, turn, stage, checked, finished) VALUES (?, ?, ?, ?, ?)",
        (resource, now.turn, now.stage, now.checked, now.finished),
    )


def add(db: sqlite3.Connection, cover: Cover, resource: str, turn: int, one: KeyRange, sequence: int) -> None:
    """Put a range behind the others of a pass."""
    db.execute(
        "INSERT INTO key_range (resource, turn, number, content, sequence) SELECT ?1, ?2,"
        " 1 + coalesce((SELECT max(number) FROM key_range WHERE resource = ?1 AND turn = ?2), 0), ?3, ?4",
        (resource, turn, _sealed(cover, resource, one), sequence),
    )


def load_part(
    db: sqlite3.Connection, cover: Cover, resource: str, ranges: Sequence[KeyRange], sequence: int
) -> None:
    """Keep the ranges of a page of the full load; the one without an upper bound ends it."""
    now = read_pass(db, resource) or Pass(1, "load", 0, 0.0)
    for one in ranges:
        add(db, cover, resource, now.turn, one, sequence)
    write_pass(db, resource, now)


def next_old(db: sqlite3.Connection, cover: Cover, resource: str, turn: int) -> Kept | None:
    """Return what the pass before has of the next keys: a range, or small ones together; None at the end."""
    rows = db.execute(
        "SELECT number, content, sequence, stale FROM key_range WHERE resource = ? AND turn = ?"
        " ORDER BY number LIMIT ?",
        (resource, turn, _AT_ONCE),
    ).fetchall()
    taken: Kept | None = None
    for number, content, sequence, stale in rows:
        one = Kept((number,), sequence, bool(stale), _opened(cover, resource, content))
        if taken is None:
            taken = one
        elif not taken.stale and not one.stale and _fit_together(taken.range, one.range):
            taken = _joined(taken, one)
        else:
            break
    return taken


def _fit_together(one: KeyRange, other: KeyRange) -> bool:
    return len(one.rows) + len(other.rows) <= RANGE_ROWS


def _joined(one: Kept, other: Kept) -> Kept:
    known = one.range.weight is not None and other.range.weight is not None
    weight = ((one.range.weight or 0) + (other.range.weight or 0)) % WEIGHTS if known else None
    rows = one.range.rows | other.range.rows
    return Kept(
        one.numbers + other.numbers,
        max(one.sequence, other.sequence),
        one.stale or other.stale,
        KeyRange(one.range.after, other.range.until, weight, rows),
    )


def put_walked(
    db: sqlite3.Connection,
    cover: Cover,
    resource: str,
    turn: int,
    old: Kept,
    walked: KeyRange,
    rest: KeyRange | None,
    sequence: int,
) -> None:
    """Put what was walked in the place of what the pass before had; `rest` of it is still to come."""
    marks = ", ".join("?" * len(old.numbers))
    db.execute(
        f"DELETE FROM key_range WHERE resource = ? AND turn = ? AND number IN ({marks})",
        (resource, turn - 1, *old.numbers),
    )
    add(db, cover, resource, turn, walked, sequence)
    if rest is not None:
        db.execute(
            "INSERT INTO key_range (resource, turn, number, content, sequence, stale)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            # What is left of a stale range is of no batch: by its sequence nobody shall find it.
            (
                resource,
                turn - 1,
                old.numbers[0],
                _sealed(cover, resource, rest),
                0 if old.stale else old.sequence,
                old.stale,
            ),
        )


def is_stale(db: sqlite3.Connection, resource: str, sequence: int | None) -> bool:
    """Say whether there is a stale range, or one of this batch."""
    find = "SELECT 1 FROM key_range WHERE resource = ?1 AND stale AND (?2 IS NULL OR sequence = ?2)"
    return db.execute(find, (resource, sequence)).fetchone() is not None


def read_ranges(
    db: sqlite3.Connection, cover: Cover, resource: str, turn: int, behind: int
) -> tuple[list[KeyRange], int]:
    """Return a few ranges of a pass behind a number, and the number of the last of them."""
    rows = db.execute(
        "SELECT number, content FROM key_range WHERE resource = ? AND turn = ? AND number > ?"
        " ORDER BY number LIMIT ?",
        (resource, turn, behind, _AT_ONCE),
    ).fetchall()
    return [_opened(cover, resource, row[1]) for row in rows], rows[-1][0] if rows else behind


def loosen(
    db: sqlite3.Connection, cover: Cover, resource: str, identities: Mapping[bytes, str], turn: int
) -> None:
    """Note records, by their marks, that the hub may hold and that a pass of this turn or later judges."""
    db.executemany(
        "INSERT INTO loose (resource, mark, identity, turn) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (resource, mark) DO UPDATE SET turn = max(turn, excluded.turn), sent = NULL",
        [
            (resource, mark, cover.seal(identity.encode(), f"loose/{resource}"), turn)
            for mark, identity in identities.items()
        ],
    )


def doubted(db: sqlite3.Connection, resource: str, marks: Mapping[bytes, str], turn: int) -> set[str]:
    """Return which of these keys are loose: what the hub has of them may not be what their range says."""
    if not db.execute("SELECT 1 FROM loose WHERE resource = ? AND turn <= ?", (resource, turn)).fetchone():
        return set()
    find = "SELECT 1 FROM loose WHERE resource = ? AND mark = ? AND turn <= ?"
    return {key for mark, key in marks.items() if db.execute(find, (resource, mark, turn)).fetchone()}


def hold(db: sqlite3.Connection, resource: str, marks: Iterable[bytes], turn: int) -> None:
    """Forget loose records that stand in a range."""
    db.executemany(
        "DELETE FROM loose WHERE resource = ? AND mark = ? AND turn <= ?",
        [(resource, mark, turn) for mark in marks],
    )


def judged(
    db: sqlite3.Connection, cover: Cover, resource: str, turn: int, limit: int
) -> list[tuple[bytes, str]]:
    """Return marks and record keys of loose records whose turn has come, and that no batch tells yet."""
    rows = db.execute(
        "SELECT mark, identity FROM loose WHERE resource = ? AND turn <= ? AND sent IS NULL LIMIT ?",
        (resource, turn, limit),
    ).fetchall()
    return [(row[0], cover.open(row[1], f"loose/{resource}").decode()) for row in rows]


def count_judged(db: sqlite3.Connection, resource: str, turn: int) -> int:
    """Return how many loose records `judged` would name."""
    (count,) = db.execute(
        "SELECT count(*) FROM loose WHERE resource = ? AND turn <= ? AND sent IS NULL", (resource, turn)
    ).fetchone()
    return int(count)


def told(db: sqlite3.Connection, resource: str, marks: Iterable[bytes], sequence: int) -> None:
    """Note which batch tells that records are gone; its receipt makes them forgotten."""
    db.executemany(
        "UPDATE loose SET sent = ? WHERE resource = ? AND mark = ?",
        [(sequence, resource, mark) for mark in marks],
    )


def receipted(db: sqlite3.Connection, resource: str, sequence: int) -> None:
    """Forget records whose removal the hub has acknowledged."""
    db.execute("DELETE FROM loose WHERE resource = ? AND sent = ?", (resource, sequence))


def step_back(db: sqlite3.Connection, resource: str, sequence: int, *, into_load: bool) -> bool:
    """Make good for batches from a sequence on that were dropped: what they told is told again.

    Back in the full load, pages are read again, so their ranges go. Later, the rows of their ranges count as
    changed, and a new pass begins. False where a pass has renumbered the ranges of the load since.
    """
    now = read_pass(db, resource)
    if now is None:
        return True
    db.execute("UPDATE loose SET sent = NULL WHERE resource = ? AND sent >= ?", (resource, sequence))
    if into_load:
        if now.turn > 1 or now.stage not in ("load", "rest"):
            return False
        db.execute("DELETE FROM key_range WHERE resource = ? AND sequence >= ?", (resource, sequence))
        write_pass(db, resource, replace(now, stage="load"))
        return True
    db.execute("UPDATE key_range SET stale = 1 WHERE resource = ? AND sequence >= ?", (resource, sequence))
    # What was not walked yet comes behind what was, as it does at the source.
    db.execute(
        "UPDATE key_range SET turn = ?2, number = number + (SELECT coalesce(max(number), 0) FROM key_range"
        " WHERE resource = ?1 AND turn = ?2) WHERE resource = ?1 AND turn = ?2 - 1",
        (resource, now.turn),
    )
    write_pass(db, resource, Pass(now.turn, "rest", 0, 0.0))
    return True
