"""A few connections of a driver that blocks, each used by one thread at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar


class Closes(Protocol):
    """What a connection can do at the least."""

    def close(self) -> object:
        """Give the connection back."""


C = TypeVar("C", bound=Closes)
T = TypeVar("T")


class Connections(Generic[C]):
    """Opens up to `most` connections and lends them, each to a thread of its own.

    The threads are not those that the rest of the node uses: a source that doesn't answer holds up nobody
    else. A connection at which anything failed is closed and not lent again; errors of the driver are raised
    as they come, and the connector says what they mean.
    """

    def __init__(self, open_one: Callable[[], C], most: int) -> None:
        """Remember how to open one; nothing is opened before the first use."""
        self._open = open_one
        self._free: list[C] = []
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="source")

    async def use(self, work: Callable[[C], T]) -> T:
        """Run `work` with a connection; whoever stops waiting leaves the thread to end by itself."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._with_one, work)

    def _with_one(self, work: Callable[[C], T]) -> T:
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._open()
        try:
            done = work(connection)
        except BaseException:
            connection.close()
            raise
        self._free.append(connection)
        return done

    def close(self) -> None:
        """Close what isn't in use, and begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._free:
            self._free.pop().close()
