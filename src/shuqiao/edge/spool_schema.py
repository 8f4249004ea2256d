"""The tables of the node's spool."""

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
