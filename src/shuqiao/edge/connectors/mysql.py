"""Rows of a MySQL or MariaDB table, page by page in order of their key.

As with PostgreSQL each page is a statement of its own. A column of type TIMESTAMP is read in Chinese time,
which is what items without a zone mean; one of type DATETIME holds what the server's own clock shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql

from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.connectors.checking import CLOCK_FORMAT, check_columns, earlier
from shuqiao.edge.connectors.threads import Connections
from shuqiao.edge.mapping import TableMapping

TIMEOUT_S = 60
FAULTS = (pymysql.MySQLError, OSError)
T = TypeVar("T")

_ZONE = "+08:00"
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_TEXTS = ("char", "varchar")
_BYTES = ("binary", "varbinary")
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


def connect(url: str) -> Session:
    """Open a read-only connection to `mysql://user:password@host:port/database`.

    `?unix_socket=PATH` names a socket; `?ssl_ca=FILE` demands TLS with that authority.
    """
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    link = pymysql.connect(
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
    )
    session = Session(link, 0)
    offset_s = session.rows(_OFFSET)[0][0]
    session.rows("SET SESSION TRANSACTION READ ONLY")
    session.rows("SET SESSION time_zone = %s", (_ZONE,))
    return Session(link, offset_s)


class MysqlSource:
    """Reads one database over a few read-only connections."""

    def __init__(self, url: str, connections: int = 2) -> None:
        """Remember the URL; nothing is opened before the first read."""
        self._connections = Connections(lambda: connect(url), connections)
        self._known: dict[str, _Columns] = {}

    async def check(self, mapping: TableMapping) -> None:
        """Compare the mapping with the table."""
        await self._describe(mapping)

    async def clock(self, mapping: TableMapping) -> str:
        """Return the time now in Chinese time, or as the server's own clock has it for a DATETIME column."""
        columns = await self._describe(mapping)

        def read(session: Session) -> str:
            moment: datetime = session.rows("SELECT UTC_TIMESTAMP(6)")[0][0]
            ahead = 8 * 3600 if columns.is_zoned else session.offset_s
            return (moment + timedelta(seconds=ahead)).strftime(CLOCK_FORMAT)

        return await self._use(read)

    def earlier(self, clock: str, seconds: float) -> str:
        """Return the text of a time before `clock`."""
        return earlier(clock, seconds)

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

    async def read_one(
        self, mapping: TableMapping, column: str, values: Sequence[str], timeout_s: float
    ) -> SourceRow | None:
        """Return the one row by one statement; an index on the column makes it a quick one."""
        c = await self._describe(mapping)
        places = ", ".join(["%s"] * len(values))
        where = f"t.{_quote(column)} IN ({places})"
        sql = f"SELECT {c.select} FROM {c.table} t WHERE {where} ORDER BY {c.changed} DESC LIMIT 1"
        rows = await self._page(sql, values, timeout_s)
        return rows[0] if rows else None

    async def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    async def _describe(self, mapping: TableMapping) -> _Columns:
        known = self._known.get(mapping.resource)
        if known is not None:
            return known
        schema, _, name = mapping.table.rpartition(".")
        found = await self._use(lambda session: session.rows(_COLUMNS, (schema or None, name)))
        types = {str(row[0]): str(row[1]).lower() for row in found}
        check_columns(
            mapping,
            types,
            is_moment=lambda kind: kind.startswith(("timestamp", "datetime")),
            is_ordered=lambda kind: _base(kind) in (*_INTEGERS, *_TEXTS, *_BYTES, "decimal", "date"),
        )
        self._known[mapping.resource] = made = _sql_pieces(mapping, types)
        return made

    async def _page(
        self, sql: str, arguments: Sequence[Any], timeout_s: float = TIMEOUT_S
    ) -> list[SourceRow]:
        rows = await self._use(lambda session: session.rows(sql, arguments), timeout_s)
        return [SourceRow(row[0], row[1] or "", tuple(row[2:])) for row in rows]

    async def _use(self, work: Callable[[Session], T], timeout_s: float = TIMEOUT_S) -> T:
        try:
            return await asyncio.wait_for(self._connections.use(work), timeout_s)
        except (TimeoutError, *FAULTS) as error:
            # The table may have been altered, so the next read looks at its columns again.
            self._known.clear()
            raise fault_of(error) from None


def fault_of(error: Exception) -> SourceError:
    """Say what went wrong by class and number alone: the text of a database error may quote a row."""
    number = f" {error.args[0]}" if error.args and isinstance(error.args[0], int) else ""
    return SourceError(f"the source database: {type(error).__name__}{number}")


def _sql_pieces(mapping: TableMapping, types: dict[str, str]) -> _Columns:
    key, changed = f"t.{_quote(mapping.key)}", f"t.{_quote(mapping.changed)}"
    kind = types[mapping.key]
    shown, place = f"CAST({key} AS CHAR)", "%s"
    if _base(kind) in _INTEGERS:
        # As text a whole number would be compared as a fraction, which has too few digits.
        place = "CAST(%s AS UNSIGNED)" if "unsigned" in kind else "CAST(%s AS SIGNED)"
    elif _base(kind) in _BYTES:
        shown, place = f"HEX({key})", "UNHEX(%s)"
    elif _base(kind) == "decimal":
        place = f"CAST(%s AS DECIMAL{kind.removeprefix('decimal').split(' ')[0]})"
    clock = f"DATE_FORMAT({changed}, {_SORTABLE})"
    wanted = [shown, clock, *(f"t.{_quote(name)}" for name in mapping.source_columns())]
    return _Columns(
        table=_quoted(mapping.table),
        select=", ".join(wanted),
        key=key,
        key_place=place,
        changed=changed,
        is_zoned=types[mapping.changed].startswith("timestamp"),
    )


def _base(kind: str) -> str:
    """Return a type without its sizes and attributes."""
    return kind.partition("(")[0].partition(" ")[0]


def _quote(name: str) -> str:
    # A percent sign in a name would be taken for a place of a value.
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def _quoted(table: str) -> str:
    return ".".join(_quote(part) for part in table.split("."))
