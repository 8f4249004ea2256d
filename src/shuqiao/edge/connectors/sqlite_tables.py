"""The structure and content figures of a table in an SQLite file, counted in the database."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from typing import Any

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.checking import no_table
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.connectors.figures import SAMPLE_ROWS, profile_of, rough
from shuqiao.edge.connectors.sqlite import FAULTS, connect, quoted
from shuqiao.wire.tables import (
    MAX_COLUMNS,
    PATTERNS,
    VERSION,
    ColumnDescription,
    ColumnProfile,
    TableDescription,
)

_SIZES = re.compile(r"\((\d+)(?:\s*,\s*(\d+))?\)")
_LETTERS = (
    ("datetime", "T"),
    ("timestamp", "T"),
    ("date", "D"),
    ("bool", "L"),
    ("int", "I"),
    ("dec", "N"),
    ("num", "N"),
    ("real", "B"),
    ("doub", "B"),
    ("floa", "B"),
    ("char", "C"),
    ("text", "M"),
    ("clob", "M"),
    ("blob", "G"),
)
"""The catalogue's letter by a part of the declared type, the first that is found."""


class SqliteTables:
    """Describes tables of one file."""

    def __init__(self, url: str) -> None:
        """Remember the URL; nothing is opened before the first question."""
        self._url = url

    async def describe(self, table: str, *, profile: bool = True) -> TableDescription:
        """Return the structure of a table, with figures of its content if asked."""
        try:
            return await asyncio.to_thread(self._described, table, profile)
        except FAULTS as error:
            raise diagnose(error) from None

    def _described(self, table: str, profile: bool) -> TableDescription:
        with closing(connect(self._url)) as link:
            found = link.execute(
                'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?)', (table,)
            ).fetchall()
            if not found:
                raise SourceError(no_table(table))
            if len(found) > MAX_COLUMNS:
                raise SourceError(f"the table has {len(found)} columns; 1 to {MAX_COLUMNS} can be described")
            link.create_function("matches", 2, _matches, deterministic=True)
            unique, refers = _unique(link, table), _refers(link, table)
            count = link.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()[0]
            columns = tuple(
                _column(row, unique, refers, _profile(link, table, row[0]) if profile else None)
                for row in found
            )
            return TableDescription(VERSION, "sqlite", "", table, "", rough(count), columns)


def _column(
    row: tuple[str, str, int, int], unique: set[str], refers: dict[str, str], profile: ColumnProfile | None
) -> ColumnDescription:
    name, kind, required, key = row
    sizes = _SIZES.search(kind)
    return ColumnDescription(
        name=name,
        type=kind[:200],
        data_type=next((letter for word, letter in _LETTERS if word in kind.lower()), "C"),
        length=int(sizes[1]) if sizes else None,
        scale=int(sizes[2]) if sizes and sizes[2] else None,
        required=bool(required or key),
        key=bool(key),
        unique=name in unique,
        refers_to=refers.get(name, ""),
        profile=profile,
    )


def _unique(link: sqlite3.Connection, table: str) -> set[str]:
    """Columns that are unique by themselves, the key of whole numbers among them, which has no index."""
    sql = (
        "SELECT max(c.name) FROM pragma_index_list(?) l JOIN pragma_index_info(l.name) c"
        ' WHERE l."unique" = 1 AND l.partial = 0 GROUP BY l.name HAVING count(*) = 1'
    )
    alone = link.execute("SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0", (table,)).fetchall()
    keys = {name for (name,) in alone} if len(alone) == 1 else set()
    return keys | {name for (name,) in link.execute(sql, (table,))}


def _refers(link: sqlite3.Connection, table: str) -> dict[str, str]:
    sql = 'SELECT "from", "table" || coalesce(\'.\' || "to", \'\') FROM pragma_foreign_key_list(?)'
    return dict(link.execute(sql, (table,)).fetchall())


def _profile(link: sqlite3.Connection, table: str, name: str) -> ColumnProfile | None:
    """Count one column over the first rows the file gives."""
    matching = ", ".join(["coalesce(sum(matches(?, v)), 0)"] * len(PATTERNS))
    sql = (
        f"SELECT count(*), count(v), count(DISTINCT v), coalesce(max(length(v)), 0), {matching}"
        f" FROM (SELECT substr(CAST({quoted(name)} AS TEXT), 1, 4000) AS v"
        f" FROM {quoted(table)} LIMIT {SAMPLE_ROWS})"
    )
    rows, filled, distinct, longest, *counts = link.execute(sql, tuple(PATTERNS.values())).fetchone()
    return profile_of(rows, filled, distinct, longest, counts)


def _matches(pattern: str, value: Any) -> int | None:
    return None if value is None else int(re.search(pattern, value) is not None)
