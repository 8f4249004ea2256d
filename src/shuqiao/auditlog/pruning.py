"""The command `shuqiao audit prune`: the text of entries goes when the retention of the regulation is over.

What may go is decided by functions of the database and written down there; this only asks, again and again.
"""

from __future__ import annotations

from typing import Final

from shuqiao.auditlog.proofs import Connection

BATCH: Final = 5_000
"""Entries in one transaction."""

_RETENTION: Final = "SELECT body_months, regulation FROM audit.retention ORDER BY set_at DESC LIMIT 1"
_PRUNE: Final = "SELECT audit.prune(%s, 'system:command')"


def prune(connection: Connection) -> int:
    """Remove what is over and say how much; the exit code of the command. Needs an autocommit connection."""
    retention = connection.execute(_RETENTION).fetchone()
    if retention is None:
        print("The log has been told no retention yet: the office does that once a day.")
        return 1
    gone = 0
    while removed := _prune_batch(connection):
        gone += removed
    print(
        f"{gone} entries lost their text: those of months that ended over {retention[0]} months ago, "
        f"as {retention[1]} says. Their digests and columns remain."
    )
    return 0


def _prune_batch(connection: Connection) -> int:
    row = connection.execute(_PRUNE, [BATCH]).fetchone()
    return int(str(row[0])) if row else 0
