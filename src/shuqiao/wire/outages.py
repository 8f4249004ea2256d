"""What a PostgreSQL server that is away, ends or refuses looks like to its driver."""

from __future__ import annotations

from typing import Final

import asyncpg

DATABASE_TROUBLES: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # What the driver says where a server that was killed cut its answer short: neither of the two above.
    asyncpg.InternalClientError,
)
