"""The file of the node's spool: how it is opened, and its tables."""

import sqlite3
from pathlib import Path

from shuqiao.edge import guard, ranges

_INCREMENTAL = 2

SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    resource      TEXT PRIMARY KEY,
    mapping       TEXT NOT NULL,
    next_sequence INTEGER NOT NULL,
    generation    INTEGER NOT NULL DEFAULT 1,
    phase         TEXT NOT NULL CHECK (phase IN ('full', 'changes')),
    cursor        TEXT,
    watermark     TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS batch (
    resource TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    message  BLOB NOT NULL,
    digest   TEXT NOT NULL,
    rows     INTEGER NOT NULL,
    created  REAL NOT NULL,
    before   TEXT,
    sent     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (resource, sequence)
) STRICT;
-- What waits is counted often; columns behind a message would be reached through all its pages.
CREATE INDEX IF NOT EXISTS batch_waiting ON batch (resource, sequence, rows, created);
CREATE INDEX IF NOT EXISTS batch_unsent ON batch (resource, sequence) WHERE sent = 0;
CREATE TABLE IF NOT EXISTS seen (
    resource TEXT NOT NULL,
    digest   BLOB NOT NULL,
    changed  TEXT NOT NULL,
    sequence INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (resource, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS structure (
    resource TEXT PRIMARY KEY,
    mapping  TEXT NOT NULL,
    columns  TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS outcome (
    resource  TEXT NOT NULL,
    sequence  INTEGER NOT NULL,
    accepted  INTEGER NOT NULL,
    rejected  TEXT NOT NULL,
    merged_at TEXT NOT NULL,
    PRIMARY KEY (resource, sequence)
) STRICT;
"""

_LATER_COLUMNS = (
    ("resource", "generation", "INTEGER NOT NULL DEFAULT 1"),
    ("batch", "before", "TEXT"),
    ("seen", "sequence", "INTEGER NOT NULL DEFAULT 0"),
    ("resource", "load_since", "INTEGER NOT NULL DEFAULT 0"),
    ("resource", "ending", "INTEGER NOT NULL DEFAULT 0"),
    ("batch", "is_end", "INTEGER NOT NULL DEFAULT 0"),
    ("batch", "is_compared", "INTEGER NOT NULL DEFAULT 0"),
    ("guard", "let_rows", "INTEGER NOT NULL DEFAULT 0"),
    ("structure", "lacked", "TEXT NOT NULL DEFAULT '[]'"),
)
"""Columns that a file of an earlier version may lack."""


def open_file(path: Path) -> sqlite3.Connection:
    """Open or create the file for this process alone, flushed at every commit, with all its tables."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
    # An exclusive lock for as long as the file is open keeps a second node off it.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    if db.execute("PRAGMA auto_vacuum").fetchone()[0] != _INCREMENTAL:
        # To say it once more would write, and so fail where the disk is full.
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    for schema in (SCHEMA, ranges.SCHEMA, guard.SCHEMA):
        db.executescript(schema)
    for table, name, column in _LATER_COLUMNS:
        if name not in {row[1] for row in db.execute(f"PRAGMA table_info ({table})")}:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {column}")
    path.chmod(0o600)
    return db
