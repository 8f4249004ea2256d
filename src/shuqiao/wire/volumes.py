"""Telling the hub what a process knows of the volumes its data lie on, at its start and once a day."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from datetime import date

import asyncpg

from shuqiao.security.volumes import Volume
from shuqiao.wire.outages import DATABASE_TROUBLES

FUNCTION = "exchange.state_volume"
EVERY_S = 6 * 3600.0
RETRY_S = 30.0
_TIMEOUT_S = 10.0
_STATE = f"SELECT {FUNCTION}($1, $2, $3, $4, $5, $6, $7)"


def arguments(process: str, volume: Volume) -> tuple[str | date | None, ...]:
    """Give what the function of the database is called with."""
    declared = volume.declared
    by, on = (declared.by, declared.on) if declared is not None else ("", None)
    return process, socket.gethostname()[:253], volume.place, volume.state, volume.device, by, on


async def keep_stating(database_url: str, process: str, volumes: Sequence[Volume]) -> None:
    """State it until cancelled; the database makes one entry a day of it. One away is tried again."""
    while volumes:
        try:
            await asyncio.wait_for(_state(database_url, process, volumes), _TIMEOUT_S)
        except DATABASE_TROUBLES:
            # Whether the database can be reached is told where it is needed.
            await asyncio.sleep(RETRY_S)
        else:
            await asyncio.sleep(EVERY_S)


async def _state(database_url: str, process: str, volumes: Sequence[Volume]) -> None:
    # Nothing is prepared beyond a transaction, so that a pooler may stand between.
    connection = await asyncpg.connect(database_url, statement_cache_size=0, timeout=_TIMEOUT_S)
    try:
        async with connection.transaction():
            for volume in volumes:
                await connection.fetchval(_STATE, *arguments(process, volume))
    finally:
        with contextlib.suppress(*DATABASE_TROUBLES):
            await connection.close(timeout=_TIMEOUT_S)
