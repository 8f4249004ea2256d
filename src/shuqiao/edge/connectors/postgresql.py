"""Rows of a PostgreSQL table (version 10 or later), page by page in order of their key.

There is no long transaction and no cursor: each page is a statement of its own, so a load of hours never
holds back the source's vacuum; rows that change behind the page are read as changes afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import psycopg

from shuqiao.edge.connectors import MOST_OF_A_CELL, WEIGHTS, RangeSum, SourceRow
from shuqiao.edge.connectors.checking import check_columns, earlier, key_of
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.connectors.postgresql_careful import fetch_carefully
from shuqiao.edge.mapping import TableMapping
from shuqiao.wire.outages import DATABASE_TROUBLES

_SQL_FORMAT = "'YYYY-MM-DD HH24:MI:SS.US'"
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class _Columns:
    """SQL pieces of one mapping, made from what the database's catalogue says about its columns."""

    table: str
    select: str
    key: str
    key_type: str
    changed: str
    zoned: bool
    types: Mapping[str, str]
    weight: str
    """What a row adds to the sum of its range; empty where the server makes no such sums."""

    def between(self, after: str | None, until: str | None, first: int) -> tuple[str, list[str]]:
        """Return the condition on keys, its parameters numbered from `first`, and their values."""
        bounds = [(">", after), ("<=", until)]
        arguments = [bound for _, bound in bounds if bound is not None]
        signs = [sign for sign, bound in bounds if bound is not None]
        parts = [f"{self.key} {sign} ${n}::text::{self.key_type}" for n, sign in enumerate(signs, first)]
        return " AND ".join([f"{self.key} IS NOT NULL", *parts]), arguments

    def among(self, column: str, parameter: str) -> str:
        """Return SQL that compares a column with texts such that an index on it serves."""
        kind, name = self.types[column], f"t.{_quote(column)}"
        if kind.startswith("character("):
            return f"{name} = ANY({parameter}::text[]::bpchar[])"
        if kind == "text" or kind.startswith("character varying"):
            return f"{name} = ANY({parameter}::text[])"
        return f"{name}::text = ANY({parameter}::text[])"

    def clock_of(self, expression: str) -> str:
        """Return SQL that writes a time of the changed column's type as sortable text."""
        plain = f"({expression} AT TIME ZONE 'UTC')" if self.zoned else f"({expression})"
        return f"to_char({plain}, {_SQL_FORMAT})"

    def time_of(self, parameter: str) -> str:
        """Return SQL that reads such a text back."""
        plain = f"{parameter}::text::timestamp"
        return f"({plain} AT TIME ZONE 'UTC')" if self.zoned else plain


class PostgresqlSource:
    """Reads one database over a small pool of connections in read-only transactions."""

    def __init__(self, url: str, connections: int = 2) -> None:
        """Remember the URL; nothing is opened before the first read."""
        self._url = url
        self._connections = connections
        self._pool: asyncpg.Pool | None = None
        self._columns: dict[tuple[str, tuple[str, ...]], _Columns] = {}
        self._opening = asyncio.Lock()

    async def check(self, mapping: TableMapping) -> None:
        """Compare the mapping with the table."""
        await self._describe(mapping)

    async def clock(self, mapping: TableMapping) -> str:
        """Return the server's time, or its local time where the column has no zone."""
        columns = await self._describe(mapping)
        now = "clock_timestamp()" if columns.zoned else "clock_timestamp()::timestamp"
        rows = await self._fetch(f"SELECT {columns.clock_of(now)} AS clock")
        return str(rows[0]["clock"])

    def earlier(self, clock: str, seconds: float) -> str:
        """Return the text of a time before `clock`."""
        return earlier(clock, seconds)

    async def read_all(self, mapping: TableMapping, after: str | None, limit: int) -> list[SourceRow]:
        """Return one page in key order."""
        c = await self._describe(mapping)
        where = "" if after is None else f"WHERE {c.key} > $2::text::{c.key_type} "
        arguments: list[Any] = [limit] if after is None else [limit, after]
        sql = f"SELECT {c.select} FROM {c.table} t {where}ORDER BY {c.key} LIMIT $1"
        return _rows(await self._fetch(sql, *arguments))

    async def read_changed(
        self, mapping: TableMapping, since: str, after: SourceRow | None, limit: int
    ) -> list[SourceRow]:
        """Return one page in order of change and key."""
        c = await self._describe(mapping)
        where = f"isfinite({c.changed}) AND {c.changed} >= {c.time_of('$2')}"
        arguments: list[Any] = [limit, since]
        if after is not None:
            where += f" AND ({c.changed}, {c.key}) > ({c.time_of('$3')}, $4::text::{c.key_type})"
            arguments += [after.changed, after.key]
        sql = f"SELECT {c.select} FROM {c.table} t WHERE {where} ORDER BY {c.changed}, {c.key} LIMIT $1"
        return _rows(await self._fetch(sql, *arguments))

    async def read_range(
        self, mapping: TableMapping, after: str | None, until: str | None, limit: int
    ) -> list[SourceRow]:
        """Return one page of a range in key order, each row with its weight."""
        c = await self._describe(mapping)
        where, arguments = c.between(after, until, 2)
        weight = c.weight or "NULL::bigint"
        sql = f"SELECT {c.select}, {weight} FROM {c.table} t WHERE {where} ORDER BY {c.key} LIMIT $1"
        found = await self._fetch(sql, limit, *arguments)
        return [_weighed(record) for record in found]

    async def checksum(self, mapping: TableMapping, after: str | None, until: str | None) -> RangeSum | None:
        """Return the sum the server makes of a range, None where it can't."""
        c = await self._describe(mapping)
        if not c.weight:
            return None
        where, arguments = c.between(after, until, 1)
        sql = f"SELECT count(*), coalesce(sum({c.weight}), 0) FROM {c.table} t WHERE {where}"
        rows = await self._fetch(sql, *arguments)
        return RangeSum(int(rows[0][0]), int(rows[0][1]) % WEIGHTS)

    async def read_one(
        self, mapping: TableMapping, column: str, values: Sequence[str], timeout_s: float
    ) -> SourceRow | None:
        """Return the one row by one statement; an index on the column makes it a quick one."""
        c = await self._describe(mapping)
        where = c.among(column, "$1")
        sql = f"SELECT {c.select} FROM {c.table} t WHERE {where} ORDER BY {c.changed} DESC NULLS LAST LIMIT 1"
        rows = _rows(await self._fetch(sql, list(values), timeout_s=timeout_s))
        return rows[0] if rows else None

    async def close(self) -> None:
        """Close the connections without waiting for a server that doesn't answer."""
        if self._pool is not None:
            self._pool.terminate()

    async def _describe(self, mapping: TableMapping) -> _Columns:
        place = (mapping.resource, mapping.source_columns())
        known = self._columns.get(place)
        if known is not None:
            return known
        rows = await self._table(mapping)
        types = {row["attname"]: row["type"] for row in rows}
        check_columns(mapping, types, is_moment=lambda kind: kind.startswith("timestamp"))
        weighs = any(row["weighs"] for row in rows)
        self._columns[place] = made = _sql_pieces(mapping, types, weighs=weighs)
        return made

    async def columns(self, mapping: TableMapping) -> Mapping[str, str]:
        """Return the table's columns with their types."""
        return {row["attname"]: row["type"] for row in await self._table(mapping)}

    async def _table(self, mapping: TableMapping) -> list[asyncpg.Record]:
        sql = (
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type,"
            " to_regprocedure('pg_catalog.hashtextextended(text, bigint)') IS NOT NULL AS weighs"
            " FROM pg_catalog.pg_attribute a"
            " WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped"
        )
        return await self._fetch(sql, _quoted(mapping.table))

    async def _fetch(self, sql: str, *arguments: Any, timeout_s: float = _TIMEOUT_S) -> list[Any]:
        try:
            pool = await self._opened()
            try:
                return await pool.fetch(sql, *arguments, timeout=timeout_s)
            except (ValueError, OverflowError, asyncpg.CharacterNotInRepertoireError):
                # A text that is none, or a day that Python's calendar hasn't: each value is looked at.
                return await fetch_carefully(self._url, sql, arguments, timeout_s)
        except (*DATABASE_TROUBLES, psycopg.Error) as error:
            # The table may have been altered, so the next read looks at its columns again.
            self._columns.clear()
            raise diagnose(error) from None

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                settings = {"default_transaction_read_only": "on", "application_name": "shuqiao-node"}
                self._pool = await asyncpg.create_pool(
                    self._url, min_size=0, max_size=self._connections, timeout=10, server_settings=settings
                )
            return self._pool


def _sql_pieces(mapping: TableMapping, types: dict[str, str], *, weighs: bool) -> _Columns:
    zoned = types.get(mapping.changed) == "timestamp with time zone"
    # With the table's alias a name can't be mistaken for an output column of the same name.
    key, changed = f"t.{_quote(mapping.key)}", f"t.{_quote(mapping.changed or mapping.key)}"
    columns = [_bounded(f"t.{_quote(name)}", types[name]) for name in mapping.source_columns()]
    weight = f"hashtextextended(ROW({', '.join([key, *columns])})::text, 0)" if weighs else ""
    bare = _Columns(_quoted(mapping.table), "", key, types[mapping.key], changed, zoned, types, weight)
    clock = bare.clock_of(changed) if mapping.changed else "NULL::text"
    return replace(bare, select=", ".join([f"{key}::text", clock, *columns]))


def _bounded(column: str, kind: str) -> str:
    """Return a column such that of a value too long for any item only the beginning comes."""
    if kind == "bytea":
        return f"substring({column} FROM 1 FOR {MOST_OF_A_CELL})"
    if kind in ("text", "character varying"):
        return f"left({column}, {MOST_OF_A_CELL})"
    return f"left({column}::text, {MOST_OF_A_CELL})" if kind in ("json", "jsonb", "xml") else column


def _weighed(record: Sequence[Any]) -> SourceRow:
    weight = None if record[-1] is None else record[-1] % WEIGHTS
    return SourceRow(key_of(record[0]), record[1] or "", tuple(record)[2:-1], weight=weight)


def _rows(records: Sequence[Sequence[Any]]) -> list[SourceRow]:
    return [SourceRow(key_of(record[0]), record[1] or "", tuple(record)[2:]) for record in records]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(table: str) -> str:
    return ".".join(_quote(part) for part in table.split("."))
