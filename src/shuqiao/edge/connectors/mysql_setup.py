"""What a MySQL or MariaDB server needs so that a table can be followed by its log, looked at or told."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import pymysql

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.checking import no_table
from shuqiao.edge.connectors.mysql import Session, base_of, is_ordered
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

_OLDEST_MARIADB, _OLDEST_MYSQL = (10, 5), (5, 6)
_WANTED = {"log_bin": "ON", "binlog_format": "ROW", "binlog_row_image": "FULL"}
_WANTED_MARIADB = {**_WANTED, "binlog_row_metadata": "FULL", "log_bin_compress": "OFF"}
_WANTED_MYSQL = {
    **_WANTED,
    "gtid_mode": "ON",
    "binlog_row_value_options": "",
    "binlog_transaction_compression": "OFF",
}
_SWITCHES = {"1": "ON", "0": "OFF"}
_CHARSETS = ("binary", "ascii", "latin1", "utf8", "utf8mb3", "utf8mb4", "gbk", "gb2312", "gb18030", "big5")
"""Encodings whose bytes in the log are read as the server does."""

_AHEAD = timedelta(hours=8)
_ZERO_MOMENT = datetime(1970, 1, 1)
_NO_YEAR = 1900
"""What the library makes of the year 0000, since years are counted from it."""

CODES: Mapping[str, tuple[int, ...]] = {
    **{"tinyint": (1,), "smallint": (2,), "mediumint": (9,), "int": (3,), "bigint": (8,)},
    **{"float": (4,), "double": (5,), "decimal": (246,), "bit": (16,), "json": (245,)},
    **{"date": (10,), "year": (13,), "time": (11, 19), "datetime": (12, 18), "timestamp": (7, 17)},
    **{"enum": (247,), "set": (248,)},
    **dict.fromkeys(("char", "binary"), (254,)),
    **dict.fromkeys(("varchar", "varbinary"), (15,)),
    **dict.fromkeys(("tinytext", "text", "mediumtext", "longtext"), (252,)),
    **dict.fromkeys(("tinyblob", "blob", "mediumblob", "longblob"), (252,)),
}
"""Types by which the log may describe a column of a type. Source: MySQL's field_types.h."""

_MEMBER = re.compile(r"'((?:[^']|'')*)'")
_DROPS = re.compile(r"\bdrop\s+(?:database|schema)\b", re.IGNORECASE)

_TABLE = """
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, COALESCE(e.TRANSACTIONS, 'NO')
FROM information_schema.TABLES t
LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
WHERE t.TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND t.TABLE_NAME = %s"""
_COLUMNS = """
SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"""
_CASCADES = """
SELECT COUNT(*) FROM information_schema.REFERENTIAL_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = %s AND TABLE_NAME = %s
  AND (DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL'))"""


_CASCADED = Words(
    "因外键级联而删除或更改的行不在日志中",
    "rows that go or change by a foreign key's cascade are not in the log",
)
_NO_TABLE = Words("它不是表：只有表才有日志", "it is no table: only tables have a log")
_NO_TRANSACTIONS = Words(
    "该表的存储引擎没有事务，无法读取其某一时刻的内容",
    "the table's engine has no transactions, so no moment of it can be read",
)


@dataclass(frozen=True)
class LoggedColumn:
    """A column as the server describes it; `charset` is binary where it holds no text."""

    name: str
    kind: str
    charset: str

    @property
    def is_unsigned(self) -> bool:
        """Say whether its numbers have no sign."""
        return "unsigned" in self.kind.partition(")")[2] or self.kind.endswith("unsigned")

    @property
    def is_readable(self) -> bool:
        """Say whether its values can be read from a log that doesn't describe them."""
        return base_of(self.kind) in CODES and base_of(self.kind) != "json" and self.charset in _CHARSETS


@dataclass(frozen=True)
class FollowedTable:
    """A table that can be followed; `is_named` says whether the log itself names its columns."""

    schema: str
    name: str
    columns: tuple[LoggedColumn, ...]
    is_named: bool

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """Each column's type."""
        return {one.name: one.kind for one in self.columns}

    def shape(self) -> str:
        """Return a digest of the columns: by their order alone the log's values belong to them."""
        return hashlib.sha256(repr(self.columns).encode()).hexdigest()[:16]

    def is_named_in(self, statement: str) -> bool:
        """Say whether a statement may concern the table: better read in full once too often."""
        name = self.schema if _DROPS.search(statement) else self.name
        return bool(re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", statement, re.IGNORECASE))


def is_mariadb(session: Session) -> bool:
    """Say which of the two the server is."""
    return "MariaDB" in str(session.rows("SELECT VERSION()")[0][0])


def prepare_mariadb(session: Session) -> None:
    """Raise SourceError naming what a MariaDB server's administrator must set."""
    _check_version(session, _OLDEST_MARIADB)
    shown = {name: str(session.rows(f"SELECT @@GLOBAL.{name}")[0][0]).upper() for name in _WANTED_MARIADB}
    _check_settings({name: _SWITCHES.get(value, value) for name, value in shown.items()}, _WANTED_MARIADB)
    _check_status(session, "SHOW MASTER STATUS", "REPLICATION SLAVE, BINLOG MONITOR")


def prepare_mysql(session: Session) -> None:
    """Raise SourceError naming what a MySQL server's administrator must set."""
    _check_version(session, _OLDEST_MYSQL)
    names = ", ".join(f"'{name}'" for name in _WANTED_MYSQL)
    found = session.rows(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
    # What a version doesn't know yet can't be set otherwise; the log and its names all of them know.
    shown = {"log_bin": "OFF", "gtid_mode": "OFF"} | {str(name): str(value).upper() for name, value in found}
    _check_settings(shown, {name: value for name, value in _WANTED_MYSQL.items() if name in shown})
    if not _check_status(session, status_sql(_version(session)), "REPLICATION SLAVE, REPLICATION CLIENT"):
        raise SourceError(Words("来源没有二进制日志", "the source has no binary log"))


def log_status(session: Session) -> Sequence[Any]:
    """Return where a MySQL server's log ends: file, byte, two filters, and what was executed."""
    row: Sequence[Any] = session.rows(status_sql(_version(session)))[0]
    return row


def status_sql(version: tuple[int, int]) -> str:
    """Return how a version of MySQL is asked where its log ends; from 8.4 on the older words are none."""
    return "SHOW BINARY LOG STATUS" if version >= (8, 2) else "SHOW MASTER STATUS"


def _version(session: Session) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", str(session.rows("SELECT VERSION()")[0][0]))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _check_version(session: Session, oldest: tuple[int, int]) -> None:
    if _version(session) < oldest:
        raise SourceError(
            Words(
                "日志只能从MySQL 5.6、MariaDB 10.5起读取：请在此按changes或ranges采集",
                "the log is read from MySQL 5.6 and MariaDB 10.5 on: capture by changes or ranges here",
            )
        )


def _check_settings(shown: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    faults = ", ".join(
        f"{name} = {value or repr('')}" for name, value in wanted.items() if shown[name] != value
    )
    if faults:
        raise SourceError(
            Words(
                f"来源的日志记录不足，请其数据库管理员设置 {faults}",
                f"the source's log says too little: have its administrator set {faults}",
            )
        )


def _check_status(session: Session, sql: str, rights: str) -> bool:
    try:
        status = session.rows(sql)
    except pymysql.MySQLError as error:
        raise SourceError(
            Words(
                f"节点的用户无权读取日志，请管理员执行 GRANT {rights} ON *.* 授予该用户",
                f"the node's role may not read the log: have the administrator GRANT {rights} ON *.* to it",
            )
        ) from error
    if status and (status[0][2] or status[0][3]):
        raise SourceError(
            Words(
                "来源的日志略去了一些数据库（binlog_do_db或binlog_ignore_db）",
                "the source's log leaves out databases (binlog_do_db or binlog_ignore_db)",
            )
        )
    return bool(status)


def look_at(session: Session, mapping: TableMapping, *, is_named: bool) -> FollowedTable:
    """Look at the table; raises SourceError naming what keeps it from being followed.

    `is_named` says whether the log itself names the columns and their encodings.
    """
    schema, _, name = mapping.table.rpartition(".")
    found = session.rows(_TABLE, (schema or None, name))
    if not found:
        raise SourceError(_told(mapping, no_table(mapping.table)))
    schema, name, kind, transactions = found[0]
    columns = tuple(
        LoggedColumn(str(row[0]), _kind(str(row[1])), str(row[2] or "binary"))
        for row in session.rows(_COLUMNS, (schema, name))
    )
    table = FollowedTable(schema, name, columns, is_named)
    faults = [*_of_table(kind, transactions), *_of_columns(mapping, table)]
    if session.rows(_CASCADES, (schema, name))[0][0]:
        faults.append(_CASCADED)
    if faults:
        raise SourceError(_told(mapping, *faults))
    return table


def _told(mapping: TableMapping, *faults: Words) -> Words:
    zh, en = "；".join(one.zh for one in faults), "; ".join(one.en for one in faults)
    return Words(f"{mapping.path}：{zh}", f"{mapping.path}: {en}")


def _of_table(kind: str, transactions: str) -> list[Words]:
    if kind != "BASE TABLE":
        return [_NO_TABLE]
    return [] if transactions == "YES" else [_NO_TRANSACTIONS]


def _of_columns(mapping: TableMapping, table: FollowedTable) -> list[Words]:
    names = tuple(dict.fromkeys((mapping.key, *mapping.source_columns())))
    faults = [
        Words(f"表中没有列{one!r}", f"the table has no column {one!r}")
        for one in names
        if one not in table.kinds
    ]
    if faults:
        return faults
    if not is_ordered(table.kinds[mapping.key]):
        kind = table.kinds[mapping.key]
        faults.append(
            Words(
                f"键{mapping.key!r}的类型是{kind}，不能按它分页",
                f"the key {mapping.key!r} is of type {kind}, by which no rows can be paged",
            )
        )
    if not table.is_named:
        faults += [_unread(one) for one in table.columns if one.name in names and not one.is_readable]
    return faults


def _unread(column: LoggedColumn) -> Words:
    what = f"{column.kind} {column.charset}"
    return Words(
        f"列{column.name!r}（{what}）在日志中的写法节点不能读取，请按changes或ranges采集",
        f"the column {column.name!r} ({what}) can't be read from the log: capture by changes or ranges",
    )


def value_of(kind: str, value: Any) -> Any:
    """Return a value of the log as the driver reads it from a table of this type."""
    base = base_of(kind)
    if value is None:
        return None
    if base == "binary" and isinstance(value, bytes):
        # The log leaves out the zeros at its end.
        return value.ljust(int(kind.partition("(")[2].rstrip(")") or 1), b"\0")
    if base == "year" and value == _NO_YEAR:
        return 0
    if base == "timestamp" and isinstance(value, datetime):
        return "0000-00-00 00:00:00" if value == _ZERO_MOMENT else value + _AHEAD
    if base == "float":
        # The log has the nearest fraction of two, the driver the six digits that the server shows.
        return float(f"{value:.6g}")
    if base == "bit":
        return int(str(value), 2).to_bytes((len(str(value)) + 7) // 8, "big")
    if base == "set" and isinstance(value, set | frozenset):
        return ",".join(one for one in members(kind) if one in value)
    return value


def _kind(text: str) -> str:
    # Members keep their letters.
    return text if text.lower().startswith(("set(", "enum(")) else text.lower()


def members(kind: str) -> Sequence[str]:
    """Return the values of an enumeration or a set in their order."""
    return [one.replace("''", "'") for one in _MEMBER.findall(kind)]
