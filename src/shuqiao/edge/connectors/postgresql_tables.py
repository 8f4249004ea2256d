"""The structure and content figures of a PostgreSQL table, computed in the database: no value leaves it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import asyncpg

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.checking import no_table
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.connectors.figures import SAMPLE_ROWS, profile_of, rough
from shuqiao.wire.outages import DATABASE_TROUBLES
from shuqiao.wire.tables import (
    MAX_COLUMNS,
    MAX_COMMENT,
    PATTERNS,
    VERSION,
    ColumnDescription,
    ColumnProfile,
    TableDescription,
)

_TIMEOUT_S = 60.0
_TYPED = re.compile(r"\((\d+)(?:,(\d+))?\)")

_DATA_TYPES = {
    "smallint": "I",
    "integer": "I",
    "bigint": "I",
    "numeric": "N",
    "money": "Y",
    "real": "F",
    "double precision": "B",
    "boolean": "L",
    "date": "D",
    "text": "M",
    "bytea": "G",
    "json": "M",
    "jsonb": "M",
    "xml": "M",
}

_TABLE = """
SELECT c.oid, n.nspname AS schema, c.relname AS name,
  coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
  greatest(c.reltuples, 0)::bigint AS rows
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1::text) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""

_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
  coalesce(col_description(a.attrelid, a.attnum), '') AS comment,
  EXISTS (SELECT FROM pg_index i
    WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY(i.indkey)) AS key,
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indpred IS NULL
    AND i.indkey::text = a.attnum::text) AS "unique",
  coalesce((SELECT f.confrelid::regclass::text || '.' || t.attname FROM pg_constraint f
    JOIN pg_attribute t ON t.attrelid = f.confrelid AND t.attnum = f.confkey[1]
    WHERE f.conrelid = a.attrelid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum] LIMIT 1), '')
    AS refers_to
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""


class PostgresqlTables:
    """Describes tables of one database over one read-only connection."""

    def __init__(self, url: str) -> None:
        """Remember the URL; nothing is opened before the first question."""
        self._url = url

    async def describe(self, table: str, *, profile: bool = True) -> TableDescription:
        """Return the structure of `table` or `schema.table`, with figures of its content if asked."""
        try:
            settings = {"default_transaction_read_only": "on", "application_name": "shuqiao-describe"}
            connection = await asyncpg.connect(
                self._url, timeout=10, command_timeout=_TIMEOUT_S, server_settings=settings
            )
            try:
                return await _describe(connection, table, profile=profile)
            finally:
                await connection.close(timeout=5)
        except DATABASE_TROUBLES as error:
            raise diagnose(error) from None


async def _describe(connection: asyncpg.Connection, table: str, *, profile: bool) -> TableDescription:
    found = await connection.fetchrow(_TABLE, _quoted(table))
    if found is None:
        raise SourceError(no_table(table))
    rows = await connection.fetch(_COLUMNS, found["oid"])
    if not 1 <= len(rows) <= MAX_COLUMNS:
        raise SourceError(f"the table has {len(rows)} columns; 1 to {MAX_COLUMNS} can be described")
    profiles: Sequence[ColumnProfile | None] = [None] * len(rows)
    if profile:
        place = f"{_quote(found['schema'])}.{_quote(found['name'])}"
        profiles = [await _profile(connection, place, row["name"]) for row in rows]
    return TableDescription(
        version=VERSION,
        database="postgresql",
        schema=found["schema"],
        table=found["name"],
        comment=found["comment"][:MAX_COMMENT],
        rows=rough(found["rows"]),
        columns=tuple(_column(row, figures) for row, figures in zip(rows, profiles, strict=True)),
    )


def _column(row: asyncpg.Record, profile: ColumnProfile | None) -> ColumnDescription:
    base = row["type"].partition("(")[0]
    sizes = _TYPED.search(row["type"])
    length = int(sizes.group(1)) if sizes and not base.startswith("time") else None
    return ColumnDescription(
        name=row["name"],
        type=row["type"][:200],
        data_type=_data_type(row["type"]),
        length=length,
        scale=int(sizes.group(2)) if sizes and sizes.group(2) and length is not None else None,
        required=row["required"],
        comment=row["comment"][:MAX_COMMENT],
        key=row["key"],
        unique=row["unique"],
        refers_to=row["refers_to"],
        profile=profile,
    )


def _data_type(type_name: str) -> str:
    """Return the catalogue's letter for a type; what is neither number, time nor long text is characters."""
    if type_name.startswith("timestamp"):
        return "T"
    base = type_name.partition("(")[0]
    return _DATA_TYPES.get(base, "C" if not type_name.endswith("[]") else "M")


async def _profile(connection: asyncpg.Connection, place: str, name: str) -> ColumnProfile | None:
    """Count one column over the first rows the database gives; None where it can't be read as text."""
    column = _quote(name)
    patterns = ", ".join(
        f"count(*) FILTER (WHERE v ~ ${number}) AS p{number}" for number in range(1, len(PATTERNS) + 1)
    )
    sql = (
        f"SELECT count(*) AS rows, count(v) AS filled, count(DISTINCT v) AS differ,"
        f" coalesce(max(length(v)), 0) AS longest, {patterns}"
        f" FROM (SELECT left({column}::text, 4000) AS v FROM {place} LIMIT {SAMPLE_ROWS}) sample"
    )
    try:
        found = await connection.fetchrow(sql, *PATTERNS.values())
    except asyncpg.InsufficientPrivilegeError:
        return None
    if found is None:
        return None
    matching = [found[f"p{number}"] for number in range(1, len(PATTERNS) + 1)]
    return profile_of(found["rows"], found["filled"], found["differ"], found["longest"], matching)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(table: str) -> str:
    return ".".join(_quote(part) for part in table.split("."))
