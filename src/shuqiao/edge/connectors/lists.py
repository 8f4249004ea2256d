"""Reading a list from a file: CSV, an Excel workbook, Parquet or DBF, row by row with flat memory.

The first row holds the names of the columns. Values come as texts, whole numbers, fractions or bytes; days
and times as ISO 8601. A cell that can't be taken over is `Unreadable` and its row goes on; a file that is
none of its kind is refused. No fault repeats what stands in a cell.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TextIO, TypeVar
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.compute as pc

from shuqiao.edge.connectors import SourceError, Unreadable
from shuqiao.edge.connectors.dbf import read_dbf
from shuqiao.edge.words import Words
from shuqiao.rules.errors import DateImpossible, ItemTooLong, ItemType, TextUnreadable

MAX_COLUMNS = 500
MAX_CELL = 256 * 1024
"""A longer cell is a fault of its row."""
MAX_FIELD = 64 * 1024 * 1024
"""A text file with a longer cell, or line, is none that can be read row by row."""
_MAX_STRINGS_BYTES = 512 * 1024 * 1024
"""A workbook's texts lie in one part of it, which is read as a whole."""
_MOST_DIGITS = 1_000
_BATCH, _BATCH_BYTES = 1_000, 64 * 1024 * 1024
_LOOK_BYTES = 1024 * 1024
_DELIMITERS = ",\t;|"
_ENCODINGS = ("utf-8-sig", "gb18030")
_ESCAPED = re.compile("[\udc80-\udcff]")
_BEYOND = bytes(range(128, 256))
_FEW = 0.1
"""Of the bytes beyond ASCII so many at most may be damaged, else the file is of another encoding."""
_ERROR_CELLS = frozenset(("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"))
"""What a workbook shows where a formula failed."""

Cell = str | int | float | bytes | Unreadable | None
Rows = Iterator[list[Cell]]
Reader = Callable[[Path, str], Iterator[Sequence[Any]]]
T = TypeVar("T")


class Listed(NamedTuple):
    """The columns of a list with their types, empty where the file has none, and the rows below."""

    columns: Mapping[str, str]
    rows: Rows


def read_list(path: Path, encoding: str = "", name: str = "") -> Listed:
    """Return columns and rows; raises SourceError, also while rows are read.

    `encoding` is of a DBF file's texts, empty for what the file says; `name` the file's where `path` isn't.
    """
    name = name or path.name
    suffix = Path(name).suffix.lower()
    reader = READERS.get(suffix)
    if reader is None:
        known = ", ".join(READERS)
        raise _wrong(name, f"清单须是{known}之一", f"a list is one of {known}")
    lines = told(name, reader(path, encoding))
    header = next(lines, None)
    types = next(lines, None) if suffix in _TYPED else None
    if header is None:
        raise _wrong(name, "文件是空的", "the file is empty")
    names = [str(one if one is not None else "").strip() for one in header]
    while names and not names[-1]:
        names.pop()
    if not 1 <= len(names) <= MAX_COLUMNS or not all(names):
        raise _wrong(
            name,
            f"第一行须写出全部列名，1至{MAX_COLUMNS}列",
            f"the first row must name 1 to {MAX_COLUMNS} columns, each one",
        )
    if len(set(names)) < len(names):
        raise _wrong(name, "有两列同名", "two columns have one name")
    columns = dict(zip(names, types or [""] * len(names), strict=True))
    return Listed(columns, _rows(name, lines, len(names)))


def _rows(name: str, lines: Iterator[Sequence[Any]], width: int) -> Rows:
    for number, line in enumerate(lines, 2):
        try:
            cells = [cell_of(value) for value in line]
        except ValueError:
            raise _wrong(
                name,
                f"第{number}行有单元格不是文本、数字或时间",
                f"row {number} has a cell that is no text, number or time",
            ) from None
        if all(cell is None or cell == "" for cell in cells):
            continue
        if any(cell not in (None, "") for cell in cells[width:]):
            raise _wrong(
                name,
                f"第{number}行的单元格多于第一行的列名",
                f"row {number} has more cells than the first one names",
            )
        yield [*cells[:width], *[None] * (width - len(cells))]


def told(name: str, lines: Iterator[T]) -> Iterator[T]:
    """Name the list, its last row that could be read, and the kind of a fault: a library may quote a cell.

    What libraries raise of a list that is damaged, or made to damage, is of any kind; none may end the node.
    """
    last = 0
    try:
        for line in lines:
            yield line
            last += 1
    except SourceError:
        raise
    except Exception as error:
        behind = Words(f"第{last}行之后", f" behind row {last}") if last else Words("", "")
        kind = type(error).__name__
        raise _wrong(
            name, f"{behind.zh}读不出来（{kind}）", f"it can't be read{behind.en} ({kind})"
        ) from None


def _wrong(name: str, zh: str, en: str) -> SourceError:
    return SourceError(Words(f"{name}：{zh}", f"{name}: {en}"))


def cell_of(value: Any) -> Cell:
    """Return a value as the node keeps it; raises ValueError where it is of no kind that a list holds."""
    if value is None or isinstance(value, Unreadable):
        return value
    if isinstance(value, str | bytes):
        return Unreadable(ItemTooLong.code) if len(value) > MAX_CELL else value
    if isinstance(value, float) and value.is_integer():
        # A spreadsheet keeps every number as a fraction.
        value = int(value)
    if isinstance(value, int):
        # What doesn't fit into 64 bits can't be kept as a number.
        return int(value) if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value
    if isinstance(value, Decimal):
        is_short = value.is_finite() and abs(value.adjusted()) < _MOST_DIGITS
        return cell_of(format(value, "f")) if is_short else Unreadable(ItemType.code)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    raise ValueError("a value of an unknown kind")


def _csv(path: Path, _encoding: str) -> Iterator[list[Any]]:
    encoding, is_damaged = _encoding_of(path)
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        first = file.readline(_LOOK_BYTES)
        delimiter = max(_DELIMITERS, key=first.count)
        file.seek(0)
        csv.field_size_limit(MAX_FIELD)
        for line in csv.reader(_lines(file), delimiter=delimiter, strict=True):
            yield [_mended(cell) for cell in line] if is_damaged else line


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(MAX_FIELD):
        if len(line) == MAX_FIELD:
            raise ValueError("a line is too long")
        yield line


def _mended(cell: str) -> Cell:
    return Unreadable(TextUnreadable.code) if _damaged(cell) else cell


def _damaged(text: str) -> int:
    """Count the bytes that were no text."""
    return 0 if text.isascii() else len(_ESCAPED.findall(text))


def _encoding_of(path: Path) -> tuple[str, bool]:
    """Return the encoding and whether single cells are damaged.

    The whole file decides: in its first lines there may be no Chinese. GB 18030 gives nearly any bytes some
    meaning, so a UTF-8 file with one broken letter must not be taken for it.
    """
    for encoding in _ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        damaged = beyond = 0
        with path.open("rb") as file:
            while True:
                piece = file.read(_LOOK_BYTES)
                text = decoder.decode(piece, final=not piece)
                damaged += _damaged(text)
                beyond += len(piece) - len(piece.translate(None, _BEYOND))
                if not piece:
                    break
        if damaged <= _FEW * beyond:
            return encoding, damaged > 0
    raise ValueError("neither UTF-8 nor GB 18030")


def _xlsx(path: Path, _encoding: str) -> Iterator[Sequence[Any]]:
    # A tenth of what a node imports, and few nodes read workbooks.
    from openpyxl import load_workbook

    with ZipFile(path) as parts:
        texts = [part for part in parts.infolist() if part.filename.lower().endswith("sharedstrings.xml")]
        if any(part.file_size > _MAX_STRINGS_BYTES for part in texts):
            raise ValueError("its texts unpack to more than can be held")
    # The library leaves a file open that it could not read.
    with path.open("rb") as file, closing(load_workbook(file, read_only=True, data_only=True)) as book:
        for line in book.worksheets[0].iter_rows(values_only=True):
            yield [
                Unreadable(ItemType.code) if isinstance(cell, str) and cell in _ERROR_CELLS else cell
                for cell in line
            ]


def _parquet(path: Path, _encoding: str) -> Iterator[Sequence[Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, figures = file.schema_arrow, file.metadata
        yield schema.names
        yield [str(kind) for kind in schema.types]
        unpacked = sum(figures.row_group(n).total_byte_size for n in range(figures.num_row_groups))
        fitting = _BATCH_BYTES * figures.num_rows // max(unpacked, 1)
        for batch in file.iter_batches(max(1, min(_BATCH, fitting))):
            yield from zip(*(_values(column) for column in batch.columns), strict=True)


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's times have six places.
        column = pc.cast(column, pa.timestamp("us", column.type.tz), safe=False)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return [_one(value) for value in column]


def _one(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return Unreadable(TextUnreadable.code)
    except (ValueError, OverflowError):
        return Unreadable(DateImpossible.code)


READERS: Mapping[str, Reader] = {
    ".csv": _csv,
    ".txt": _csv,
    ".xlsx": _xlsx,
    ".parquet": _parquet,
    ".dbf": read_dbf,
}
"""How a file is read, by its ending."""
_TYPED = (".parquet", ".dbf")
"""Of these the second line holds the types of the columns."""
