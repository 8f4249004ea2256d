"""The process that a driver of ODBC runs in: `python -m shuqiao.edge.connectors.odbc_reader`.

It answers one question after the other and ends with its input. A driver that crashes, hangs or eats memory
takes this process with it and nothing else: the node starts another and asks the same again.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from typing import Any, BinaryIO

import pyodbc

from shuqiao.edge.connectors import Unreadable
from shuqiao.edge.connectors.odbc_wire import (
    LENGTH,
    Ask,
    Told,
    decode_ask,
    decode_connect,
    encode,
    pack,
)
from shuqiao.rules.errors import ItemTooLong

MAX_CELL = 256 * 1024
_MEMORY_BYTES = 4 * 1024**3
_CONNECT_S = 10


def main() -> int:
    """Connect as the first message says, then answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    first = next(_messages(given), None)
    if first is None:
        return 0
    wanted = decode_connect(first)
    try:
        link = pyodbc.connect(wanted.to, autocommit=True, timeout=_CONNECT_S, readonly=True)
        with suppress(pyodbc.Error):
            # A driver that can't end its statements is ended itself by the node.
            link.timeout = wanted.timeout_s
        name = str(link.getinfo(pyodbc.SQL_DBMS_NAME))
    except pyodbc.Error as error:
        _say(answers, _fault(error))
        return 1
    _say(answers, Told([(name,)]))
    with closing(link):
        for message in _messages(given):
            _say(answers, _answer(link, decode_ask(message)))
    return 0


def _answer(link: pyodbc.Connection, asked: Ask) -> Told:
    try:
        with closing(link.cursor()) as cursor:
            if asked.do == "columns":
                return Told([*_columns(cursor, asked)])
            if asked.do == "keys":
                found = cursor.primaryKeys(table=asked.table, schema=asked.schema or None)
                return Told([(row[3],) for row in found.fetchall()])
            if not asked.sql.startswith("SELECT "):
                return Told(fault="NotRead")
            cursor.execute(asked.sql, asked.arguments)
            rows = cursor.fetchmany(asked.limit)
            return Told([tuple(_cell(value) for value in row) for row in rows])
    except (pyodbc.Error, UnicodeError, ValueError, MemoryError, OverflowError) as error:
        return _fault(error)


def _columns(cursor: pyodbc.Cursor, asked: Ask) -> Iterator[tuple[Any, ...]]:
    """Give schema, name, type by name and number, size and places of the columns of tables of this name."""
    # An underscore in a name stands for any character here, so what is found is compared again.
    found = cursor.columns(table=asked.table, schema=asked.schema or None)
    for row in found.fetchall():
        schema, table, name, number, kind, size, _, places = row[1:9]
        if table == asked.table and schema in (asked.schema or schema,):
            yield schema or "", name, kind, number, size, places, row[10] == pyodbc.SQL_NO_NULLS


def _cell(value: Any) -> Any:
    if isinstance(value, str | bytes) and len(value) > MAX_CELL:
        return pack(Unreadable(ItemTooLong.code))
    return pack(value)


def _fault(error: Exception) -> Told:
    """Name the class and the SQLSTATE: a driver's text may quote a row, a password or a host."""
    first = error.args[0] if error.args else ""
    state = first if isinstance(first, str) and len(first) == 5 and first.isalnum() else ""
    return Told(fault=type(error).__name__, state=state)


def _messages(given: BinaryIO) -> Iterator[bytes]:
    while len(length := given.read(LENGTH.size)) == LENGTH.size:
        yield given.read(LENGTH.unpack(length)[0])


def _say(answers: BinaryIO, told: Told | Sequence[Any]) -> None:
    content = encode(told)
    answers.write(LENGTH.pack(len(content)) + content)
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
