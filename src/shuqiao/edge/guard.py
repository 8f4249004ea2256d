"""Removals that are too many: held back until a person lets them through.

A table that was emptied by mistake, or a database restored half, must not empty the list. The node counts by
the hub's receipts how many rows the hub holds. Where more than a share of them would leave at once, it tells
none of them: the state says so, and everything else goes on. A person's word lets as many rows leave as were
shown to them, within an hour; where more would leave by then, it doesn't count. Source: our choice, decisions
41 and 49.

Functions that take a connection take the spool's, within a transaction.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

REMOVE_SHARE = 0.2
"""The share of a list that may leave at once where a mapping doesn't say."""
ALWAYS = 10
"""So few removals are never too many."""
WINDOW_S = 3600.0
"""Removals that a log tells one by one count together for so long; so long a person's word holds."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS guard (
    resource  TEXT PRIMARY KEY,
    held      INTEGER,
    loaded    INTEGER NOT NULL DEFAULT 0,
    gone      INTEGER NOT NULL DEFAULT 0,
    since     REAL NOT NULL DEFAULT 0,
    let_until REAL NOT NULL DEFAULT 0,
    let_rows  INTEGER NOT NULL DEFAULT 0
) STRICT;
"""


@dataclass(frozen=True)
class Held:
    """So many removals wait for a person's word, of so many rows that the hub holds, 0 where nobody knows."""

    rows: int
    of: int


@dataclass(frozen=True)
class Count:
    """What is known of a resource: rows at the hub, None where that isn't known, and rows met in the load.

    `gone` are removals of the log since `since`; until `let_until` a person has let `let_rows` rows leave.
    """

    held: int | None = None
    loaded: int = 0
    gone: int = 0
    since: float = 0.0
    let_until: float = 0.0
    let_rows: int = 0

    def is_let(self, rows: int, now: float) -> bool:
        """Say whether a person's word is about so many rows."""
        return now < self.let_until <= now + WINDOW_S and rows <= self.let_rows


def judge(rows: int, count: Count, share: float, now: float) -> Held | None:
    """Say what is held back where so many rows would leave; None where they may go."""
    if count.is_let(rows, now) or share >= 1 or rows <= ALWAYS or count.held is None:
        return None
    return Held(rows, count.held) if rows > share * count.held else None


def judge_end(count: Count, share: float, now: float) -> Held | None:
    """Say what is held back where all that a full load didn't meet would leave."""
    if count.held is None:
        # Nobody knows how many there are; a load that met none of them may not say that all are gone.
        return None if count.loaded or count.is_let(0, now) or share >= 1 else Held(0, 0)
    return judge(count.held - count.loaded, count, share, now)


def judge_log(rows: int, count: Count, share: float, now: float) -> Held | None:
    """Say what is held back where a log tells so many removals more."""
    return judge(rows + (count.gone if is_same_window(count, now) else 0), count, share, now)


def is_same_window(count: Count, now: float) -> bool:
    """Say whether removals of now count together with those before."""
    return 0 <= now - count.since < WINDOW_S


def read(db: sqlite3.Connection, resource: str) -> Count:
    """Return what is known of a resource."""
    row = db.execute(
        "SELECT held, loaded, gone, since, let_until, let_rows FROM guard WHERE resource = ?", (resource,)
    ).fetchone()
    return Count() if row is None else Count(*row)


def begin(db: sqlite3.Connection, resource: str, *, is_first: bool) -> None:
    """Start over with a full load; before the very first batch the hub holds nothing."""
    db.execute("DELETE FROM guard WHERE resource = ?", (resource,))
    db.execute("INSERT INTO guard (resource, held) VALUES (?, ?)", (resource, 0 if is_first else None))


def restart(db: sqlite3.Connection, resource: str) -> None:
    """Count the rows of another full load; a word that was given for the one before is spent."""
    db.execute("UPDATE guard SET loaded = 0, let_until = 0 WHERE resource = ?", (resource,))


def loaded(db: sqlite3.Connection, resource: str, rows: int) -> None:
    """Count rows that a full load has met."""
    db.execute("UPDATE guard SET loaded = max(0, loaded + ?) WHERE resource = ?", (rows, resource))


def told(db: sqlite3.Connection, resource: str, rows: int, now: float) -> None:
    """Count removals that the log told; a word that was about them is spent, and counting begins anew."""
    count = read(db, resource)
    before, since = (count.gone, count.since) if is_same_window(count, now) else (0, now)
    total = before + rows
    if count.is_let(total, now):
        total = 0
        let(db, resource, 0.0, 0)
    db.execute("UPDATE guard SET gone = ?, since = ? WHERE resource = ?", (total, since, resource))


def receipted(db: sqlite3.Connection, resource: str, gained: int, *, ends_load: bool) -> None:
    """Count by a receipt what the hub holds; the end of a load says so where nobody knew."""
    db.execute(
        "UPDATE guard SET held = CASE WHEN held IS NOT NULL THEN max(0, held + ?2) WHEN ?3 THEN loaded END,"
        " let_until = CASE WHEN ?3 THEN 0 ELSE let_until END WHERE resource = ?1",
        (resource, gained, ends_load),
    )


def let(db: sqlite3.Connection, resource: str, until: float, rows: int) -> None:
    """Note a person's word about so many rows; 0 when it is spent, or when more would leave by now."""
    db.execute("UPDATE guard SET let_until = ?, let_rows = ? WHERE resource = ?", (until, rows, resource))
