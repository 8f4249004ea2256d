"""What one part of a worker has begun: each task is held until it is over, and ended with its part."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

log = logging.getLogger("shuqiao.plane")


class UnderWay:
    """Holds tasks, since the event loop itself holds none; what a task answers is its own affair.

    Where a task fails for a reason that it didn't foresee, whoever waits is told by `give_up`.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[None, None, None], give_up: Callable[[], object]) -> None:
        """Begin to work."""
        task = asyncio.get_running_loop().create_task(_to_its_end(work, give_up))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is not over yet, and wait for that."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _to_its_end(work: Coroutine[None, None, None], give_up: Callable[[], object]) -> None:
    try:
        await work
    except Exception:
        log.exception("work_failed")
        give_up()
