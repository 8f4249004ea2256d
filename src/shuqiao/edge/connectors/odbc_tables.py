"""The structure and content figures of a table that an ODBC driver reaches; the figures are counted here."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

from shuqiao.edge.connectors import SourceError, Unreadable
from shuqiao.edge.connectors.blocking import TIMEOUT_S
from shuqiao.edge.connectors.figures import SAMPLE_ROWS, figures_of, rough
from shuqiao.edge.connectors.odbc import FAULTS, Column, described, dialect_of, fault_of, quoted
from shuqiao.edge.connectors.odbc_process import Reader, StatementFailed, connection_string
from shuqiao.wire.tables import MAX_COLUMNS, VERSION, ColumnDescription, ColumnProfile, TableDescription


class OdbcTables:
    """Describes tables of one database."""

    def __init__(self, url: str) -> None:
        """Read the connection string; nothing is opened before the first question."""
        self._to = connection_string(url)

    async def describe(self, table: str, *, profile: bool = True) -> TableDescription:
        """Return the structure of a table, with figures of its content if asked."""
        try:
            return await asyncio.to_thread(self._described, table, profile)
        except FAULTS as error:
            raise fault_of(error) from None

    def _described(self, table: str, profile: bool) -> TableDescription:
        with closing(Reader(self._to, int(TIMEOUT_S))) as reader:
            found = described(reader, table)
            if not found:
                raise SourceError(f"the source has no table {table!r} that the node may see")
            if len(found) > MAX_COLUMNS:
                raise SourceError(f"the table has {len(found)} columns; 1 to {MAX_COLUMNS} can be described")
            schema, _, name = table.rpartition(".")
            keys = reader.keys(name, schema)
            place = ".".join(quoted(part) for part in table.split("."))
            [(count,)] = reader.rows(f"SELECT COUNT(*) FROM {place}")
            columns = tuple(
                _column(one, keys, _profile(reader, place, one) if profile else None) for one in found
            )
            return TableDescription(VERSION, reader.database.lower(), schema, name, "", rough(count), columns)


def _column(column: Column, keys: list[str], profile: ColumnProfile | None) -> ColumnDescription:
    has_length = column.letter in ("C", "N") and column.size is not None and column.size > 0
    return ColumnDescription(
        name=column.name,
        type=column.shown[:200],
        data_type=column.letter,
        length=column.size if has_length else None,
        scale=column.places if column.letter == "N" else None,
        required=column.required,
        key=column.name in keys,
        unique=keys == [column.name],
        profile=profile,
    )


def _profile(reader: Reader, place: str, column: Column) -> ColumnProfile | None:
    """Look at one column of the first rows the database gives."""
    tail = dialect_of(reader.database).limit.format(SAMPLE_ROWS)
    order = "ORDER BY (SELECT NULL) " if tail.startswith("OFFSET") else ""
    sql = f"SELECT {quoted(column.name)} FROM {place} {order}{tail}"
    try:
        return figures_of([_text(value) for (value,) in reader.rows(sql, limit=SAMPLE_ROWS)])
    except StatementFailed:
        # A value can't be read: the structure is worth telling without figures.
        return None


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, bytes | Unreadable) else str(value)
