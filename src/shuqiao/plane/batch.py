"""Micro-batches: calls that wait for the same thing go to the database together.

A worker has a few lanes. A batch takes a lane as soon as one is free, with whatever waits at that moment:
under light load a call goes alone and at once, under heavy load batches grow by themselves. No batch waits
for a time to pass. The queue is bounded; a call beyond the bound is turned away before any work.

What waits for the same thing goes in one batch after another: two at a time would be two half ones, and a
batch costs as much as a dozen of its calls. Other lanes are for other things, for what is more than a batch
holds, and for what waits behind a batch that does not end.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

log = logging.getLogger("shuqiao.plane")

STUCK_S = 0.25
"""After so long a batch under way keeps nobody waiting any more."""

T = TypeVar("T")
Key = tuple[str, str]
Run = Callable[[Key, list[T]], Awaitable[None]]


class QueueFull(Exception):
    """Too many calls wait."""


class Batcher(Generic[T]):
    """Gathers work by key and runs it in batches; does not know what the work is.

    `run` answers every piece of work it is given; `give_up` answers those that `run` left when it failed.
    """

    def __init__(
        self,
        run: Run[T],
        give_up: Callable[[T], None],
        *,
        lanes: int,
        max_batch: int,
        max_waiting: int,
    ) -> None:
        """Keep the limits; batches run in the event loop that calls `submit`."""
        self._run = run
        self._give_up = give_up
        self._free = lanes
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: dict[Key, deque[T]] = {}
        self._turns: deque[Key] = deque()
        self._started_s: dict[Key, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_scheduled = False
        self.waiting = 0

    def submit(self, key: Key, work: T) -> None:
        """Queue a piece of work; raises `QueueFull`."""
        if self.waiting >= self._max_waiting:
            raise QueueFull
        queue = self._waiting.get(key)
        if queue is None:
            queue = self._waiting[key] = deque()
            self._turns.append(key)
        queue.append(work)
        self.waiting += 1
        self._schedule()

    def _schedule(self) -> None:
        # Starting in the next turn of the loop lets all requests that have arrived join the batch.
        if self._free and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._is_scheduled = False
        loop = asyncio.get_running_loop()
        for _ in range(len(self._turns)):
            if not self._free:
                break
            key = self._turns.popleft()
            if not self._may_start(key, loop.time()):
                self._turns.append(key)
                continue
            self._started_s[key] = loop.time()
            self._free -= 1
            task = loop.create_task(self._work(key, self._taken(key)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _may_start(self, key: Key, now_s: float) -> bool:
        started_s = self._started_s.get(key)
        if started_s is None or len(self._waiting[key]) >= self._max_batch:
            return True
        return now_s - started_s >= STUCK_S

    def _taken(self, key: Key) -> list[T]:
        queue = self._waiting[key]
        batch = [queue.popleft() for _ in range(min(len(queue), self._max_batch))]
        self.waiting -= len(batch)
        if queue:
            self._turns.append(key)
        else:
            del self._waiting[key]
        return batch

    async def _work(self, key: Key, batch: list[T]) -> None:
        late = asyncio.get_running_loop().call_later(STUCK_S, self._schedule)
        try:
            await self._run(key, batch)
        except Exception:
            # The boundary of a batch: its calls get an answer whatever went wrong. No data in the log.
            log.exception("batch_failed operation=%s size=%d", key[1], len(batch))
            for work in batch:
                self._give_up(work)
        except asyncio.CancelledError:
            for work in batch:
                self._give_up(work)
            raise
        finally:
            late.cancel()
            self._free += 1
            # Where another one overtook it, its end lets a third one start: it costs nothing but its size.
            self._started_s.pop(key, None)
            self._schedule()

    async def close(self, timeout_s: float) -> None:
        """Let batches under way finish for a time, then end them."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
            for task in late:
                task.cancel()
