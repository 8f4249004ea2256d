"""Places in a MariaDB server's log (10.5 or later).

A page is read in a snapshot of which the server itself says the place in its log, so it is known exactly what
the page shows. A place is checked by the global names of the transactions before it: another server's log, or
one restored from a backup, has others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shuqiao.edge.connectors import SourceRow
from shuqiao.edge.connectors.log import LogLost
from shuqiao.edge.connectors.mysql import Session
from shuqiao.edge.connectors.mysql_places import OTHER_LOG, PURGED, Place, Spot, Start, read_place, spot_of
from shuqiao.edge.connectors.mysql_setup import look_at, prepare_mariadb
from shuqiao.edge.mapping import TableMapping

_SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT"
_WHERE = "SHOW STATUS LIKE 'binlog_snapshot_%%'"
_EVENTS = 1000
_COMMITS = ("Xid", "XA_prepare")


@dataclass(frozen=True)
class Domains:
    """The last global name `domain-server-number` of each domain."""

    names: Mapping[str, str] = field(default_factory=dict)

    def with_(self, name: str) -> Domains:
        """Return them with a later one."""
        return Domains({**self.names, name.partition("-")[0]: name})

    def text(self) -> str:
        """Return them in the order of their domains."""
        return ",".join(self.names[domain] for domain in sorted(self.names))


def read_domains(text: str) -> Domains:
    """Read such names."""
    return Domains({name.partition("-")[0]: name for name in text.split(",") if name})


class MariadbServer:
    """A MariaDB server."""

    def begin(self, session: Session, mapping: TableMapping) -> Place:
        """Look at server and table."""
        prepare_mariadb(session)
        look_at(session, mapping, is_named=True)
        base, spot = _snapshot(session)
        session.rows("COMMIT")
        return Place(spot, _names_at(session, base, spot))

    def resume(self, session: Session, mapping: TableMapping, position: str) -> Start:
        """Look whether the log has the same names before the place."""
        prepare_mariadb(session)
        place = read_place(position, read_domains)
        table = look_at(session, mapping, is_named=True)
        base, _ = _snapshot(session)
        session.rows("COMMIT")
        if _names_at(session, base, place.spot) != place.names:
            raise LogLost(OTHER_LOG)
        return Start(table, place, f"{base}.{place.spot.file:06d}")

    def page(
        self, session: Session, _place: Place, read: Callable[[], list[SourceRow]]
    ) -> tuple[Spot, list[SourceRow]]:
        """Read in a snapshot whose place in the log the server tells."""
        _, spot = _snapshot(session)
        rows = read()
        session.rows("COMMIT")
        return spot, rows

    def sees(self, transaction: str, high: Spot) -> bool:
        """A page shows what lies before its place."""
        return transaction < high.text()


def _snapshot(session: Session) -> tuple[str, Spot]:
    """Begin to read as of now; return the log's name without its number, and the place of this moment.

    The server names the place of the last commit. Behind it may lie what is no transaction, such as a
    statement that made or emptied a table: the moment is behind that as well.
    """
    session.rows(_SNAPSHOT)
    found = {str(name).lower(): str(value) for name, value in session.rows(_WHERE)}
    base, last = spot_of(found.get("binlog_snapshot_file", ""), found.get("binlog_snapshot_position", ""))
    status = session.rows("SHOW MASTER STATUS")
    _, end = spot_of(str(status[0][0]), str(status[0][1])) if status else (base, last)
    return base, end if last < end and not _has_commits(session, base, last, end) else last


def _has_commits(session: Session, base: str, after: Spot, until: Spot) -> bool:
    """Say whether transactions, or more than can be looked at, lie between two places."""
    if until.file > after.file + 1:
        return True
    seen: list[tuple[Any, ...]] = []
    for file in range(after.file, until.file + 1):
        byte = after.byte if file == after.file else 4
        rows = session.rows(f"SHOW BINLOG EVENTS IN %s FROM {byte} LIMIT {_EVENTS}", (f"{base}.{file:06d}",))
        seen += [row for row in rows if file < until.file or row[1] < until.byte]
    return len(seen) >= _EVENTS or any(row[2] in _COMMITS or row[5] == "COMMIT" for row in seen)


def _names_at(session: Session, base: str, spot: Spot) -> Domains:
    """Return the global names before a place, none where the log doesn't have it."""
    rows = session.rows("SELECT BINLOG_GTID_POS(%s, %s)", (f"{base}.{spot.file:06d}", spot.byte))
    if not rows or rows[0][0] is None:
        raise LogLost(PURGED)
    return read_domains(str(rows[0][0]))
