"""What a MariaDB server needs so that a table can be followed by its log: looked at, or said clearly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pymysql

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.mysql import Session, base_of, is_ordered
from shuqiao.edge.mapping import TableMapping

_OLDEST = (10, 5)
_WANTED = {"log_bin": "1", "binlog_format": "ROW", "binlog_row_image": "FULL", "binlog_row_metadata": "FULL"}
_AHEAD = timedelta(hours=8)
_ZERO_MOMENT = datetime(1970, 1, 1)
_MEMBER = re.compile(r"'((?:[^']|'')*)'")
_DROPS = re.compile(r"\bdrop\s+(?:database|schema)\b", re.IGNORECASE)

_TABLE = """
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, COALESCE(e.TRANSACTIONS, 'NO')
FROM information_schema.TABLES t
LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
WHERE t.TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND t.TABLE_NAME = %s"""
_COLUMNS = """
SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"""
_CASCADES = """
SELECT COUNT(*) FROM information_schema.REFERENTIAL_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = %s AND TABLE_NAME = %s
  AND (DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL'))"""


@dataclass(frozen=True)
class FollowedTable:
    """A table that can be followed, and its columns' types."""

    schema: str
    name: str
    kinds: Mapping[str, str]

    def is_named_in(self, statement: str) -> bool:
        """Say whether a statement may concern the table: better read in full once too often."""
        name = self.schema if _DROPS.search(statement) else self.name
        return bool(re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", statement, re.IGNORECASE))


def prepare(session: Session) -> None:
    """Raise SourceError naming what the server's administrator must set."""
    version = str(session.rows("SELECT VERSION()")[0][0])
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if "MariaDB" not in version or numbers is None or (int(numbers[1]), int(numbers[2])) < _OLDEST:
        raise SourceError(
            "the log is read from MariaDB 10.5 or later alone: capture by changes or ranges here"
        )
    shown = {name: str(session.rows(f"SELECT @@GLOBAL.{name}")[0][0]).upper() for name in _WANTED}
    faults = [
        f"{name} = {'ON' if value == '1' else value}"
        for name, value in _WANTED.items()
        if shown[name] != value
    ]
    if faults:
        raise SourceError("the source's log says too little: have its administrator set " + ", ".join(faults))
    try:
        status = session.rows("SHOW MASTER STATUS")
    except pymysql.MySQLError as error:
        raise SourceError(
            "the node's role may not read the log: have the administrator GRANT REPLICATION SLAVE,"
            " BINLOG MONITOR ON *.* to it"
        ) from error
    if status and (status[0][2] or status[0][3]):
        raise SourceError("the source's log leaves out databases (binlog_do_db or binlog_ignore_db)")


def look_at(session: Session, mapping: TableMapping) -> FollowedTable:
    """Look at the table; raises SourceError naming what keeps it from being followed."""
    schema, _, name = mapping.table.rpartition(".")
    found = session.rows(_TABLE, (schema or None, name))
    if not found:
        raise SourceError(f"{mapping.path}: the source has no table {mapping.table!r} that the node may see")
    schema, name, kind, transactions = found[0]
    kinds = {str(row[0]): _kind(str(row[1])) for row in session.rows(_COLUMNS, (schema, name))}
    faults = [
        f"the table has no column {one!r}"
        for one in dict.fromkeys((mapping.key, *mapping.source_columns()))
        if one not in kinds
    ]
    if kind != "BASE TABLE":
        faults.append("it is no table: only tables have a log")
    elif transactions != "YES":
        faults.append("the table's engine has no transactions, so no moment of it can be read")
    if session.rows(_CASCADES, (schema, name))[0][0]:
        faults.append("rows that go or change by a foreign key's cascade are not in the log")
    if not faults and not is_ordered(kinds[mapping.key]):
        faults.append(
            f"the key {mapping.key!r} is of type {kinds[mapping.key]}, by which no rows can be paged"
        )
    if faults:
        raise SourceError(f"{mapping.path}: " + "; ".join(faults))
    return FollowedTable(schema, name, kinds)


def value_of(kind: str, value: Any) -> Any:
    """Return a value of the log as the driver reads it from a table of this type."""
    base = base_of(kind)
    if value is None:
        return None
    if base == "timestamp" and isinstance(value, datetime):
        return "0000-00-00 00:00:00" if value == _ZERO_MOMENT else value + _AHEAD
    if base == "float":
        # The log has the nearest fraction of two, the driver the six digits that the server shows.
        return float(f"{value:.6g}")
    if base == "bit":
        return int(str(value), 2).to_bytes((len(str(value)) + 7) // 8, "big")
    if base == "set" and isinstance(value, set | frozenset):
        return ",".join(one for one in _members(kind) if one in value)
    return value


def _kind(text: str) -> str:
    # The members of a set keep their letters.
    return text if text.lower().startswith("set(") else text.lower()


def _members(kind: str) -> Sequence[str]:
    return [one.replace("''", "'") for one in _MEMBER.findall(kind)]
