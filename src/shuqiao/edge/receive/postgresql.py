"""A PostgreSQL target (version 10 or later): staged by binary COPY, applied by INSERT … ON CONFLICT."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import asyncpg
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

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
from shuqiao.wire.outages import DATABASE_TROUBLES

T = TypeVar("T")

CONNECT_S = 10
_TYPES: Mapping[Kind, str] = {"text": "text", "date": "date", "moment": "timestamptz", "bytes": "bytea"}
_DISK_FULL = "53100"
_SETTINGS = {
    "application_name": "shuqiao-receive",
    # Times without a zone are of this country.
    "timezone": "Asia/Shanghai",
    "datestyle": "ISO, YMD",
}
_COLUMNS = """
SELECT a.attname, CASE WHEN t.typcategory = 'S' THEN '' ELSE format_type(a.atttypid, NULL) END
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped"""
_UNIQUE = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = to_regclass($1::text) AND i.indisunique AND i.indimmediate AND i.indisvalid
  AND i.indnatts = 1 AND i.indpred IS NULL AND a.attname = $2)"""


def connect(url: str) -> PostgresqlSession:
    """Connect; raises `TargetError`."""
    return PostgresqlSession(url)


class PostgresqlSession:
    """One connection with an event loop of its own, so that whoever uses it may simply wait."""

    texts: Mapping[str, str] = {
        "text": "text",
        "number": "bigint",
        "lock": " FOR UPDATE",
        "begin": "BEGIN; SET CONSTRAINTS ALL IMMEDIATE",
        "now": "now()",
    }

    def __init__(self, url: str) -> None:
        """Connect."""
        self._runner = asyncio.Runner()
        self._staged: tuple[Kind, ...] | None = None
        try:
            self._link = self._wait(asyncpg.connect(url, timeout=CONNECT_S, server_settings=_SETTINGS))
        except BaseException:
            self._runner.close()
            raise

    def mark(self, place: int) -> str:
        """As PostgreSQL counts."""
        return f"${place}"

    def quoted(self, name: str) -> str:
        """Each part in quotes."""
        return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that gives rows."""
        return [tuple(row) for row in self._wait(self._link.fetch(sql, *values))]

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement."""
        done = self._wait(self._link.execute(sql, *values))
        last = str(done).rpartition(" ")[2]
        return int(last) if last.isdecimal() else 0

    def columns(self, table: str) -> dict[str, str]:
        """Types without their lengths, none for what text becomes by itself."""
        return dict(self.rows(_COLUMNS, [self.quoted(table)]))

    def is_unique(self, table: str, column: str) -> bool:
        """Tell whether an index alone on the column is unique."""
        return bool(self.rows(_UNIQUE, [self.quoted(table), column])[0][0])

    def make_stage(self, kinds: Sequence[Kind], _key: int | None) -> None:
        """Make a temporary table, which needs no log; it is made once, and emptied with each transaction."""
        if self._staged == tuple(kinds):
            return
        self._staged = tuple(kinds)
        columns = "".join(f", c{place} {_TYPES[kind]}" for place, kind in enumerate(kinds))
        self.run(f"DROP TABLE IF EXISTS pg_temp.{STAGE}")
        self.run(
            f"CREATE TEMPORARY TABLE {STAGE} (_n bigint PRIMARY KEY, _key text, _op text{columns})"
            " ON COMMIT DELETE ROWS"
        )

    def load(self, columns: int, rows: Sequence[tuple[Any, ...]]) -> None:
        """Copy in binary form."""
        names = ["_n", "_key", "_op", *(f"c{place}" for place in range(columns))]
        self._wait(self._link.copy_records_to_table(STAGE, records=rows, columns=names))

    def load_batch(self, batch: pa.RecordBatch) -> None:
        """Copy as CSV, which Arrow writes; it can't write bytes."""
        if any(pa.types.is_binary(kind) for kind in batch.schema.types):
            self.load(batch.num_columns - 3, rows_of(batch))
            return
        sink = pa.BufferOutputStream()
        csv.write_csv(batch, sink, csv.WriteOptions(include_header=False))
        source = io.BytesIO(sink.getvalue())
        self._wait(self._link.copy_to_table(STAGE, source=source, format="csv"))

    def fitted(self, staged: str, kind: Kind, column_type: str) -> str:
        """Cast text by itself; what is too long for a text column is refused and never cut."""
        return f"CAST({staged} AS {column_type})" if kind == "text" and column_type else staged

    def is_unfit(self, batch: pa.RecordBatch) -> pa.Array | None:
        """A text of this database holds no NUL."""
        found = None
        for column in batch.columns:
            if pa.types.is_string(column.type):
                has = pc.fill_null(pc.match_substring(column, "\0"), False)
                found = has if found is None else pc.or_(found, has)
        return found

    def delete_matching(self, table: str, key: str, staged: str, where: str) -> str:
        """Join with the stage."""
        return f"DELETE FROM {table} t USING {STAGE} s WHERE t.{key} = {staged} AND {where}"

    def update_matching(
        self, table: str, assigned: Mapping[str, str], on: tuple[str, str], where: str
    ) -> str:
        """Join with the stage."""
        sets = ", ".join(f"{column} = {value}" for column, value in assigned.items())
        return f"UPDATE {table} t SET {sets} FROM {STAGE} s WHERE t.{on[0]} = {on[1]} AND {where}"

    def upserts(self, table: str, values: Mapping[str, str], key: str, where: str) -> list[str]:
        """One statement, which needs a unique key."""
        return [upsert(table, values, key, where)]

    def close(self) -> None:
        """Let go."""
        self._link.terminate()
        self._runner.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        async def done() -> T:
            return await work

        try:
            return self._runner.run(done())
        except DATABASE_TROUBLES as error:
            raise _fault(error) from None


def upsert(table: str, values: Mapping[str, str], key: str, where: str) -> str:
    """INSERT … ON CONFLICT, which SQLite has from here."""
    others = [column for column in values if column != key]
    sets = ", ".join(f"{column} = excluded.{column}" for column in others)
    return (
        f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {STAGE} s"
        f" WHERE {where} ON CONFLICT ({key}) DO {'UPDATE SET ' + sets if others else 'NOTHING'}"
    )


def _fault(error: BaseException) -> Exception:
    """Tell a row's fault from the database's; neither says what the row holds."""
    state = getattr(error, "sqlstate", None) or ""
    named = getattr(error, "column_name", None) or getattr(error, "constraint_name", None) or state
    if state == "23505":
        return RowFault(KEY_CONFLICT, named)
    if state[:2] == "23":
        return RowFault(CONSTRAINT_BROKEN, named)
    if state[:2] == "22" or state == "21000":
        return RowFault(VALUE_UNFIT, named)
    if state == "P0001":
        return RowFault(ROW_REFUSED, named)
    if state == _DISK_FULL:
        return TargetFull(f"the target database: {type(error).__name__} {state}")
    told = what_failed(error)
    return TargetError(Words(f"目标数据库：{told.zh}", f"the target database: {told.en}"))
