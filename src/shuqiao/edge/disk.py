"""A full disk: told apart from other faults, seen coming, and waited for.

SQLite may have given a transaction up by itself when a write failed, so it is ended only where it still runs.
Nothing is lost by waiting: what is not written yet is still at the source.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CODES = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_TRUNCATE,
    )
)
_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFull(Exception):
    """Nothing can be written where the node keeps its files; whoever meets it waits and tries again."""


def is_full(error: BaseException) -> bool:
    """Say whether an error means that there is no room."""
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", None) in _CODES
    return isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in _ERRORS)


def free_bytes(folder: Path) -> int:
    """Return how much may still be written below a folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Do what follows in one transaction; raises DiskFull where it can't be written, and nothing of it is."""
    try:
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")
    except BaseException as error:
        if db.in_transaction:
            with suppress(sqlite3.OperationalError):
                db.execute("ROLLBACK")
        if is_full(error):
            raise DiskFull(str(error)) from error
        raise
