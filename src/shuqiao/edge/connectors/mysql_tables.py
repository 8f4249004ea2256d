"""The structure and content figures of a MySQL or MariaDB table, counted in the database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.checking import no_table
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.connectors.figures import SAMPLE_ROWS, profile_of, rough
from shuqiao.edge.connectors.mysql import FAULTS, Session, connect, quoted
from shuqiao.wire.tables import (
    MAX_COLUMNS,
    MAX_COMMENT,
    PATTERNS,
    VERSION,
    ColumnDescription,
    ColumnProfile,
    TableDescription,
)

_SIZES = re.compile(r"\((\d+)(?:,(\d+))?\)")
_DATA_TYPES = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), "I"),
    **dict.fromkeys(("decimal", "numeric"), "N"),
    **dict.fromkeys(("datetime", "timestamp"), "T"),
    **dict.fromkeys(("tinytext", "text", "mediumtext", "longtext", "json"), "M"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "G"),
    "float": "F",
    "double": "B",
    "bit": "L",
    "date": "D",
}

_TABLE = """
SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_COMMENT, COALESCE(TABLE_ROWS, 0) FROM information_schema.TABLES
WHERE TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s"""

_COLUMNS = """
SELECT c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE = 'NO', c.COLUMN_COMMENT, c.COLUMN_KEY = 'PRI',
  EXISTS (SELECT 1 FROM information_schema.STATISTICS s
    WHERE s.TABLE_SCHEMA = c.TABLE_SCHEMA AND s.TABLE_NAME = c.TABLE_NAME AND s.NON_UNIQUE = 0
    GROUP BY s.INDEX_NAME HAVING COUNT(*) = 1 AND MAX(s.COLUMN_NAME) = c.COLUMN_NAME),
  COALESCE((SELECT MAX(CONCAT(k.REFERENCED_TABLE_NAME, '.', k.REFERENCED_COLUMN_NAME))
    FROM information_schema.KEY_COLUMN_USAGE k
    WHERE k.TABLE_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME
      AND k.COLUMN_NAME = c.COLUMN_NAME AND k.REFERENCED_TABLE_NAME IS NOT NULL), '')
FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA = %s AND c.TABLE_NAME = %s
ORDER BY c.ORDINAL_POSITION"""

_HAN = "(E4B[89A-F][89AB][0-9A-F]|E[5-8][89AB][0-9A-F][89AB][0-9A-F]|E9[89AB][0-9A-F][89AB][0-9A-F])"
_HAN_BYTES = {"han_short": f"^({_HAN}|C2B7){{2,4}}$", "han_long": f"^([0-9A-F][0-9A-F])*{_HAN}"}
"""For MySQL before 8.0, which matches bytes: the same classes over the bytes of UTF-8, in hexadecimal."""


class MysqlTables:
    """Describes tables of one database over one read-only connection."""

    def __init__(self, url: str) -> None:
        """Remember the URL; nothing is opened before the first question."""
        self._url = url

    async def describe(self, table: str, *, profile: bool = True) -> TableDescription:
        """Return the structure of `table` or `schema.table`, with figures of its content if asked."""
        try:
            return await asyncio.to_thread(self._described, table, profile)
        except FAULTS as error:
            raise diagnose(error) from None

    def _described(self, table: str, profile: bool) -> TableDescription:
        session = connect(self._url)
        try:
            return _describe(session, table, profile)
        finally:
            session.close()


def _describe(session: Session, table: str, profile: bool) -> TableDescription:
    schema, _, name = table.rpartition(".")
    found = session.rows(_TABLE, (schema or None, name))
    if not found:
        raise SourceError(no_table(table))
    schema, name, comment, count = found[0]
    rows = session.rows(_COLUMNS, (schema, name))
    if not 1 <= len(rows) <= MAX_COLUMNS:
        raise SourceError(f"the table has {len(rows)} columns; 1 to {MAX_COLUMNS} can be described")
    place = f"{quoted(schema)}.{quoted(name)}"
    return TableDescription(
        version=VERSION,
        database="mysql",
        schema=schema,
        table=name,
        comment=comment[:MAX_COMMENT],
        rows=rough(int(count)),
        columns=tuple(_column(row, _profile(session, place, row[0]) if profile else None) for row in rows),
    )


def _column(row: Sequence[Any], profile: ColumnProfile | None) -> ColumnDescription:
    name, kind, required, comment, is_key, is_unique, refers_to = row
    base = kind.partition("(")[0].partition(" ")[0].lower()
    sizes = _SIZES.search(kind) if base in ("char", "varchar", "binary", "varbinary", "decimal") else None
    return ColumnDescription(
        name=name,
        type=kind[:200],
        data_type=_DATA_TYPES.get(base, "C"),
        length=int(sizes[1]) if sizes else None,
        scale=int(sizes[2]) if sizes and sizes[2] else None,
        required=bool(required),
        comment=comment[:MAX_COMMENT],
        key=bool(is_key),
        unique=bool(is_unique),
        refers_to=refers_to,
        profile=profile,
    )


def _profile(session: Session, place: str, name: str) -> ColumnProfile | None:
    """Count one column over the first rows the database gives."""
    by_bytes = _HAN_BYTES if _matches_bytes(session) else {}
    counted = [f"COALESCE(SUM({'HEX(v)' if name in by_bytes else 'v'} REGEXP %s), 0)" for name in PATTERNS]
    sql = (
        "SELECT COUNT(*), COUNT(v), COUNT(DISTINCT v), COALESCE(MAX(CHAR_LENGTH(v)), 0),"
        f" {', '.join(counted)} FROM (SELECT LEFT(CONVERT({quoted(name)} USING utf8mb4), 4000) AS v"
        f" FROM {place} LIMIT {SAMPLE_ROWS}) AS sample"
    )
    # MariaDB and MySQL from 8.0 both know a character by this form of its number.
    numbered = {one: re.sub(r"\\u([0-9a-f]{4})", r"\\x{\1}", pattern) for one, pattern in PATTERNS.items()}
    patterns = list((numbered | by_bytes).values())
    rows, filled, distinct, longest, *counts = (int(one) for one in session.rows(sql, patterns)[0])
    return profile_of(rows, filled, distinct, longest, counts)


def _matches_bytes(session: Session) -> bool:
    version = str(session.rows("SELECT VERSION()")[0][0])
    return "MariaDB" not in version and version.startswith("5.")
