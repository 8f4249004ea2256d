"""Connecting to the hub's NATS server: always TLS, always with credentials, always trying again."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from nats.aio.client import Client as _Client

_log = logging.getLogger("shuqiao.nats")
_CONNECT_TIMEOUT_S = 5


class Client(_Client):
    """A client whose end can be waited for: a link that breaks is no end, it is made anew."""

    def __init__(self) -> None:
        """Begin unconnected."""
        super().__init__()
        self.ended = asyncio.Event()


async def connect(
    url: str, credentials: Path, authority: Path, *, name: str, inbox_prefix: str = "_INBOX"
) -> Client:
    """Connect once, verifying the server against `authority`; raises where the server can't be reached.

    A connection that breaks later is made anew by itself, for as long as the process lives.
    """
    tls = ssl.create_default_context(cafile=str(authority))
    tls.minimum_version = ssl.TLSVersion.TLSv1_3

    async def note(error: Exception) -> None:
        _log.warning("nats_error %s %s", name, type(error).__name__)

    async def lost() -> None:
        _log.warning("nats_lost %s", name)

    async def found() -> None:
        _log.info("nats_connected %s", name)

    client = Client()

    async def closed() -> None:
        client.ended.set()

    await client.connect(
        [url],
        name=name,
        tls=tls,
        user_credentials=str(credentials),
        inbox_prefix=inbox_prefix.encode("ascii"),
        connect_timeout=_CONNECT_TIMEOUT_S,
        allow_reconnect=True,
        reconnect_time_wait=1,
        max_reconnect_attempts=-1,
        error_cb=note,
        closed_cb=closed,
        disconnected_cb=lost,
        reconnected_cb=found,
    )
    _log.info("nats_connected %s", name)
    return client
