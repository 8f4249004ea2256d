"""What the columns of a source's table were when its mapping was first used, kept in the spool.

It also keeps which of them were lacking, or of another type, while rows were read: when one is back, those
rows are read anew.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """The columns by their types, and those that rows were read without or with another type."""

    columns: Mapping[str, str]
    lacked: frozenset[str] = frozenset()


def known(db: sqlite3.Connection, resource: str, mapping: str, now: Mapping[str, str]) -> Known:
    """Return what a version of the mapping was first used with; if it is new, the columns of now."""
    row = db.execute(
        "SELECT columns, lacked FROM structure WHERE resource = ? AND mapping = ?", (resource, mapping)
    ).fetchone()
    if row is not None:
        return Known(dict(json.loads(row[0])), frozenset(json.loads(row[1])))
    db.execute(
        "INSERT OR REPLACE INTO structure (resource, mapping, columns) VALUES (?, ?, ?)",
        (resource, mapping, json.dumps(dict(now))),
    )
    return Known(dict(now))


def note_lacking(db: sqlite3.Connection, resource: str, lacking: Collection[str]) -> None:
    """Note the columns that rows are read without from now on, in place of those noted before."""
    db.execute("UPDATE structure SET lacked = ? WHERE resource = ?", (json.dumps(sorted(lacking)), resource))
