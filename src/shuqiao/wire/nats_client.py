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

    def __init__(self, name: str) -> None:
        """Begin unconnected, under the name that logs give it."""
        super().__init__()
        self.name = name
        self.ended = asyncio.Event()

    async def note(self, error: Exception) -> None:
        """Tell of an error by its class alone."""
        _log.warning("nats_error %s %s", self.name, type(error).__name__)

    async def lost(self) -> None:
        """Tell that the link is broken."""
        _log.warning("nats_lost %s", self.name)

    async def found(self) -> None:
        """Tell that the link is there."""
        _log.info("nats_connected %s", self.name)

    async def closed(self) -> None:
        """Tell those who wait for the end."""
        self.ended.set()


async def connect(
    url: str, credentials: Path, authority: Path, *, name: str, inbox_prefix: str = "_INBOX"
) -> Client:
    """Connect once, verifying the server against `authority`; raises where the server can't be reached.

    A connection that breaks later is made anew by itself, for as long as the process lives.
    """
    tls = ssl.create_default_context(cafile=str(authority))
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    client = Client(name)
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
        error_cb=client.note,
        disconnected_cb=client.lost,
        reconnected_cb=client.found,
        closed_cb=client.closed,
    )
    await client.found()
    return client
