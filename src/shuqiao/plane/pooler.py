"""A database behind a pooler in transaction mode, such as pgbouncer: nothing outlives a transaction there.

One connection of ours is another one of the server's from transaction to transaction. So every statement
gets a transaction of its own, its settings are set within it, and nothing is prepared for later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import asyncpg

from shuqiao.plane.settings import STATEMENT_TIMEOUT_S

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

NAME = "shuqiao-plane"
SETTINGS = {
    "timezone": "UTC",
    "jit": "off",
    # A small batch would be planned anew each time, for more than its rows cost; and a plan made while a
    # list was still empty would scan it for ever.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "statement_timeout": str(int(STATEMENT_TIMEOUT_S * 1000)),
    "idle_in_transaction_session_timeout": "10000",
}


def set_locally(settings: Mapping[str, str]) -> str:
    """Write the statements that make settings hold for the transaction under way."""
    return "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())


class PooledConnection(_Connection):
    """A connection to a pooler: each statement that is not in a transaction gets one with our settings."""

    begin = set_locally(SETTINGS)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a statement and return its rows."""
        if self.is_in_transaction():
            return await super().fetch(query, *args, **options)
        async with self.transaction():
            await self.execute(self.begin)
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a statement and return its first row."""
        if self.is_in_transaction():
            return await super().fetchrow(query, *args, **options)
        async with self.transaction():
            await self.execute(self.begin)
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a statement and return the first value of its first row."""
        if self.is_in_transaction():
            return await super().fetchval(query, *args, **options)
        async with self.transaction():
            await self.execute(self.begin)
            return await super().fetchval(query, *args, **options)


def connection_options(
    *, is_pooled: bool, name: str = NAME, settings: Mapping[str, str] = SETTINGS
) -> Mapping[str, Any]:
    """Give what `asyncpg.create_pool` needs to know about the way to the database."""
    if is_pooled:
        # A pooler refuses what it doesn't know in the first message of a connection.
        own = type("OwnPooledConnection", (PooledConnection,), {"begin": set_locally(settings)})
        return {"connection_class": own, "statement_cache_size": 0}
    return {"server_settings": {"application_name": name, **settings}}


async def keep_as_it_is(_connection: object) -> None:
    """Return a connection to its pool without a round trip, where no statement leaves anything behind."""
