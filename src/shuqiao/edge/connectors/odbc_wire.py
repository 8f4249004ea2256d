"""What node and ODBC reader say to each other over the reader's pipes: a length, then MessagePack.

A driver's code runs in the reader alone, so what comes back is read as strictly as what comes over a network.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal

import msgspec

from shuqiao.edge.connectors import Unreadable

MAX_FRAME = 1024**3
LENGTH = struct.Struct("!Q")

Do = Literal["columns", "keys", "rows"]


class Connect(msgspec.Struct, frozen=True):
    """The first word: how to connect, and the seconds a statement may take."""

    to: str
    timeout_s: int


class Ask(msgspec.Struct, frozen=True):
    """One question: columns or primary key of a table, or the first rows of one statement that reads."""

    do: Do
    table: str = ""
    schema: str = ""
    sql: str = ""
    arguments: tuple[Any, ...] = ()
    limit: int = 0


class Told(msgspec.Struct, frozen=True):
    """The answer: rows, or the class and SQLSTATE of what went wrong; never the driver's own text."""

    rows: list[tuple[Any, ...]] = []
    fault: str = ""
    state: str = ""


_DECIMAL, _DATE, _DATETIME, _TIME, _UNREADABLE = range(1, 6)
_OUT: dict[type, tuple[int, Callable[[Any], str]]] = {
    Decimal: (_DECIMAL, str),
    date: (_DATE, date.isoformat),
    datetime: (_DATETIME, datetime.isoformat),
    time: (_TIME, time.isoformat),
    Unreadable: (_UNREADABLE, lambda value: value.code),
}
_IN: dict[int, Callable[[str], Any]] = {
    _DECIMAL: Decimal,
    _DATE: date.fromisoformat,
    _DATETIME: datetime.fromisoformat,
    _TIME: time.fromisoformat,
    _UNREADABLE: Unreadable,
}


def pack(value: Any) -> Any:
    """Return a value such that its type isn't lost; what MessagePack has no word for becomes a text."""
    kind = type(value)
    if value is None or kind in (str, int, float, bytes, bool):
        return value if kind is not int or abs(value) < 2**63 else pack(Decimal(value))
    if kind in _OUT:
        code, write = _OUT[kind]
        return msgspec.msgpack.Ext(code, write(value).encode())
    return bytes(value) if isinstance(value, bytearray | memoryview) else str(value)


def _unpack(code: int, data: memoryview) -> Any:
    return _IN[code](bytes(data).decode())


encode = msgspec.msgpack.Encoder().encode
decode_connect = msgspec.msgpack.Decoder(Connect).decode
decode_ask = msgspec.msgpack.Decoder(Ask, ext_hook=_unpack).decode
decode_told = msgspec.msgpack.Decoder(Told, ext_hook=_unpack).decode
