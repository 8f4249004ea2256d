"""Reading dBASE, FoxPro and Visual FoxPro tables (`.dbf`), record by record with flat memory.

Texts are in the encoding the department names, else in that of the file's code page, else GB 18030. Numbers
keep every digit. Deleted records are left out. Memo fields lie in a second file and aren't read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, BinaryIO

from shuqiao.edge.connectors import Unreadable
from shuqiao.rules.errors import DateImpossible, ItemType, TextUnreadable

_HEADER = struct.Struct("<B3xIHH17xB2x")
_FIELD = struct.Struct("<11sc4xBBB13x")
_END_OF_FIELDS = b"\r"
_DELETED, _STANDING = b"*", b" "
_END_OF_FILE = b"\x1a"
_VISUAL = (0x30, 0x31, 0x32)
_NULLABLE = 0x02
_SYSTEM = 0x01
_JULIAN_DAY_OF_ORDINAL_0 = 1_721_425

_CODE_PAGES: Mapping[int, str] = {
    0x01: "cp437",
    0x02: "cp850",
    0x03: "cp1252",
    0x13: "cp932",
    0x4D: "gb18030",
    0x4E: "cp949",
    0x4F: "cp950",
    0x57: "cp1252",
    0x78: "cp950",
    0x79: "cp949",
    0x7A: "gb18030",
    0x7B: "cp932",
}
"""Encodings by the byte in the header; GB 18030 reads all that GBK (code page 936) writes."""

MEMO, UNKNOWN = "memo", "unknown"
"""Kinds of fields whose values aren't read."""

_KINDS: Mapping[str, str] = {"C": "char", "N": "numeric", "F": "numeric", "D": "date", "L": "logical"}
_VISUAL_KINDS: Mapping[str, str] = {"I": "integer", "B": "double", "Y": "currency", "T": "datetime"}
_WIDTHS: Mapping[str, int] = {
    "date": 8,
    "logical": 1,
    "integer": 4,
    "double": 8,
    "currency": 8,
    "datetime": 8,
}


@dataclass(frozen=True)
class Field:
    """A field of the table: what it holds, where it stands in a record, and its bit among the nulls."""

    name: str
    kind: str
    start: int
    width: int
    places: int
    null_bit: int | None = None

    @property
    def type(self) -> str:
        """Return the type with its sizes, such as `numeric(10,2)`."""
        if self.kind == "numeric":
            return f"numeric({self.width},{self.places})"
        return f"char({self.width})" if self.kind == "char" else self.kind


@dataclass(frozen=True)
class Table:
    """What the header says."""

    fields: tuple[Field, ...]
    encoding: str
    records: int
    record_bytes: int
    nulls: Field | None = None


def open_table(file: BinaryIO, encoding: str = "") -> Table:
    """Read the header and leave the file at the first record; raises ValueError where it is no such file."""
    start = file.read(_HEADER.size)
    if len(start) < _HEADER.size:
        raise ValueError("the header is cut off")
    version, records, header_bytes, record_bytes, code_page = _HEADER.unpack(start)
    text = encoding or _CODE_PAGES.get(code_page, "gb18030")
    fields: list[Field] = []
    nulls: Field | None = None
    place, bits = 1, 0
    while (mark := file.read(1)) != _END_OF_FIELDS:
        raw = mark + file.read(_FIELD.size - 1)
        if len(raw) < _FIELD.size or file.tell() > header_bytes:
            raise ValueError("the header is cut off")
        name, letter, width, places, flags = _FIELD.unpack(raw)
        kind = _kind(letter.decode("latin-1"), version)
        if kind == "char" and version not in _VISUAL:
            # Clipper and FoxPro write the length of a long text over both bytes.
            width, places = width + 256 * places, 0
        one = Field(name.partition(b"\0")[0].decode(text).strip(), kind, place, width, places)
        place += width
        if letter == b"0" and flags & _SYSTEM:
            nulls = one
            continue
        if version in _VISUAL and flags & _NULLABLE:
            one, bits = Field(one.name, kind, one.start, width, places, bits), bits + 1
        fields.append(one)
    if place != record_bytes or any(one.width != _WIDTHS.get(one.kind, one.width) for one in fields):
        raise ValueError("the fields don't fill the record")
    file.seek(header_bytes)
    return Table(tuple(fields), text, records, record_bytes, nulls)


def _kind(letter: str, version: int) -> str:
    if letter in ("M", "G", "P") or (letter == "B" and version not in _VISUAL):
        return MEMO
    return _KINDS.get(letter) or (_VISUAL_KINDS.get(letter, UNKNOWN) if version in _VISUAL else UNKNOWN)


def read_dbf(path: Path, encoding: str = "") -> Iterator[Sequence[Any]]:
    """Give the names of the fields, their types, then the values of each record that isn't deleted."""
    with path.open("rb") as file:
        table = open_table(file, encoding)
        yield [one.name for one in table.fields]
        yield [one.type for one in table.fields]
        readers = [(one, _READERS.get(one.kind, _unread)) for one in table.fields]
        for number in range(table.records):
            record = file.read(table.record_bytes)
            if len(record) < table.record_bytes or record[:1] not in (_STANDING, _DELETED):
                raise ValueError(f"record {number + 1} of {table.records} is cut off")
            if record[:1] == _DELETED:
                continue
            yield [_value(record, one, read, table) for one, read in readers]
        if file.read(1) not in (b"", _END_OF_FILE):
            raise ValueError("it holds more records than its header says")


Read = Callable[[bytes, Field, str], Any]


def _value(record: bytes, field: Field, read: Read, table: Table) -> Any:
    if field.null_bit is not None and table.nulls is not None:
        place, bit = divmod(field.null_bit, 8)
        if place < table.nulls.width and record[table.nulls.start + place] >> bit & 1:
            return None
    return read(record[field.start : field.start + field.width], field, table.encoding)


def _char(raw: bytes, _field: Field, encoding: str) -> Any:
    try:
        return raw.rstrip(b" \0").decode(encoding) or None
    except UnicodeDecodeError:
        return Unreadable(TextUnreadable.code)


def _numeric(raw: bytes, _field: Field, _encoding: str) -> Any:
    """Return the digits as they stand; stars are what a program writes where a number doesn't fit."""
    text = raw.strip(b" \0")
    if not text:
        return None
    try:
        number = Decimal(text.decode("ascii"))
    except (InvalidOperation, UnicodeDecodeError):
        return Unreadable(ItemType.code)
    return number if number.is_finite() else Unreadable(ItemType.code)


def _date(raw: bytes, _field: Field, _encoding: str) -> Any:
    if not raw.strip(b" \0"):
        return None
    try:
        if not raw.isdigit():
            raise ValueError
        return date(int(raw[:4]), int(raw[4:6]), int(raw[6:]))
    except ValueError:
        return Unreadable(DateImpossible.code)


def _logical(raw: bytes, _field: Field, _encoding: str) -> Any:
    if raw in (b" ", b"?", b"\0"):
        return None
    return raw in b"TtYy" if raw in b"TtYyFfNn" else Unreadable(ItemType.code)


def _integer(raw: bytes, _field: Field, _encoding: str) -> Any:
    return struct.unpack("<i", raw)[0]


def _double(raw: bytes, _field: Field, _encoding: str) -> Any:
    return struct.unpack("<d", raw)[0]


def _currency(raw: bytes, _field: Field, _encoding: str) -> Any:
    return Decimal(struct.unpack("<q", raw)[0]).scaleb(-4)


def _datetime(raw: bytes, _field: Field, _encoding: str) -> Any:
    day, thousandths = struct.unpack("<ii", raw)
    if day == 0 or not raw.strip(b" "):
        return None
    try:
        start = datetime.combine(date.fromordinal(day - _JULIAN_DAY_OF_ORDINAL_0), datetime.min.time())
        return start + timedelta(milliseconds=thousandths)
    except (ValueError, OverflowError):
        return Unreadable(DateImpossible.code)


def _unread(_raw: bytes, _field: Field, _encoding: str) -> Any:
    return Unreadable(ItemType.code)


_READERS: Mapping[str, Read] = {
    "char": _char,
    "numeric": _numeric,
    "date": _date,
    "logical": _logical,
    "integer": _integer,
    "double": _double,
    "currency": _currency,
    "datetime": _datetime,
}
