"""How many calls an application may make: so many a second, and as many at once after a pause.

Counted by each worker for itself, so the city's bound is this one times the workers. Only applications that
have proved themselves are counted: whoever has no key can use up nobody's allowance.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shuqiao.rules.errors import TooManyCalls


class Allowance:
    """A bucket of tokens for each application; holds one entry for each that has called this worker."""

    def __init__(self, calls_per_s: int, now_s: Callable[[], float] = time.monotonic) -> None:
        """Begin with full buckets."""
        self._calls_per_s = float(calls_per_s)
        self._now_s = now_s
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, application: str) -> None:
        """Count one call; raises `TooManyCalls` when the bucket is empty."""
        now = self._now_s()
        left, at = self._buckets.get(application, (self._calls_per_s, now))
        left = min(self._calls_per_s, left + (now - at) * self._calls_per_s)
        if left < 1:
            self._buckets[application] = (left, now)
            raise TooManyCalls(calls_per_s=int(self._calls_per_s))
        self._buckets[application] = (left - 1, now)
