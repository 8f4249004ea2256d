"""Rows of a MySQL or MariaDB table, page by page in order of their key.

As with PostgreSQL each page is a statement of its own. A column of type TIMESTAMP is read in Chinese time,
which is what items without a zone mean; one of type DATETIME holds what the server's own clock shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql

from shuqiao.edge.connectors import MOST_OF_A_CELL, SourceRow
from shuqiao.edge.connectors.blocking import TIMEOUT_S, BlockingSource, Driver
from shuqiao.edge.connectors.checking import CLOCK_FORMAT, check_columns
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.mapping import TableMapping

FAULTS = (pymysql.MySQLError, OSError)

_ZONE = "+08:00"
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_TEXTS = ("char", "varchar")
_BYTES = ("binary", "varbinary")
_LONG = ("mediumtext", "longtext", "mediumblob", "longblob", "json")
_SORTABLE = "'%%Y-%%m-%%d %%H:%%i:%%s.%%f'"

# What the server's own clock shows must be asked before the connection gets a zone.
_OFFSET = "SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW())"
_COLUMNS = """
SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"""


@dataclass(frozen=True)
class Session:
    """A read-only connection; `offset_s` is how far the server's own clock is ahead of UTC."""

    link: pymysql.connections.Connection
    offset_s: int

    def rows(self, sql: str, arguments: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        """Run one statement."""
        with self.link.cursor() as cursor:
            cursor.execute(sql, tuple(arguments) or None)
            return cursor.fetchall()

    def close(self) -> None:
        """Give the connection back."""
        self.link.close()


@dataclass(frozen=True)
class _Columns:
    """SQL pieces of one mapping, made from what the server says about its columns."""

    table: str
    select: str
    key: str
    key_place: str
    changed: str
    is_zoned: bool
    weight: str


def connection_options(url: str) -> dict[str, Any]:
    """Return what the driver needs to connect to `mysql://user:password@host:port/database`.

    `?unix_socket=PATH` names a socket; `?ssl_ca=FILE` demands TLS with that authority.
    """
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return {
        "host": parts.hostname or "localhost",
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.lstrip("/")) or None,
        "unix_socket": options.get("unix_socket"),
        "ssl": {"ca": options["ssl_ca"]} if "ssl_ca" in options else None,
        "charset": "utf8mb4",
        "connect_timeout": 10,
        "read_timeout": TIMEOUT_S,
        "write_timeout": TIMEOUT_S,
        "autocommit": True,
    }


def connect(url: str) -> Session:
    """Open a read-only connection."""
    session = Session(pymysql.connect(**connection_options(url)), 0)
    try:
        offset_s = session.rows(_OFFSET)[0][0]
        session.rows("SET SESSION TRANSACTION READ ONLY")
        session.rows("SET SESSION time_zone = %s", (_ZONE,))
    except BaseException:
        session.close()
        raise
    return Session(session.link, offset_s)


class MysqlSource(BlockingSource[Session, _Columns]):
    """Reads one database over a few read-only connections."""

    def __init__(self, url: str, connections: int = 2) -> None:
        """Remember the URL; nothing is opened before the first read."""
        super().__init__(Driver("%s", quoted, FAULTS, diagnose), lambda: connect(url), connections)

    async def clock(self, mapping: TableMapping) -> str:
        """Return the time now in Chinese time, or as the server's own clock has it for a DATETIME column."""
        columns = await self._describe(mapping)

        def read(session: Session) -> str:
            moment: datetime = session.rows("SELECT UTC_TIMESTAMP(6)")[0][0]
            ahead = 8 * 3600 if columns.is_zoned else session.offset_s
            return (moment + timedelta(seconds=ahead)).strftime(CLOCK_FORMAT)

        return await self._use(read)

    async def read_all(self, mapping: TableMapping, after: str | None, limit: int) -> list[SourceRow]:
        """Return one page in key order."""
        c = await self._describe(mapping)
        where = "" if after is None else f"WHERE {c.key} > {c.key_place} "
        sql = f"SELECT {c.select} FROM {c.table} t {where}ORDER BY {c.key} LIMIT %s"
        return await self._page(sql, (limit,) if after is None else (after, limit))

    async def read_changed(
        self, mapping: TableMapping, since: str, after: SourceRow | None, limit: int
    ) -> list[SourceRow]:
        """Return one page in order of change and key."""
        c = await self._describe(mapping)
        where, arguments = f"{c.changed} >= %s", [since]
        if after is not None:
            # Written out, since an index doesn't serve a comparison of pairs here.
            where += f" AND ({c.changed} > %s OR ({c.changed} = %s AND {c.key} > {c.key_place}))"
            arguments += [after.changed, after.changed, after.key]
        sql = f"SELECT {c.select} FROM {c.table} t WHERE {where} ORDER BY {c.changed}, {c.key} LIMIT %s"
        return await self._page(sql, (*arguments, limit))

    async def columns(self, mapping: TableMapping) -> dict[str, str]:
        """Return the table's columns with their types."""
        schema, _, name = mapping.table.rpartition(".")
        found = await self._use(lambda session: session.rows(_COLUMNS, (schema or None, name)))
        return {str(row[0]): str(row[1]).lower() for row in found}

    async def _described(self, mapping: TableMapping) -> _Columns:
        types = await self.columns(mapping)
        check_columns(
            mapping,
            types,
            is_moment=lambda kind: kind.startswith(("timestamp", "datetime")),
            is_ordered=is_ordered,
        )
        return _sql_pieces(mapping, types)


def _sql_pieces(mapping: TableMapping, types: dict[str, str]) -> _Columns:
    key, changed = f"t.{quoted(mapping.key)}", f"t.{quoted(mapping.changed or mapping.key)}"
    shown, place = key_pieces(key, types[mapping.key])
    clock = f"DATE_FORMAT({changed}, {_SORTABLE})" if mapping.changed else "NULL"
    columns = [_bounded(f"t.{quoted(name)}", types[name]) for name in mapping.source_columns()]
    # Each value by itself, so that no row is too long for the whole and its weight silently nothing.
    digests = ", ".join(f"COALESCE(MD5(CAST({name} AS BINARY)), '-')" for name in (key, *columns))
    return _Columns(
        table=qualified(mapping.table),
        select=", ".join([shown, clock, *columns]),
        key=key,
        key_place=place,
        changed=changed,
        is_zoned=types.get(mapping.changed, "").startswith("timestamp"),
        weight=f"CAST(CONV(LEFT(MD5(CONCAT({digests})), 16), 16, 10) AS UNSIGNED)",
    )


def _bounded(column: str, kind: str) -> str:
    return f"LEFT({column}, {MOST_OF_A_CELL})" if base_of(kind) in _LONG else column


def key_pieces(key: str, kind: str) -> tuple[str, str]:
    """Return SQL that shows a key as text, and a place that reads such a text back."""
    if base_of(kind) in _INTEGERS:
        # As text a whole number would be compared as a fraction, which has too few digits.
        return f"CAST({key} AS CHAR)", f"CAST(%s AS {'UNSIGNED' if 'unsigned' in kind else 'SIGNED'})"
    if base_of(kind) in _BYTES:
        return f"HEX({key})", "UNHEX(%s)"
    if base_of(kind) == "decimal":
        size = kind.removeprefix("decimal").split(" ")[0]
        return f"CAST({key} AS CHAR)", f"CAST(%s AS DECIMAL{size})"
    return f"CAST({key} AS CHAR)", "%s"


def is_ordered(kind: str) -> bool:
    """Say whether rows can be paged by a key of this type."""
    return base_of(kind) in (*_INTEGERS, *_TEXTS, *_BYTES, "decimal", "date")


def base_of(kind: str) -> str:
    """Return a type without its sizes and attributes."""
    return kind.partition("(")[0].partition(" ")[0]


def quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    # A percent sign in a name would be taken for a place of a value.
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def qualified(table: str) -> str:
    return ".".join(quoted(part) for part in table.split("."))
