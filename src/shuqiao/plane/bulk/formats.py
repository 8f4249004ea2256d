"""Writing the parts of a copy: Arrow, Parquet, CSV or a workbook, each part a file complete in itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from pyarrow import csv, ipc, parquet

from shuqiao.plane.bulk.content_keys import ContentKey
from shuqiao.rules import bulk
from shuqiao.security.at_rest import EncryptedFile
from shuqiao.security.replacing import flush_folder
from shuqiao.wire.bulk import Digest, ManifestPart

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class CellTooLarge(Exception):
    """A value that no cell of a workbook holds; a library would leave it out without a word."""


class Writer(Protocol):
    """What writes tables into one file."""

    def write(self, table: pa.Table) -> None:
        """Add rows."""

    def close(self) -> None:
        """End the format; the file itself stays open."""


class _Arrow:
    """Arrow's stream format."""

    def __init__(self, sink: EncryptedFile, schema: pa.Schema) -> None:
        self._writer = ipc.new_stream(sink, schema)

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()


class _Parquet:
    """Parquet with zstandard; a group of rows is what was read at once."""

    def __init__(self, sink: EncryptedFile, schema: pa.Schema) -> None:
        self._writer = parquet.ParquetWriter(sink, schema, compression="zstd", compression_level=1)

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()


class _Csv:
    """CSV (RFC 4180) in UTF-8 with a byte order mark; no text begins a formula."""

    def __init__(self, sink: EncryptedFile, schema: pa.Schema) -> None:
        sink.write(_BYTE_ORDER_MARK)
        self._writer = csv.CSVWriter(sink, schema)

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(
            pa.table([without_formulas(column) for column in table.columns], schema=table.schema)
        )

    def close(self) -> None:
        self._writer.close()


class _Workbook:
    """A workbook made in memory, since it may lie on no disk in clear; every cell is text."""

    def __init__(self, sink: EncryptedFile, schema: pa.Schema) -> None:
        options = {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self._book = xlsxwriter.Workbook(sink_of(sink), options)
        self._sheet = self._book.add_worksheet()
        self._row = 1
        for column, name in enumerate(schema.names):
            self._sheet.write_string(0, column, name)

    def write(self, table: pa.Table) -> None:
        for column, values in enumerate(table.columns):
            for row, value in enumerate(values.to_pylist(), self._row):
                if value is None:
                    continue
                text = str(value)
                if len(text) > bulk.XLSX_CELL_CHARS:
                    raise CellTooLarge
                self._sheet.write_string(row, column, text)
        self._row += table.num_rows

    def close(self) -> None:
        self._book.close()


class _OneWay:
    """Lets a ZIP file be written into what can't be sought in."""

    def __init__(self, sink: EncryptedFile) -> None:
        self.write = sink.write

    def flush(self) -> None:
        """Everything is handed on at once."""


def sink_of(sink: EncryptedFile) -> Any:
    """Give a file as a ZIP writer wants it: one that only goes on."""
    return _OneWay(sink)


_WRITERS: dict[str, Callable[[EncryptedFile, pa.Schema], Writer]] = {
    bulk.ARROW: _Arrow,
    bulk.PARQUET: _Parquet,
    bulk.CSV: _Csv,
    bulk.XLSX: _Workbook,
}


def without_formulas(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Put an apostrophe before each text that a program for tables could take for a formula."""
    if not pa.types.is_string(column.type):
        return column
    risky = pc.match_substring_regex(column, bulk.FORMULA_PATTERN)
    if not pc.any(risky).as_py():
        return column
    return pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)


@dataclass
class Parts:
    """Writes the rows of a copy into parts of bounded length; nothing of it is readable on the disk.

    What was begun and not ended is removed by whoever cleans up.
    """

    folder: Path
    form: str
    schema: pa.Schema
    key: ContentKey
    digest: Digest = "sha-256"
    part_rows: int = bulk.PART_ROWS
    done: list[ManifestPart] = field(default_factory=list)
    rows: int = 0
    _file: EncryptedFile | None = None
    _writer: Writer | None = None
    _rows: int = 0

    def write(self, table: pa.Table) -> None:
        """Add rows, ending a part where it is full."""
        begin = 0
        while begin < table.num_rows:
            if self._writer is None:
                self._begin()
            taken = min(table.num_rows - begin, self.part_rows - self._rows)
            self._write(table.slice(begin, taken))
            begin += taken
            if self._rows >= self.part_rows:
                self._end()

    def close(self) -> tuple[ManifestPart, ...]:
        """End the last part; a copy without rows has one part that says so. All of it is durable then."""
        if self._writer is None and not self.done:
            self._begin()
        if self._writer is not None:
            self._end()
        flush_folder(self.folder)
        return tuple(self.done)

    def discard(self) -> None:
        """Leave no file half written open."""
        if self._file is not None:
            self._file.discard()

    def _begin(self) -> None:
        number = len(self.done) + 1
        self._file = EncryptedFile(
            self.folder / self._name(number),
            self.key.key,
            number,
            self.key.context,
            self.digest,
            salt=self.key.salt,
        )
        self._writer = _WRITERS[self.form](self._file, self.schema)
        self._rows = 0

    def _write(self, table: pa.Table) -> None:
        if self._writer is not None:
            self._writer.write(table)
            self._rows += table.num_rows
            self.rows += table.num_rows

    def _end(self) -> None:
        if self._writer is None or self._file is None:
            return
        self._writer.close()
        self._file.close()
        number = len(self.done) + 1
        size, digest = self._file.size_bytes, self._file.digest
        self.done.append(ManifestPart(number, self._name(number), self._rows, size, digest))
        self._writer = self._file = None

    def _name(self, number: int) -> str:
        return f"part-{number:05d}.{bulk.suffix(self.form)}"
