"""Reading what the quick driver of PostgreSQL can't: texts that are none, days beyond Python's calendar.

The server is asked for texts as the bytes that lie there, since for one that is none it refuses a whole page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader

from shuqiao.edge.connectors import Unreadable
from shuqiao.rules.errors import DateImpossible, TextUnreadable

_READ_ONLY = "-c default_transaction_read_only=on"
_CONNECT_S = 10


async def fetch_carefully(
    url: str, sql: str, arguments: Sequence[Any], timeout_s: float
) -> list[tuple[Any, ...]]:
    """Run one statement; a value that can't be read is `Unreadable`."""
    async with asyncio.timeout(timeout_s):
        link = await psycopg.AsyncConnection.connect(
            url,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            client_encoding="SQL_ASCII",
            options=_READ_ONLY,
            application_name="shuqiao-node",
        )
        async with link:
            for kind, (loader, code) in _READ.items():
                link.adapters.register_loader(kind, _lenient(loader, code))
            async with psycopg.AsyncRawCursor(link) as cursor:
                await cursor.execute(sql.encode(), arguments or None)
                return await cursor.fetchall()


class _Text(Loader):
    """A text by its bytes."""

    def load(self, data: Buffer) -> str:
        """Return it, or fail."""
        return bytes(data).decode()


class _Zoned(TimestamptzLoader):
    """A time in UTC, as the quick driver gives it."""

    def load(self, data: Buffer) -> datetime:
        """Return it, or fail."""
        return super().load(data).astimezone(UTC)


_READ: Mapping[str, tuple[type[Loader], str]] = {
    "text": (_Text, TextUnreadable.code),
    "varchar": (_Text, TextUnreadable.code),
    "bpchar": (_Text, TextUnreadable.code),
    "date": (DateLoader, DateImpossible.code),
    "timestamp": (TimestampLoader, DateImpossible.code),
    "timestamptz": (_Zoned, DateImpossible.code),
}


def _lenient(loader: type[Loader], code: str) -> type[Loader]:
    """Return a loader that gives `Unreadable` where the other fails."""

    class Lenient(Loader):
        """Asks the other."""

        def __init__(self, oid: int, context: Any = None) -> None:
            """Make the other."""
            super().__init__(oid, context)
            self._read: Callable[[Buffer], Any] = loader(oid, context).load

        def load(self, data: Buffer) -> Any:
            """Return the value, or what stands for it."""
            try:
                return self._read(data)
            except (psycopg.DataError, UnicodeDecodeError, ValueError, OverflowError):
                return Unreadable(code)

    return Lenient
