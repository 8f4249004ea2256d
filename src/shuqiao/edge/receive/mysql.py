"""A MySQL or MariaDB target: staged in a temporary table, rows that are there changed, the others added.

INSERT … ON DUPLICATE KEY UPDATE is not used: a row that meets another row by another unique column would
change that one without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import pyarrow as pa
import pymysql

from shuqiao.edge.connectors.diagnosis import what_failed
from shuqiao.edge.receive.sessions import (
    CONSTRAINT_BROKEN,
    KEY_CONFLICT,
    ROW_REFUSED,
    STAGE,
    VALUE_UNFIT,
    Kind,
    RowFault,
    TargetError,
    TargetFull,
    rows_of,
)
from shuqiao.edge.words import Words

TIMEOUT_S = 1800
"""How long one statement may take: the first part of a large list is many rows."""

_ZONE = ZoneInfo("Asia/Shanghai")
_FAULTS = (pymysql.MySQLError, OSError)
_TYPES: Mapping[Kind, str] = {
    "text": "longtext",
    "date": "date",
    "moment": "datetime(6)",
    "bytes": "longblob",
}
_MODE = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
_CONSTRAINTS = (1048, 1216, 1217, 1364, 1451, 1452, 3819, 4025)
_LOOKED_UP = 190
_DISK_FULL = (1021, 1114)
_VALUES = (1264, 1265, 1292, 1366, 1406, 1411, 1416, 1690, 3140, 3141, 22007)
_COLUMNS = """
SELECT COLUMN_NAME, CONCAT(DATA_TYPE, ' ', COALESCE(COLLATION_NAME, '')) FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s"""
_UNIQUE = """
SELECT COUNT(*) FROM (SELECT INDEX_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s AND NON_UNIQUE = 0
GROUP BY INDEX_NAME HAVING COUNT(*) = 1 AND MAX(COLUMN_NAME) = %s AND MAX(SUB_PART) IS NULL) u"""


def connect(url: str) -> MysqlSession:
    """Connect to `mysql://user:password@host:port/database`; `?unix_socket=PATH` and `?ssl_ca=FILE` count."""
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    try:
        return MysqlSession(
            pymysql.connect(
                host=parts.hostname or "localhost",
                port=parts.port or 3306,
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                database=unquote(parts.path.lstrip("/")) or None,
                unix_socket=options.get("unix_socket"),
                ssl={"ca": options["ssl_ca"]} if "ssl_ca" in options else None,
                charset="utf8mb4",
                connect_timeout=10,
                read_timeout=TIMEOUT_S,
                write_timeout=TIMEOUT_S,
                autocommit=True,
                # An update tells rows it has found, also where they were so before.
                client_flag=pymysql.constants.CLIENT.FOUND_ROWS,
            )
        )
    except _FAULTS as error:
        raise _fault(error) from None


class MysqlSession:
    """One connection in strict mode, whose zone is this country's."""

    texts: Mapping[str, str] = {
        "text": "longtext",
        "number": "bigint",
        "lock": " FOR UPDATE",
        "begin": "BEGIN",
        "now": "NOW(6)",
    }

    def __init__(self, link: pymysql.connections.Connection) -> None:
        """Set what a statement means here."""
        self._link = link
        self._key_type = "varchar(64)"
        self.run("SET SESSION sql_mode = %s, time_zone = '+08:00', innodb_lock_wait_timeout = 50", [_MODE])

    def mark(self, _place: int) -> str:
        """In the order of the values."""
        return "%s"

    def quoted(self, name: str) -> str:
        """Each part in its quotes; a percent sign would be taken for a place."""
        return ".".join("`" + part.replace("`", "``").replace("%", "%%") + "`" for part in name.split("."))

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that gives rows."""
        try:
            with self._link.cursor() as cursor:
                cursor.execute(sql, tuple(values))
                return list(cursor.fetchall())
        except _FAULTS as error:
            raise _fault(error) from None

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement."""
        try:
            with self._link.cursor() as cursor:
                return max(0, int(cursor.execute(sql, tuple(values))))
        except _FAULTS as error:
            raise _fault(error) from None

    def columns(self, table: str) -> dict[str, str]:
        """Types, each with its collation after a space."""
        schema, _, name = table.rpartition(".")
        return dict(self.rows(_COLUMNS, [schema or None, name]))

    def is_unique(self, table: str, column: str) -> bool:
        """Tell whether an index alone on the column is unique; the stage's key compares alike."""
        schema, _, name = table.rpartition(".")
        kind, _, collation = self.columns(table).get(column, "").partition(" ")
        self._key_type = f"varchar(700) COLLATE {collation}" if collation else "varchar(64)"
        if kind not in ("char", "varchar"):
            return False
        return bool(self.rows(_UNIQUE, [schema or None, name, column])[0][0])

    def make_stage(self, kinds: Sequence[Kind], key: int | None) -> None:
        """Make a temporary table whose key can be looked up."""
        types = [self._key_type if place == key else _TYPES[kind] for place, kind in enumerate(kinds)]
        columns = "".join(f", c{place} {kind}" for place, kind in enumerate(types))
        own = self._key_type if key is None else "varchar(64)"
        # Before 5.7 MySQL has no longer keys than 767 bytes.
        looked_up = f"_key({_LOOKED_UP})" if own.startswith("varchar(700)") else "_key"
        self.run(f"DROP TEMPORARY TABLE IF EXISTS {STAGE}")
        self.run(
            f"CREATE TEMPORARY TABLE {STAGE} (_n bigint PRIMARY KEY, _key {own}, _op varchar(8){columns},"
            f" KEY ({looked_up})) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC"
        )

    def load(self, columns: int, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put rows in, many in each statement."""
        marks = ", ".join(["%s"] * (columns + 3))
        try:
            with self._link.cursor() as cursor:
                written = [tuple(_written(value) for value in row) for row in rows]
                cursor.executemany(f"INSERT INTO {STAGE} VALUES ({marks})", written)
        except _FAULTS as error:
            raise _fault(error) from None

    def load_batch(self, batch: pa.RecordBatch) -> None:
        """Put it in row by row."""
        self.load(batch.num_columns - 3, rows_of(batch))

    def fitted(self, staged: str, _kind: Kind, _column_type: str) -> str:
        """In strict mode the server refuses what doesn't fit."""
        return staged

    def is_unfit(self, _batch: pa.RecordBatch) -> pa.Array | None:
        """Everything can be staged."""
        return None

    def delete_matching(self, table: str, key: str, staged: str, where: str) -> str:
        """Join with the stage."""
        return f"DELETE t FROM {table} t JOIN {STAGE} s ON t.{key} = {staged} WHERE {where}"

    def update_matching(
        self, table: str, assigned: Mapping[str, str], on: tuple[str, str], where: str
    ) -> str:
        """Join with the stage."""
        sets = ", ".join(f"t.{column} = {value}" for column, value in assigned.items())
        return f"UPDATE {table} t JOIN {STAGE} s ON t.{on[0]} = {on[1]} SET {sets} WHERE {where}"

    def upserts(self, table: str, values: Mapping[str, str], key: str, where: str) -> list[str]:
        """Change what is there, then add what is not."""
        others = {column: value for column, value in values.items() if column != key}
        added = (
            f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {STAGE} s"
            f" LEFT JOIN {table} t ON t.{key} = {values[key]} WHERE {where} AND t.{key} IS NULL"
        )
        changed = self.update_matching(table, others, (key, values[key]), where)
        return [changed, added] if others else [added]

    def close(self) -> None:
        """Let go."""
        self._link.close()


def _written(value: Any) -> Any:
    return value.astimezone(_ZONE).replace(tzinfo=None) if isinstance(value, datetime) else value


def _fault(error: BaseException) -> Exception:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if number == 1062:
        return RowFault(KEY_CONFLICT, str(number))
    if number in _CONSTRAINTS:
        return RowFault(CONSTRAINT_BROKEN, str(number))
    if number in _VALUES or isinstance(error, pymysql.DataError):
        return RowFault(VALUE_UNFIT, str(number))
    if number == 1644:
        return RowFault(ROW_REFUSED, str(number))
    if number in _DISK_FULL:
        return TargetFull(f"the target database: {type(error).__name__} {number}")
    told = what_failed(error)
    return TargetError(Words(f"目标数据库：{told.zh}", f"the target database: {told.en}"))
