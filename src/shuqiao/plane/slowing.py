"""Answers that are held back for a moment, because too many comparisons with a record did not agree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MAX_HELD = 1024


class Slower:
    """Holds a bounded number of answers back, each for the same time; beyond the bound they go at once.

    It keeps no lane and no connection of the database: only the answer waits.
    """

    def __init__(self, delay_s: float) -> None:
        """Keep the time; nothing runs until the first answer."""
        self._delay_s = delay_s
        self._held: dict[int, tuple[asyncio.TimerHandle, Callable[[], None]]] = {}
        self._last = 0

    def hold(self, answer: Callable[[], None]) -> None:
        """Give the answer later."""
        if self._delay_s <= 0 or len(self._held) >= MAX_HELD:
            answer()
            return
        self._last += 1
        timer = asyncio.get_running_loop().call_later(self._delay_s, self._give, self._last)
        self._held[self._last] = (timer, answer)

    def _give(self, number: int) -> None:
        self._held.pop(number)[1]()

    def give_all(self) -> None:
        """Give what is held back now: the process is about to end."""
        held, self._held = self._held, {}
        for timer, answer in held.values():
            timer.cancel()
            answer()
