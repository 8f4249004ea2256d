"""One worker's connection to the nodes of departments; they answer it under a name that only it hears."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable

from shuqiao.plane.interface.settings import RelaySettings
from shuqiao.wire import nats_client
from shuqiao.wire.nats_library import Msg, NatsError

CLOSE_S = 2.0
_TROUBLES = (NatsError, OSError, ValueError)


class Nodes:
    """Opened when it is first needed."""

    def __init__(self, settings: RelaySettings, name: str, heard: Callable[[Msg], Awaitable[None]]) -> None:
        """Draw the worker's name; nothing is connected yet."""
        self._settings = settings
        self._name = name
        self._heard = heard
        self._worker = secrets.token_hex(16)
        self._client: nats_client.Client | None = None
        self._opening = asyncio.Lock()

    @property
    def worker(self) -> str:
        """The name under which nodes answer this worker."""
        return self._worker

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            with contextlib.suppress(*_TROUBLES):
                await asyncio.wait_for(self._client.close(), CLOSE_S)

    async def opened(self) -> nats_client.Client:
        """Give a connection that is up now; raises OSError where there is none, or what the client raises."""
        async with self._opening:
            if self._client is None or self._client.is_closed:
                settings = self._settings
                self._client = client = await nats_client.connect(
                    settings.nats_url, settings.credentials_file, settings.authority_file, name=self._name
                )
                await client.subscribe(f"answer.*.{self._worker}", cb=self._heard)
                await client.flush()
            if not self._client.is_connected:
                # The client would hold the call back and send it whenever the link returns.
                raise OSError("the link is being restored")
            return self._client
