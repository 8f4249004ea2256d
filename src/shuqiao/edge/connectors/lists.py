"""Reading a list from a file: CSV, an Excel workbook, or Parquet, row by row with flat memory.

The first row holds the names of the columns. Values come as texts, whole numbers, fractions or bytes; days
and times as ISO 8601. No fault repeats what stands in a cell.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from shuqiao.edge.connectors import SourceError

MAX_COLUMNS = 500
MAX_CELL = 256 * 1024
_BATCH = 1_000
_LOOK_BYTES = 1024 * 1024
_DELIMITERS = ",\t;|"
_ENCODINGS = ("utf-8-sig", "gb18030")

Cell = str | int | float | bytes | None
Rows = Iterator[list[Cell]]
Reader = Callable[[Path], Iterator[Sequence[Any]]]


def read_list(path: Path) -> tuple[list[str], Rows]:
    """Return the names of the columns and the rows below; raises SourceError, also while rows are read."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise SourceError(f"{path.name}: a list is one of {', '.join(READERS)}")
    lines = _told(path, reader(path))
    header = next(lines, None)
    if header is None:
        raise SourceError(f"{path.name}: the file is empty")
    names = [str(name if name is not None else "").strip() for name in header]
    while names and not names[-1]:
        names.pop()
    if not 1 <= len(names) <= MAX_COLUMNS or not all(names):
        raise SourceError(f"{path.name}: the first row must name 1 to {MAX_COLUMNS} columns, each one")
    if len(set(names)) < len(names):
        raise SourceError(f"{path.name}: two columns have one name")
    return names, _rows(path, lines, len(names))


def _rows(path: Path, lines: Iterator[Sequence[Any]], width: int) -> Rows:
    for number, line in enumerate(lines, 2):
        try:
            cells = [_cell(value) for value in line]
        except ValueError:
            raise SourceError(
                f"{path.name}: row {number} has a cell that is no text, number or time"
            ) from None
        if all(cell is None or cell == "" for cell in cells):
            continue
        if any(cell not in (None, "") for cell in cells[width:]):
            raise SourceError(f"{path.name}: row {number} has more cells than the first one names")
        if any(isinstance(cell, str | bytes) and len(cell) > MAX_CELL for cell in cells):
            raise SourceError(f"{path.name}: row {number} has a cell of more than {MAX_CELL} characters")
        yield [*cells[:width], *[None] * (width - len(cells))]


def _told(path: Path, lines: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Name the file, and the kind of a fault alone: what a library says may quote a cell."""
    try:
        yield from lines
    except (
        OSError,
        ValueError,
        KeyError,
        csv.Error,
        BadZipFile,
        InvalidFileException,
        pa.ArrowException,
    ) as error:
        raise SourceError(f"{path.name}: it can't be read ({type(error).__name__})") from None


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str | bytes):
        return value
    if isinstance(value, float) and value.is_integer():
        # A spreadsheet keeps every number as a fraction.
        value = int(value)
    if isinstance(value, int):
        # What doesn't fit into 64 bits can't be kept as a number.
        return int(value) if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    raise ValueError("a value of an unknown kind")


def _csv(path: Path) -> Iterator[list[str]]:
    encoding = _encoding(path)
    with path.open(encoding=encoding, newline="") as file:
        first = file.readline(_LOOK_BYTES)
        delimiter = max(_DELIMITERS, key=first.count)
        file.seek(0)
        csv.field_size_limit(MAX_CELL)
        yield from csv.reader(file, delimiter=delimiter, strict=True)


def _encoding(path: Path) -> str:
    """The whole file decides: in its first lines there may be no Chinese."""
    for encoding in _ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as file:
                while piece := file.read(_LOOK_BYTES):
                    decoder.decode(piece)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise ValueError("neither UTF-8 nor GB 18030")


def _xlsx(path: Path) -> Iterator[tuple[Any, ...]]:
    with closing(load_workbook(path, read_only=True, data_only=True)) as book:
        yield from book.worksheets[0].iter_rows(values_only=True)


def _parquet(path: Path) -> Iterator[Sequence[Any]]:
    with pq.ParquetFile(path) as file:
        yield file.schema_arrow.names
        for batch in file.iter_batches(_BATCH):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


READERS: Mapping[str, Reader] = {".csv": _csv, ".txt": _csv, ".xlsx": _xlsx, ".parquet": _parquet}
"""How a file is read, by its ending."""
