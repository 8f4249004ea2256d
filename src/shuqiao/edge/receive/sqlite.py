"""An SQLite target: one file, one writer, the same statements as PostgreSQL's where there are such."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import pyarrow as pa

from shuqiao.edge.connectors.diagnosis import what_failed
from shuqiao.edge.disk import is_full
from shuqiao.edge.receive.postgresql import upsert
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

BUSY_S = 30
_ZONE = ZoneInfo("Asia/Shanghai")
_UNFIT = "user-defined function raised exception"
_REASONS = {
    "SQLITE_CONSTRAINT_UNIQUE": KEY_CONFLICT,
    "SQLITE_CONSTRAINT_PRIMARYKEY": KEY_CONFLICT,
    "SQLITE_CONSTRAINT_DATATYPE": VALUE_UNFIT,
    "SQLITE_CONSTRAINT_TRIGGER": ROW_REFUSED,
    "SQLITE_TOOBIG": VALUE_UNFIT,
    "SQLITE_MISMATCH": VALUE_UNFIT,
}


def connect(url: str) -> SqliteSession:
    """Open the file of `sqlite:///path/of/the/file.db`, which must be there; raises `TargetError`."""
    return SqliteSession(Path(unquote(urlsplit(url).path)))


class SqliteSession:
    """One connection, in autocommit until a transaction is begun."""

    texts: Mapping[str, str] = {
        "text": "text",
        "number": "integer",
        "lock": "",
        # Whoever writes must know at once that it is the only one.
        "begin": "BEGIN IMMEDIATE",
        "now": "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    }

    def __init__(self, path: Path) -> None:
        """Open the file; one that isn't there is not made."""
        if not path.is_file():
            raise TargetError(
                Words(f"目标数据库：没有文件{path}", f"the target database: there is no file {path}")
            )
        self._link = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        self._link.execute("PRAGMA foreign_keys = ON")
        # What has a receipt must outlive a power cut; else the removal of the journal might not.
        self._link.execute("PRAGMA synchronous = EXTRA")
        self._link.create_function("shuqiao_integer", 1, _integer, deterministic=True)
        self._link.create_function("shuqiao_number", 1, _number, deterministic=True)

    def mark(self, place: int) -> str:
        """Counted."""
        return f"?{place}"

    def quoted(self, name: str) -> str:
        """The name in quotes."""
        return '"' + name.replace('"', '""') + '"'

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that gives rows."""
        try:
            return self._link.execute(sql, tuple(values)).fetchall()
        except (sqlite3.Error, OverflowError) as error:
            raise _fault(error) from None

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement."""
        try:
            return max(0, self._link.execute(sql, tuple(values)).rowcount)
        except (sqlite3.Error, OverflowError) as error:
            raise _fault(error) from None

    def columns(self, table: str) -> dict[str, str]:
        """Types in lower case; SQLite takes any word."""
        return dict(self.rows("SELECT name, lower(type) FROM pragma_table_xinfo(?1)", [table]))

    def is_unique(self, table: str, column: str) -> bool:
        """Tell whether a unique index, or the primary key, is on the column alone."""
        alone = self.rows(
            'SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1) l WHERE l."unique" AND NOT l.partial'
            " AND (SELECT group_concat(i.name) FROM pragma_index_info(l.name) i) = ?2)"
            " OR (SELECT group_concat(c.name) FROM pragma_table_xinfo(?1) c WHERE c.pk) = ?2",
            [table, column],
        )
        return bool(alone[0][0])

    def make_stage(self, kinds: Sequence[Kind], _key: int | None) -> None:
        """Make a temporary table; its columns take what is given."""
        columns = "".join(f", c{place}" for place in range(len(kinds)))
        self.run(f"DROP TABLE IF EXISTS temp.{STAGE}")
        self.run(f"CREATE TEMPORARY TABLE {STAGE} (_n INTEGER PRIMARY KEY, _key TEXT, _op TEXT{columns})")
        self.run(f"CREATE INDEX temp.shuqiao_stage_key ON {STAGE} (_key)")

    def load(self, columns: int, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put rows in; dates and times are texts of ISO 8601."""
        marks = ", ".join("?" * (columns + 3))
        written = [tuple(_written(value) for value in row) for row in rows]
        try:
            self._link.executemany(f"INSERT INTO {STAGE} VALUES ({marks})", written)
        except (sqlite3.Error, OverflowError) as error:
            raise _fault(error) from None

    def load_batch(self, batch: pa.RecordBatch) -> None:
        """Put it in row by row."""
        self.load(batch.num_columns - 3, rows_of(batch))

    def fitted(self, staged: str, kind: Kind, column_type: str) -> str:
        """What a column with numbers gets must be one: SQLite itself would keep any text."""
        if kind != "text":
            return staged
        if "int" in column_type:
            return f"shuqiao_integer({staged})"
        words = ("real", "floa", "doub", "num", "dec")
        return f"shuqiao_number({staged})" if any(word in column_type for word in words) else staged

    def is_unfit(self, _batch: pa.RecordBatch) -> pa.Array | None:
        """Everything can be staged."""
        return None

    def delete_matching(self, table: str, key: str, staged: str, where: str) -> str:
        """Look up in the stage."""
        return f"DELETE FROM {table} WHERE {key} IN (SELECT {staged} FROM {STAGE} s WHERE {where})"

    def update_matching(
        self, table: str, assigned: Mapping[str, str], on: tuple[str, str], where: str
    ) -> str:
        """Look up in the stage."""
        sets = ", ".join(f"{column} = {value}" for column, value in assigned.items())
        return f"UPDATE {table} SET {sets} WHERE {on[0]} IN (SELECT {on[1]} FROM {STAGE} s WHERE {where})"

    def upserts(self, table: str, values: Mapping[str, str], key: str, where: str) -> list[str]:
        """One statement, which needs a unique key."""
        return [upsert(table, values, key, where)]

    def close(self) -> None:
        """Let go."""
        self._link.close()


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(_ZONE).isoformat()
    return value.isoformat() if isinstance(value, date) else value


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)


def _number(value: Any) -> float | int | None:
    if value is None:
        return None
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError
    return int(value) if str(value).strip("-").isdecimal() else number


def _fault(error: Exception) -> Exception:
    name = getattr(error, "sqlite_errorname", "")
    if name in _REASONS:
        return RowFault(_REASONS[name], name)
    if name.startswith("SQLITE_CONSTRAINT"):
        return RowFault(CONSTRAINT_BROKEN, name)
    if isinstance(error, OverflowError) or _UNFIT in str(error):
        return RowFault(VALUE_UNFIT, "number")
    if is_full(error):
        return TargetFull(f"the target database: {name}")
    told = what_failed(error)
    return TargetError(Words(f"目标数据库：{told.zh}", f"the target database: {told.en}"))
