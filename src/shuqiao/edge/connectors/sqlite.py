"""Rows of a table in an SQLite file, page by page in order of their key.

SQLite gives no column a type of its own. The time of a change may be a text SQLite reads as one, with or
without a zone, or a number of seconds since 1970. Whether a text without a zone is local time can't be seen,
so the clock is UTC: east of Greenwich that reads some rows again, which are known as sent, and misses none.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.connectors.checking import check_columns, earlier
from shuqiao.edge.connectors.threads import Connections
from shuqiao.edge.mapping import TableMapping

T = TypeVar("T")
TIMEOUT_S = 60.0
FAULTS = (sqlite3.Error, OSError)
_SORTABLE = "'%Y-%m-%d %H:%M:%f000'"


@dataclass(frozen=True)
class _Columns:
    """SQL pieces of one mapping."""

    table: str
    select: str
    key: str
    changed: str


def connect(url: str) -> sqlite3.Connection:
    """Open the file of `sqlite:///path/of/the/file.db` for reading only."""
    path = Path(unquote(urlsplit(url).path))
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10, check_same_thread=False)


class SqliteSource:
    """Reads one file over a few read-only connections."""

    def __init__(self, url: str, connections: int = 2) -> None:
        """Remember the URL; nothing is opened before the first read."""
        self._connections = Connections(lambda: connect(url), connections)
        self._known: dict[str, _Columns] = {}

    async def check(self, mapping: TableMapping) -> None:
        """Compare the mapping with the table."""
        await self._describe(mapping)

    async def clock(self, mapping: TableMapping) -> str:
        """Return the time now, UTC, once the table is as the mapping says."""
        await self._describe(mapping)
        rows = await self._use(lambda one: one.execute(f"SELECT strftime({_SORTABLE}, 'now')").fetchall())
        return str(rows[0][0])

    def earlier(self, clock: str, seconds: float) -> str:
        """Return the text of a time before `clock`."""
        return earlier(clock, seconds)

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

    async def read_one(
        self, mapping: TableMapping, column: str, values: Sequence[str], timeout_s: float
    ) -> SourceRow | None:
        """Return the one row by one statement; an index on the column makes it a quick one."""
        c = await self._describe(mapping)
        places = ", ".join("?" * len(values))
        where = f"t.{quoted(column)} IN ({places})"
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
        sql = "SELECT name, lower(type) FROM pragma_table_xinfo(?)"
        found = await self._use(lambda one: one.execute(sql, (mapping.table,)).fetchall())
        types: dict[str, str] = dict(found)
        # Numbers in a column without a type would not be compared as numbers with the key of the last page.
        check_columns(
            mapping,
            types,
            is_moment=lambda _: True,
            is_ordered=lambda kind: kind != "" and "blob" not in kind,
        )
        self._known[mapping.resource] = made = _sql_pieces(mapping)
        return made

    async def _page(
        self, sql: str, arguments: Sequence[Any], timeout_s: float = TIMEOUT_S
    ) -> list[SourceRow]:
        rows = await self._use(lambda one: one.execute(sql, tuple(arguments)).fetchall(), timeout_s)
        return [SourceRow(row[0], row[1] or "", tuple(row[2:])) for row in rows]

    async def _use(self, work: Callable[[sqlite3.Connection], T], timeout_s: float = TIMEOUT_S) -> T:
        try:
            return await asyncio.wait_for(self._connections.use(work), timeout_s)
        except (TimeoutError, *FAULTS) as error:
            self._known.clear()
            raise fault_of(error) from None


def fault_of(error: Exception) -> SourceError:
    """Say what went wrong by its name alone: the text of a database error may quote a row."""
    return SourceError(f"the source database: {getattr(error, 'sqlite_errorname', type(error).__name__)}")


def _sql_pieces(mapping: TableMapping) -> _Columns:
    key, changed = f"t.{quoted(mapping.key)}", f"t.{quoted(mapping.changed)}"
    moment = (
        f"CASE typeof({changed}) WHEN 'integer' THEN strftime({_SORTABLE}, {changed}, 'unixepoch')"
        f" WHEN 'real' THEN strftime({_SORTABLE}, {changed}, 'unixepoch')"
        f" ELSE strftime({_SORTABLE}, {changed}) END"
    )
    wanted = [f"CAST({key} AS TEXT)", moment, *(f"t.{quoted(name)}" for name in mapping.source_columns())]
    return _Columns(quoted(mapping.table), ", ".join(wanted), key, moment)


def quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
