"""The peer without access control or audit: a bare asyncpg handler on granian, one statement per request."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import asyncpg
import msgspec
from granian.constants import HTTPModes, Interfaces, Loops
from granian.server import Server

POOL = 16
_STATEMENT = "SELECT sex, birth_date::text, certificate_issuing_unit FROM bench_births WHERE id = $1"


async def _no_reset(_connection: object) -> None:
    """Spare the pool's round trip after each statement."""


class Peer:
    """Answers `/N` with items of record N."""

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connect."""
        self._pool = loop.run_until_complete(
            asyncpg.create_pool(
                os.environ["PEER_DATABASE_URL"], min_size=POOL, max_size=POOL, reset=_no_reset
            )
        )

    async def __rsgi__(self, scope: Any, exchange: Any) -> None:
        """Answer one request."""
        row = await self._pool.fetchrow(_STATEMENT, int(scope.path[1:]))
        body = msgspec.json.encode(dict(row))
        exchange.response_bytes(200, [("content-type", "application/json")], body)


def make_peer() -> Peer:
    """Make a worker."""
    return Peer()


if __name__ == "__main__":
    Server(
        "bench.peer:make_peer",
        port=int(os.environ["PEER_PORT"]),
        interface=Interfaces.RSGI,
        workers=2,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        factory=True,
        log_enabled=False,
    ).serve()
