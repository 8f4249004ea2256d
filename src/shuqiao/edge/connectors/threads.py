"""A few connections of a driver that blocks, each used by one thread at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Closes(Protocol):
    """What a connection can do at the least."""

    def close(self) -> object:
        """Give the connection back."""


C = TypeVar("C", bound=Closes)
T = TypeVar("T")


class Connections(Generic[C]):
    """Opens up to `most` connections and lends them; one that failed is closed and not lent again.

    `faults` are the driver's errors. They are raised as they come: the connector says what they mean.
    """

    def __init__(self, open_one: Callable[[], C], most: int, faults: tuple[type[Exception], ...]) -> None:
        """Remember how to open one; nothing is opened before the first use."""
        self._open = open_one
        self._faults = faults
        self._free: list[C] = []
        self._seats = asyncio.Semaphore(most)

    async def use(self, work: Callable[[C], T]) -> T:
        """Run `work` with a connection in a thread."""
        async with self._seats:
            # Shielded, for a thread can't be stopped: its connection must not be lent meanwhile.
            return await asyncio.shield(asyncio.to_thread(self._with_one, work))

    def _with_one(self, work: Callable[[C], T]) -> T:
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._open()
        try:
            done = work(connection)
        except self._faults:
            connection.close()
            raise
        self._free.append(connection)
        return done

    def close(self) -> None:
        """Close what isn't in use."""
        while self._free:
            self._free.pop().close()
