"""Ending tasks, each of which may have lost the word that it shall end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_S = 1.0


async def end_tasks(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait until they have ended; what they raise is not raised here.

    A task hears once that it is cancelled. Where that meets the end of what it waits for, `asyncio.wait_for`
    of Python 3.11, in our drivers too, takes it for the end alone: the task works on. So it is told again.
    """
    pending = set(tasks)
    all_of_them = [*pending]
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
    await asyncio.gather(*all_of_them, return_exceptions=True)
