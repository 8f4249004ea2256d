"""Connections to a database that are kept at hand between two statements of the same kind.

Taking a connection from a pool and giving it back costs more than many a keyed statement: a task, a future
and two turns of the loop. The pool still makes the connections, and takes back what failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = PoolConnectionProxy[asyncpg.Record]


class Lanes:
    """Keeps at most so many of a pool's connections; whoever finds none at hand asks the pool.

    For statements that each are a transaction and leave nothing behind. The pool must have more connections
    than are kept, where anybody else uses it.
    """

    def __init__(self, pool: Pool, most: int, timeout_s: float | None = None) -> None:
        """Begin with none; `timeout_s` is how long to wait for a connection of the pool."""
        self._pool = pool
        self._most = most
        self._timeout_s = timeout_s
        self._free: list[Connection] = []

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Run a statement and give its rows; raises what the pool and the connection raise."""
        connection = await self._taken()
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
        except BaseException:
            # What broke off may be half done: the pool ends it or makes another one.
            await self._pool.release(connection)
            raise
        if len(self._free) < self._most:
            self._free.append(connection)
        else:
            await self._pool.release(connection)
        return rows

    async def _taken(self) -> Connection:
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
            await self._pool.release(connection)
        return await self._pool.acquire(timeout=self._timeout_s)

    async def close(self) -> None:
        """Give back what is at hand, and keep nothing from now on."""
        self._most = 0
        free, self._free = self._free, []
        for connection in free:
            await self._pool.release(connection)
