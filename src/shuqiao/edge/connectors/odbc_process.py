"""A reader of ODBC as the node holds it: a process of its own that may die at any time."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.odbc_wire import LENGTH, MAX_FRAME, Ask, Connect, Told, decode_told, encode, pack

_PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "ODBCINI",
    "ODBCSYSINI",
    "ODBCINSTINI",
    "ORACLE_HOME",
    "TNS_ADMIN",
    "NLS_LANG",
    "DM_HOME",
    "SSL_CERT_FILE",
)
"""Of the node's environment a driver gets what it may need; the node's own settings are none of that."""
_NOT_UNDERSTOOD = (msgspec.MsgspecError, ValueError, KeyError, ArithmeticError, RecursionError)
_START_S = 30.0
_END_S = 2.0
_MAX_SETTINGS_BYTES = 16 * 1024


class ReaderGone(OSError):
    """The process ended or didn't answer in time; a new one is started for the next question."""


class StatementFailed(Exception):
    """The driver or the database refused, or the answer couldn't be read: its class and SQLSTATE."""

    def __init__(self, fault: str, state: str) -> None:
        """Keep both; there is no text, which might quote a row."""
        super().__init__(fault, state)
        self.fault = fault
        self.state = state


def connection_string(url: str) -> str:
    """Return what stands in the file that `odbc:///path/file` names; raises SourceError."""
    path = Path(unquote(urlsplit(url).path))
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise SourceError(f"odbc: {path.name} can be read by others: chmod 600")
            text = file.read(_MAX_SETTINGS_BYTES + 1).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"odbc: {path.name} can't be read ({type(error).__name__})") from None
    words = [line.strip().rstrip(";") for line in text.splitlines() if line.strip()]
    if not words or len(text) > _MAX_SETTINGS_BYTES or any("=" not in word for word in words):
        raise SourceError(f"odbc: {path.name} must hold a connection string: NAME=value, one a line")
    return ";".join(words)


def _check_installed() -> None:
    if find_spec("pyodbc") is None:
        raise SourceError("odbc: install the part for it: pip install 'shuqiao[node,odbc]'")
    if find_library("odbc") is None:
        raise SourceError("odbc: the system's driver manager is missing: apt-get install libodbc2")


class Reader:
    """One process with one connection, used by one thread at a time."""

    def __init__(self, to: str, timeout_s: int) -> None:
        """Start the process and connect; the string goes through its pipe, where nobody else reads it."""
        self._timeout_s = timeout_s
        _check_installed()
        environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
        self._process = subprocess.Popen(
            # Without the folder the node was started in, where anybody may have put a module.
            [sys.executable, "-P", "-m", f"{__package__}.odbc_reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            # Ctrl-C at a terminal is for the node, which ends its readers itself.
            start_new_session=True,
        )
        try:
            [(self.database,)] = self._asked(encode(Connect(to, timeout_s)), _START_S).rows
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def columns(self, table: str, schema: str) -> list[tuple[Any, ...]]:
        """Return the columns of the tables of this name."""
        return self._asked(encode(Ask("columns", table=table, schema=schema))).rows

    def keys(self, table: str, schema: str) -> list[str]:
        """Return the names of the columns of a table's primary key."""
        return [name for (name,) in self._asked(encode(Ask("keys", table=table, schema=schema))).rows]

    def rows(self, sql: str, arguments: Sequence[Any] = (), limit: int = 1) -> list[tuple[Any, ...]]:
        """Return the first rows of a statement."""
        packed = tuple(pack(one) for one in arguments)
        return self._asked(encode(Ask("rows", sql=sql, arguments=packed, limit=limit))).rows

    def close(self) -> None:
        """End the process, at once where it doesn't end by itself."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _asked(self, message: bytes, within_s: float | None = None) -> Told:
        until = time.monotonic() + (within_s or self._timeout_s + _END_S)
        try:
            pipe = self._process.stdin
            if pipe is None:
                raise ReaderGone("the ODBC reader has no pipe")
            pipe.write(LENGTH.pack(len(message)) + message)
            pipe.flush()
            (length,) = LENGTH.unpack(self._taken(LENGTH.size, until))
            if length > MAX_FRAME:
                raise ReaderGone("the ODBC reader's answer is too large: lower NODE_BATCH_ROWS")
            told = decode_told(self._taken(length, until))
        except (BrokenPipeError, *_NOT_UNDERSTOOD):
            raise ReaderGone(self._end()) from None
        if told.fault:
            raise StatementFailed(told.fault, told.state)
        return told

    def _taken(self, size: int, until: float) -> bytes:
        """Read exactly so many bytes; a reader that is silent for too long is ended."""
        pipe = self._process.stdout
        if pipe is None:
            raise ReaderGone("the ODBC reader has no pipe")
        number, found = pipe.fileno(), bytearray()
        while len(found) < size:
            if not select.select([number], [], [], max(0.0, until - time.monotonic()))[0]:
                self._process.kill()
                raise ReaderGone("the ODBC driver doesn't answer in time; its process was ended")
            piece = os.read(number, min(size - len(found), 1024 * 1024))
            if not piece:
                raise ReaderGone(self._end())
            found += piece
        return bytes(found)

    def _end(self) -> str:
        """Say how the process ended."""
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "the ODBC driver's process said something nobody understands and was ended"
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"the ODBC driver's process ended ({how}); another one is started"
