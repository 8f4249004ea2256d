"""The messages of PostgreSQL's output plugin `pgoutput`, protocol version 1: pure, and bounded by its input.

A message is outside data: whatever its bytes are, it is read or refused with MalformedMessage. Values come as
the texts of the server's output functions; `value_of` turns them into what connectors read elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

MAX_COLUMNS = 1664
"""More columns no relation and no target list of the server has."""

_INFINITE = {"infinity": date.max, "-infinity": date.min}


class MalformedMessage(ValueError):
    """The bytes are no message of pgoutput; the text quotes none of them."""


class Unchanged:
    """A large value that an update left as it was: the log doesn't repeat it."""


UNCHANGED: Final = Unchanged()

Tuple = tuple[bytes | Unchanged | None, ...]
"""One row's values in the order of its relation's columns."""


class Column(msgspec.Struct, frozen=True):
    """A column: `is_key` says that it is part of the replica identity, `type` is the type's number."""

    name: str
    is_key: bool
    type: int


class Relation(msgspec.Struct, frozen=True):
    """A table's columns in the changes that follow; sent before the first and when they are others."""

    number: int
    schema: str
    name: str
    columns: tuple[Column, ...]


class Begin(msgspec.Struct, frozen=True):
    """Changes of a transaction follow that was committed at `place`; its number is without the epoch."""

    place: int
    transaction: int


class Commit(msgspec.Struct, frozen=True):
    """The transaction's changes are complete; the log goes on at `end`."""

    end: int


class Insert(msgspec.Struct, frozen=True):
    """A row came."""

    relation: int
    new: Tuple


class Update(msgspec.Struct, frozen=True):
    """A row changed; `old` is there where its key changed, or always where the identity is the whole row.

    Where it `is_whole`, `old` has all values; else it has those of the key and nothing for the others.
    """

    relation: int
    old: Tuple | None
    is_whole: bool
    new: Tuple


class Delete(msgspec.Struct, frozen=True):
    """A row went; `old` has at least its key."""

    relation: int
    old: Tuple


class Truncate(msgspec.Struct, frozen=True):
    """Tables were emptied."""

    relations: tuple[int, ...]


Message = Relation | Begin | Commit | Insert | Update | Delete | Truncate


def parse_message(data: bytes) -> Message | None:
    """Read one message; None for those that say nothing about rows (types, origins, messages of others)."""
    if not data:
        raise MalformedMessage("an empty message")
    reader = _Reader(data)
    kind = reader.letter()
    if kind in "YOM":
        return None
    parse = _PARSE.get(kind)
    if parse is None:
        raise MalformedMessage("a message of an unknown kind")
    message = parse(reader)
    reader.end()
    return message


class _Reader:
    """Walks over the bytes of one message."""

    __slots__ = ("data", "place")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, count: int) -> bytes:
        end = self.place + count
        if count < 0 or end > len(self.data):
            raise MalformedMessage("a message that ends too early")
        part = self.data[self.place : end]
        self.place = end
        return part

    def number(self, form: struct.Struct) -> int:
        return int(form.unpack(self.take(form.size))[0])

    def letter(self) -> str:
        return self.take(1).decode("latin-1")

    def text(self) -> str:
        end = self.data.find(b"\0", self.place)
        if end < 0:
            raise MalformedMessage("a name without its end")
        part = self.data[self.place : end]
        self.place = end + 1
        return _decoded(part)

    def end(self) -> None:
        if self.place != len(self.data):
            raise MalformedMessage("a message with more than its content")

    def row(self) -> Tuple:
        return tuple(self._value() for _ in range(self.count()))

    def count(self) -> int:
        count = self.number(_INT16)
        if not 0 <= count <= MAX_COLUMNS:
            raise MalformedMessage("a message with too many columns")
        return count

    def _value(self) -> bytes | Unchanged | None:
        kind = self.letter()
        if kind == "t":
            return self.take(self.number(_INT32))
        if kind == "n":
            return None
        if kind == "u":
            return UNCHANGED
        raise MalformedMessage("a value of an unknown kind")


_INT8 = struct.Struct(">b")
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_UINT32 = struct.Struct(">I")
_UINT64 = struct.Struct(">Q")


def _begin(reader: _Reader) -> Begin:
    place = reader.number(_UINT64)
    reader.take(8)
    return Begin(place, reader.number(_UINT32))


def _commit(reader: _Reader) -> Commit:
    reader.take(9)
    end = reader.number(_UINT64)
    reader.take(8)
    return Commit(end)


def _relation(reader: _Reader) -> Relation:
    number = reader.number(_UINT32)
    schema, name = reader.text(), reader.text()
    reader.take(1)
    columns = tuple(_column(reader) for _ in range(reader.count()))
    return Relation(number, schema, name, columns)


def _column(reader: _Reader) -> Column:
    is_key = bool(reader.number(_INT8) & 1)
    name = reader.text()
    kind = reader.number(_UINT32)
    reader.take(4)
    return Column(name, is_key, kind)


def _insert(reader: _Reader) -> Insert:
    relation = reader.number(_UINT32)
    _expect(reader, "N")
    return Insert(relation, reader.row())


def _update(reader: _Reader) -> Update:
    relation = reader.number(_UINT32)
    old: Tuple | None = None
    kind = reader.letter()
    is_whole = kind == "O"
    if kind in "KO":
        old = reader.row()
        kind = reader.letter()
    if kind != "N":
        raise MalformedMessage("an update without its row")
    return Update(relation, old, is_whole, reader.row())


def _delete(reader: _Reader) -> Delete:
    relation = reader.number(_UINT32)
    _expect(reader, "KO")
    return Delete(relation, reader.row())


def _truncate(reader: _Reader) -> Truncate:
    count = reader.number(_UINT32)
    reader.take(1)
    if count * 4 != len(reader.data) - reader.place:
        raise MalformedMessage("a message that ends too early")
    return Truncate(tuple(reader.number(_UINT32) for _ in range(count)))


def _expect(reader: _Reader, kinds: str) -> None:
    if reader.letter() not in kinds:
        raise MalformedMessage("a change without its row")


_PARSE: dict[str, Callable[[_Reader], Message]] = {
    "B": _begin,
    "C": _commit,
    "R": _relation,
    "I": _insert,
    "U": _update,
    "D": _delete,
    "T": _truncate,
}


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedMessage("a text that is not UTF-8") from None


def value_of(kind: int, data: bytes | None) -> Any:
    """Return a value of a type (by its number) from its text, or the text where it has no other form.

    A date that Python can't hold stays a text: the item's own check refuses it. Dates without end become the
    first or last one, as the driver reads them elsewhere.
    """
    if data is None:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # A database that checks no encoding may hold anything; bytes are no text, says the item's own check.
        return data
    read = _VALUES.get(kind)
    if read is None:
        return text
    try:
        return read(text)
    except (ValueError, ArithmeticError):
        return text


def column_of(kind: int, column: Sequence[bytes | None]) -> list[Any]:
    """Return the values of a column, as `value_of` gives each."""
    read = _VALUES.get(kind, str)
    # Nearly always all can be read; where one can't, each is looked at.
    with suppress(ValueError, ArithmeticError):
        return [None if data is None else read(data.decode()) for data in column]
    return [value_of(kind, data) for data in column]


def _bool(text: str) -> bool:
    return text == "t"


def _date(text: str) -> date:
    return _INFINITE[text] if text in _INFINITE else date.fromisoformat(text)


def _moment(text: str) -> datetime | date:
    return _INFINITE[text] if text in _INFINITE else datetime.fromisoformat(text)


def _bytes(text: str) -> bytes:
    if not text.startswith("\\x"):
        raise ValueError
    return bytes.fromhex(text[2:])


_VALUES: dict[int, Callable[[str], Any]] = {
    16: _bool,
    17: _bytes,
    20: int,
    21: int,
    23: int,
    26: int,
    700: float,
    701: float,
    1082: _date,
    1114: _moment,
    1184: _moment,
    1700: Decimal,
}
"""Types that every server numbers alike; those of domains are asked for as what they are made of."""
