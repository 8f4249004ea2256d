"""The node's memory of calls it answered: a log chained by digests, confirmed grants, counted guesses.

One SQLite file, flushed to the disk at every commit: what `append` returned is there after a power cut. It
holds no value of a record and no number of a person, but under a key of the node's.
Calls block on the disk: async code runs them in a thread.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import msgspec

from shuqiao.edge import disk
from shuqiao.wire.held import line_digest

NO_LINE = bytes(32)
MAX_WAITING = 200
MAX_WAITING_EACH = 20
"""Documents that wait: of all grants, and of one grant used with one key. Further ones are not kept."""
SHOWN_DIGITS = 12
LIMITS = (10, 50)
"""Misses a day about one item of one subject: of one department, and of all together."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS line (
    number   INTEGER PRIMARY KEY,
    call     BLOB NOT NULL,
    made     INTEGER NOT NULL,
    resource TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    body     BLOB NOT NULL,
    digest   BLOB NOT NULL,
    UNIQUE (call, outcome)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS line_call_used_up ON line (call)
    WHERE outcome IN ('answered', 'case_number_demanded');
CREATE INDEX IF NOT EXISTS line_answered ON line (resource, made) WHERE outcome = 'answered';
CREATE TABLE IF NOT EXISTS permission (
    "grant"  TEXT NOT NULL,
    key      TEXT NOT NULL,
    digest   BLOB NOT NULL,
    document TEXT NOT NULL,
    signer   TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('waiting', 'confirmed', 'withdrawn')),
    PRIMARY KEY ("grant", key, digest)
) STRICT;
CREATE TABLE IF NOT EXISTS guess (
    mark       BLOB NOT NULL,
    day        TEXT NOT NULL,
    field      TEXT NOT NULL,
    department TEXT NOT NULL,
    misses     INTEGER NOT NULL,
    PRIMARY KEY (mark, day, field, department)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS report (
    resource TEXT PRIMARY KEY,
    until    INTEGER NOT NULL
) STRICT;
"""


class LineBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a line says of a call: who asked what under which grant, and how it ended; never a value.

    `request` and `answer` stand for the signed request and the result, in hexadecimal; the signature is in
    both digests, so that whoever sees them can't try out what was asked or answered. A line `unsigned` stands
    for many messages that no application's signature vouched for: `counts` of each reason.
    """

    at: str
    call: str
    resource: str
    outcome: str
    mode: str = ""
    application: str = ""
    key: str = ""
    department: str = ""
    end_user: str = ""
    purpose: str = ""
    case: str = ""
    grant: str = ""
    items: tuple[str, ...] = ()
    found: bool = False
    request: str = ""
    answer: str = ""
    counts: dict[str, int] = {}


class Line(NamedTuple):
    """A line as it was written: its number, and the digest that chains it."""

    number: int
    digest: bytes


class Row(NamedTuple):
    """A line as it is read again."""

    number: int
    call: bytes
    body: bytes
    digest: bytes


class Permission(NamedTuple):
    """What the department said, or is asked to say, of a grant used with one application's key."""

    grant: str
    key: str
    digest: bytes
    document: str
    signer: str
    state: str


@dataclass(frozen=True, slots=True)
class Guess:
    """What counts against guessing: the mark of who is asked about, and the claims, true if they agreed."""

    mark: bytes
    day: date
    department: str
    agreed: dict[str, bool]
    has_case: bool


class CallRepeated(Exception):
    """The call was answered before."""


class Store:
    """The file of one node; several processes may open it, such as the node and a technician's command."""

    def __init__(self, path: Path, limits: tuple[int, int] = LIMITS) -> None:
        """Open or create the file."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._limits = limits
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)
        path.chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def is_answered(self, call: bytes) -> bool:
        """Tell whether a call's signature is used up."""
        found = "SELECT 1 FROM line WHERE call = ? AND outcome IN ('answered', 'case_number_demanded')"
        with self._lock:
            return self._db.execute(found, [call]).fetchone() is not None

    def refuse(self, call: bytes, made: int, body: LineBody) -> Line | None:
        """Write the line of a refused call, once for each reason; None where it is there already."""
        with self._transaction():
            known = self._db.execute(
                "SELECT 1 FROM line WHERE call = ? AND outcome = ?", [call, body.outcome]
            ).fetchone()
            return None if known else self._write(call, made, body)

    def count(self, made: int, body: LineBody) -> Line:
        """Write a line that stands for many messages; its id is drawn here."""
        with self._transaction():
            return self._write(secrets.token_bytes(16), made, body)

    def append(self, call: bytes, made: int, body: LineBody, guess: Guess | None) -> tuple[Line, int]:
        """Write the line of an answer and count wrong claims; returns when both are on the disk.

        The second value is the budget: 0 within it, 1 used up and answered for its case, 2 used up, and the
        line says that nothing was answered. Raises `CallRepeated`.
        """
        try:
            with self._transaction():
                budget = 0 if guess is None else self._count(guess)
                if budget > 1:
                    body = msgspec.structs.replace(
                        body, outcome="case_number_demanded", found=False, answer=""
                    )
                return self._write(call, made, body), budget
        except sqlite3.IntegrityError:
            raise CallRepeated from None

    def offer(self, asked: Permission) -> str:
        """Return the state of a permission; one never heard of waits for the department.

        Another document or description under the same number needs a word of its own. None that waits gives
        way to another: the technician decides about what he was shown.
        """
        pair = [asked.grant, asked.key]
        with self._transaction():
            known = self._db.execute(
                'SELECT state FROM permission WHERE "grant" = ? AND key = ? AND digest = ?',
                [*pair, asked.digest],
            ).fetchone()
            if known:
                return str(known[0])
            own, waiting = self._db.execute(
                'SELECT count(*) FILTER (WHERE "grant" = ? AND key = ?), count(*)'
                " FROM permission WHERE state = 'waiting'",
                pair,
            ).fetchone()
            if own < MAX_WAITING_EACH and waiting < MAX_WAITING:
                self._db.execute("INSERT INTO permission VALUES (?, ?, ?, ?, ?, 'waiting')", asked[:5])
            return "waiting"

    def permissions(self) -> list[Permission]:
        """Return all, those that wait first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT * FROM permission ORDER BY state <> 'waiting', \"grant\", key, digest"
            ).fetchall()
        return [Permission(*row) for row in rows]

    def decide(self, grant: str, key: str, digits: str, state: str) -> bool:
        """Confirm or withdraw the one permission whose digest begins so; False where it isn't exactly one."""
        if len(digits) < SHOWN_DIGITS:
            return False
        with self._transaction():
            found = self._db.execute(
                'SELECT digest FROM permission WHERE "grant" = ? AND key = ?'
                " AND substr(lower(hex(digest)), 1, ?) = ?",
                [grant, key, len(digits), digits.lower()],
            ).fetchall()
            if len(found) != 1:
                return False
            self._db.execute(
                'UPDATE permission SET state = ? WHERE "grant" = ? AND key = ? AND digest = ?',
                [state, grant, key, found[0][0]],
            )
            return True

    def lines(self, after: int = 0, limit: int = 1000) -> list[Row]:
        """Return lines in order."""
        with self._lock:
            rows = self._db.execute(
                "SELECT number, call, body, digest FROM line WHERE number > ? ORDER BY number LIMIT ?",
                [after, limit],
            ).fetchall()
        return [Row(*row) for row in rows]

    def head(self) -> Line:
        """Return the last line."""
        with self._lock:
            return self._head()

    def answered(self, resource: str, since: int, until: int, limit: int) -> list[tuple[int, bytes, bytes]]:
        """Return (time, call, digest) of the answered calls of a stretch, in order of their times."""
        with self._lock:
            return self._db.execute(
                "SELECT made, call, digest FROM line WHERE resource = ? AND outcome = 'answered'"
                " AND made >= ? AND made < ? ORDER BY made, number LIMIT ?",
                [resource, since, until, limit],
            ).fetchall()

    def reported(self, resource: str) -> int | None:
        """Return up to when the hub has heard of this resource's calls."""
        with self._lock:
            found = self._db.execute("SELECT until FROM report WHERE resource = ?", [resource]).fetchone()
        return None if found is None else int(found[0])

    def note_report(self, resource: str, until: int) -> None:
        """Remember it."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO report VALUES (?, ?)", [resource, until])

    def _write(self, call: bytes, made: int, body: LineBody) -> Line:
        head, content = self._head(), msgspec.json.encode(body)
        line = Line(head.number + 1, line_digest(head.digest, content))
        self._db.execute(
            "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?)",
            [line.number, call, made, body.resource, body.outcome, content, line.digest],
        )
        return line

    def _head(self) -> Line:
        found = self._db.execute("SELECT number, digest FROM line ORDER BY number DESC LIMIT 1").fetchone()
        return Line(*found) if found else Line(0, NO_LINE)

    def _count(self, guess: Guess) -> int:
        """Count the claims that did not agree, and say whether the budget was used up before."""
        day = guess.day.isoformat()
        self._db.execute("DELETE FROM guess WHERE day < ?", [day])
        over = any(self._is_over(guess, day, field) for field in guess.agreed)
        self._db.executemany(
            "INSERT INTO guess VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET misses = misses + 1",
            [(guess.mark, day, field, guess.department) for field, word in guess.agreed.items() if not word],
        )
        return 0 if not over else 1 if guess.has_case else 2

    def _is_over(self, guess: Guess, day: str, field: str) -> bool:
        own, everywhere = self._db.execute(
            "SELECT coalesce(sum(misses) FILTER (WHERE department = ?), 0), coalesce(sum(misses), 0)"
            " FROM guess WHERE mark = ? AND day = ? AND field = ?",
            [guess.department, guess.mark, day, field],
        ).fetchone()
        return bool(own >= self._limits[0] or everywhere >= self._limits[1])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, disk.transaction(self._db):
            yield


def broken_at(rows: Collection[Row], before: Line) -> int | None:
    """Return the number of the first line that does not follow the one before; None where all do."""
    for row in rows:
        if row.number != before.number + 1 or row.digest != line_digest(before.digest, row.body):
            return row.number
        before = Line(row.number, row.digest)
    return None
