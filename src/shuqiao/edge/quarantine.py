"""Rows that the rules of screening hold at the node, sealed like the spool, until a person has decided.

A file of its own, for the person's commands open it while the node runs. It is written before the spool: a
node killed between the two reads the page once more and finds the same rows. What a person has released is
remembered by a keyed digest of value, item, rule and key, so that a full load holds nothing back anew.

Calls block on the disk: async code runs them in a thread.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa

from shuqiao.edge import disk
from shuqiao.edge.connectors import SourceError
from shuqiao.edge.convert import Columns
from shuqiao.edge.cover import Cover
from shuqiao.wire.package import RowFault, encode_part

_SCHEMA = """
CREATE TABLE IF NOT EXISTS held (
    resource TEXT NOT NULL,
    mark     TEXT NOT NULL,
    found    TEXT NOT NULL,
    content  BLOB NOT NULL,
    mapping  TEXT NOT NULL,
    stops    INTEGER NOT NULL,
    released INTEGER NOT NULL DEFAULT 0,
    since    REAL NOT NULL,
    PRIMARY KEY (resource, mark)
) STRICT;
CREATE TABLE IF NOT EXISTS decision (
    resource TEXT NOT NULL,
    digest   TEXT NOT NULL,
    by       TEXT NOT NULL,
    reason   TEXT NOT NULL,
    at       REAL NOT NULL,
    PRIMARY KEY (resource, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unmapped (resource TEXT PRIMARY KEY, since REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS removal (
    resource TEXT NOT NULL,
    rows     INTEGER NOT NULL,
    at       REAL NOT NULL
) STRICT;
"""
UNMAPPED_S = 30 * 86_400.0
"""What is held for a resource that no mapping names is removed after so long; its source has the rows."""
MAX_DECISIONS = 100_000
"""Of older ones the row is held again."""


@dataclass(frozen=True)
class Removal:
    """Rows that were removed as their resource had no mapping any more: how many, and when (Unix time)."""

    resource: str
    rows: int
    at: float


class QuarantineFull(SourceError):
    """More rows are caught than may be held: the table waits."""


@dataclass(frozen=True)
class Found:
    """Where a row was caught, by which rule, and the digest a person's decision is about."""

    item: str
    rule: str
    digest: str


@dataclass(frozen=True)
class Decision:
    """Who released a value, and why."""

    by: str
    reason: str


@dataclass(frozen=True)
class Held:
    """A row that is held, without its content."""

    resource: str
    mark: str
    found: tuple[Found, ...]
    stops: bool
    released: bool
    since: float


@dataclass(frozen=True)
class Caught:
    """A row to be held: its pseudonym, where it was caught, and the row itself, converted."""

    mark: str
    found: tuple[Found, ...]
    row: Columns
    stops: bool


@dataclass(frozen=True)
class Waiting:
    """What waits for one resource: rows to be sent because they were released, and a row that stops it."""

    count: int
    released: int
    stops: bool


class _Content(msgspec.Struct, frozen=True, array_like=True):
    plain: bytes
    identity: bytes
    faults: tuple[RowFault, ...]


def _place(resource: str, mark: str) -> str:
    return f"held/{resource}/{mark}"


class Quarantine:
    """The file of one node; at most `most` rows are held for each resource."""

    def __init__(self, path: Path, cover: Cover, most: int) -> None:
        """Open or create the file."""
        self._cover = cover
        self._most = most
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        # A file beside it that every opening needs, as WAL has, could not be made on a full disk.
        self._db.execute("PRAGMA journal_mode = TRUNCATE")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)
        path.chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def waiting(self, resource: str) -> Waiting:
        """Say what waits for a resource."""
        with self._lock:
            count, released, stops = self._db.execute(
                "SELECT count(*), coalesce(sum(released), 0), coalesce(max(stops AND NOT released), 0)"
                " FROM held WHERE resource = ?",
                (resource,),
            ).fetchone()
        return Waiting(int(count), int(released), bool(stops))

    def rows(self, resource: str | None = None, limit: int = 1000) -> list[Held]:
        """Return what is held, the oldest first."""
        with self._lock:
            found = self._db.execute(
                "SELECT resource, mark, found, stops, released, since FROM held"
                " WHERE ?1 IS NULL OR resource = ?1 ORDER BY since, mark LIMIT ?2",
                (resource, limit),
            ).fetchall()
        return [
            Held(name, mark, _found(text), bool(stops), bool(released), since)
            for name, mark, text, stops, released, since in found
        ]

    def decisions(self, resource: str, digests: Collection[str]) -> dict[str, Decision]:
        """Return what persons have decided about these values."""
        with self._lock:
            found = [
                self._db.execute(
                    "SELECT digest, by, reason FROM decision WHERE resource = ? AND digest = ?",
                    (resource, one),
                ).fetchone()
                for one in digests
            ]
        return {row[0]: Decision(row[1], row[2]) for row in found if row is not None}

    def keep(self, resource: str, mapping: str, caught: Sequence[Caught], passed: Collection[str]) -> None:
        """Hold these rows, and forget those of the same keys that have passed now."""
        with self._transaction() as db:
            db.executemany(
                "DELETE FROM held WHERE resource = ? AND mark = ?", [(resource, mark) for mark in passed]
            )
            for one in caught:
                db.execute(
                    "INSERT OR REPLACE INTO held (resource, mark, found, content, mapping, stops, since)"
                    " VALUES (?, ?, ?, ?, ?, ?, coalesce((SELECT since FROM held WHERE resource = ?1"
                    " AND mark = ?2), ?7))",
                    (
                        resource,
                        one.mark,
                        msgspec.json.encode(one.found).decode(),
                        self._sealed(resource, one),
                        mapping,
                        one.stops,
                        time.time(),
                    ),
                )
            (count,) = db.execute("SELECT count(*) FROM held WHERE resource = ?", (resource,)).fetchone()
            if caught and count > self._most:
                raise QuarantineFull(
                    f"{resource}: the rules of screening hold more than {self._most} rows: look at them with"
                    " `shuqiao node held`, or raise NODE_HELD_ROWS"
                )

    def _sealed(self, resource: str, one: Caught) -> bytes:
        row = one.row
        content = _Content(encode_part(row.plain), encode_part(row.identity), row.faults)
        return self._cover.seal(msgspec.msgpack.encode(content), _place(resource, one.mark))

    def content(self, resource: str, mark: str) -> Columns | None:
        """Return a row as it was converted; None where it isn't held, or can't be opened any more."""
        with self._lock:
            row = self._db.execute(
                "SELECT content FROM held WHERE resource = ? AND mark = ?", (resource, mark)
            ).fetchone()
        if row is None:
            return None
        try:
            opened = msgspec.msgpack.decode(self._cover.open(row[0], _place(resource, mark)), type=_Content)
            return Columns(_read(opened.plain), _read(opened.identity), opened.faults)
        except (msgspec.MsgspecError, pa.ArrowException, OSError):
            return None

    def released(self, resource: str, mapping: str, limit: int) -> list[Held]:
        """Return rows that were released and are to be sent; those of another mapping are forgotten."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM held WHERE resource = ? AND released AND mapping <> ?", (resource, mapping)
            )
            found = db.execute(
                "SELECT mark, found, stops, since FROM held WHERE resource = ? AND released"
                " ORDER BY since, mark LIMIT ?",
                (resource, limit),
            ).fetchall()
        return [
            Held(resource, mark, _found(text), bool(stops), True, since) for mark, text, stops, since in found
        ]

    def forget(self, resource: str, marks: Collection[str] | None = None) -> int:
        """Forget held rows: these, or all of the resource. The next load finds again what still is caught."""
        with self._transaction() as db:
            if marks is None:
                return db.execute("DELETE FROM held WHERE resource = ?", (resource,)).rowcount
            return sum(
                db.execute("DELETE FROM held WHERE resource = ? AND mark = ?", (resource, one)).rowcount
                for one in marks
            )

    def unmapped(self, mapped: Collection[str], now: float) -> list[str]:
        """Return the resources of which rows are held and that have had no mapping for `UNMAPPED_S`."""
        with self._transaction() as db:
            held = {row[0] for row in db.execute("SELECT DISTINCT resource FROM held")}
            known = dict(db.execute("SELECT resource, since FROM unmapped").fetchall())
            # A clock that was set back begins the time anew: nothing goes too early for it.
            since = {one: min(known.get(one, now), now) for one in held - set(mapped)}
            db.execute("DELETE FROM unmapped")
            db.executemany("INSERT INTO unmapped VALUES (?, ?)", since.items())
        return sorted(one for one, begun in since.items() if now - begun >= UNMAPPED_S)

    def remove(self, resource: str, now: float) -> Removal:
        """Remove what is held for a resource and what was decided about it; a record of it stays."""
        with self._transaction() as db:
            rows = db.execute("DELETE FROM held WHERE resource = ?", (resource,)).rowcount
            db.execute("DELETE FROM decision WHERE resource = ?", (resource,))
            db.execute("INSERT INTO removal VALUES (?, ?, ?)", (resource, rows, now))
        return Removal(resource, rows, now)

    def removals(self) -> list[Removal]:
        """Return what was removed for want of a mapping, the oldest first."""
        with self._lock:
            found = self._db.execute(
                "SELECT resource, rows, at FROM removal ORDER BY at, resource"
            ).fetchall()
        return [Removal(*row) for row in found]

    def release(self, held: Held, by: str, reason: str) -> None:
        """Note a person's word that a row may go although it is caught.

        A row that stops its table is read again at the source; any other is sent as it lies here.
        """
        with self._transaction() as db:
            for one in held.found:
                db.execute(
                    "INSERT OR REPLACE INTO decision (resource, digest, by, reason, at)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (held.resource, one.digest, by, reason, time.time()),
                )
            place = (held.resource, held.mark)
            if held.stops:
                db.execute("DELETE FROM held WHERE resource = ? AND mark = ?", place)
            else:
                db.execute("UPDATE held SET released = 1 WHERE resource = ? AND mark = ?", place)
            db.execute(
                "DELETE FROM decision WHERE (resource, digest) IN (SELECT resource, digest FROM decision"
                " ORDER BY at DESC LIMIT -1 OFFSET ?)",
                (MAX_DECISIONS,),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, disk.transaction(self._db):
            yield self._db


def _found(text: str) -> tuple[Found, ...]:
    return msgspec.json.decode(text, type=tuple[Found, ...])


def _read(part: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(part) as reader:
        return reader.read_next_batch()
