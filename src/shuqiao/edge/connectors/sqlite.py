"""Rows of a table in an SQLite file, page by page in order of their key.

SQLite gives no column a type of its own. The time of a change may be a text SQLite reads as one, with or
without a zone, or a number of seconds since 1970. Whether a text without a zone is local time can't be seen,
so the clock is UTC: east of Greenwich that reads some rows again, which are known as sent, and misses none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from shuqiao.edge.connectors import MOST_OF_A_CELL, SourceRow, Unreadable
from shuqiao.edge.connectors.blocking import BlockingSource, Driver
from shuqiao.edge.connectors.checking import check_columns
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.mapping import TableMapping
from shuqiao.rules.errors import TextUnreadable

FAULTS = (sqlite3.Error, OSError)
_SORTABLE = "'%Y-%m-%d %H:%M:%f000'"


@dataclass(frozen=True)
class _Columns:
    """SQL pieces of one mapping."""

    table: str
    select: str
    key: str
    changed: str
    key_place: str = "?"
    weight: str = ""


def connect(url: str) -> sqlite3.Connection:
    """Open the file of `sqlite:///path/of/the/file.db` for reading only."""
    # A second slash, as other programs write it, would be read as the name of a machine.
    path = Path("/" + unquote(urlsplit(url).path).lstrip("/"))
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10, check_same_thread=False)


@dataclass(frozen=True)
class _Session:
    """A read-only connection."""

    link: sqlite3.Connection

    def rows(self, sql: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; where a text is none, once more with a look at each."""
        try:
            return self.link.execute(sql, tuple(arguments)).fetchall()
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
                raise
        self.link.text_factory = _text_of
        try:
            return self.link.execute(sql, tuple(arguments)).fetchall()
        finally:
            self.link.text_factory = str

    def close(self) -> None:
        """Give the connection back."""
        self.link.close()


class SqliteSource(BlockingSource[_Session, _Columns]):
    """Reads one file over a few read-only connections."""

    def __init__(self, url: str, connections: int = 2) -> None:
        """Remember the URL; nothing is opened before the first read."""
        super().__init__(Driver("?", quoted, FAULTS, diagnose), lambda: _Session(connect(url)), connections)

    async def clock(self, mapping: TableMapping) -> str:
        """Return the time now, UTC, once the table is as the mapping says."""
        await self._describe(mapping)
        rows = await self._use(lambda session: session.rows(f"SELECT strftime({_SORTABLE}, 'now')"))
        return str(rows[0][0])

    async def read_all(self, mapping: TableMapping, after: str | None, limit: int) -> list[SourceRow]:
        """Return one page in key order."""
        c = await self._describe(mapping)
        where = f"WHERE {c.key} IS NOT NULL" if after is None else f"WHERE {c.key} > ?"
        sql = f"SELECT {c.select} FROM {c.table} t {where} ORDER BY {c.key} LIMIT ?"
        return await self._page(sql, (limit,) if after is None else (after, limit))

    async def read_changed(
        self, mapping: TableMapping, since: str, after: SourceRow | None, limit: int
    ) -> list[SourceRow]:
        """Return one page in order of change and key."""
        c = await self._describe(mapping)
        where, arguments = f"{c.changed} >= ?", [since]
        if after is not None:
            where += f" AND ({c.changed}, {c.key}) > (?, ?)"
            arguments += [after.changed, after.key]
        sql = f"SELECT {c.select} FROM {c.table} t WHERE {where} ORDER BY {c.changed}, {c.key} LIMIT ?"
        return await self._page(sql, (*arguments, limit))

    async def columns(self, mapping: TableMapping) -> dict[str, str]:
        """Return the table's columns with their types."""
        sql = "SELECT name, lower(type) FROM pragma_table_xinfo(?)"
        found = await self._use(lambda session: session.rows(sql, (mapping.table,)))
        return {str(name): str(kind) for name, kind in found}

    async def _described(self, mapping: TableMapping) -> _Columns:
        types = await self.columns(mapping)
        # Numbers in a column without a type would not be compared as numbers with the key of the last page.
        check_columns(
            mapping,
            types,
            is_moment=lambda _: True,
            is_ordered=lambda kind: kind != "" and "blob" not in kind,
        )
        return _sql_pieces(mapping)


def _text_of(content: bytes) -> str | Unreadable:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return Unreadable(TextUnreadable.code)


def _bounded(column: str) -> str:
    """Return a column such that of a long value only the beginning comes, of the same type."""
    start = f"substr(CAST({column} AS BLOB), 1, {MOST_OF_A_CELL})"
    as_it_was = f"CASE typeof({column}) WHEN 'blob' THEN {start} ELSE CAST({start} AS TEXT) END"
    return f"CASE WHEN length(CAST({column} AS BLOB)) > {MOST_OF_A_CELL} THEN {as_it_was} ELSE {column} END"


def _sql_pieces(mapping: TableMapping) -> _Columns:
    key, changed = f"t.{quoted(mapping.key)}", f"t.{quoted(mapping.changed or mapping.key)}"
    moment = (
        f"CASE typeof({changed}) WHEN 'integer' THEN strftime({_SORTABLE}, {changed}, 'unixepoch')"
        f" WHEN 'real' THEN strftime({_SORTABLE}, {changed}, 'unixepoch')"
        f" ELSE strftime({_SORTABLE}, {changed}) END"
    )
    clock = moment if mapping.changed else "NULL"
    columns = (_bounded(f"t.{quoted(name)}") for name in mapping.source_columns())
    wanted = [f"CAST({key} AS TEXT)", clock, *columns]
    return _Columns(quoted(mapping.table), ", ".join(wanted), key, moment)


def quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
