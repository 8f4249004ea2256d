"""How much somebody without an account may ask: so much at once, and then so much a minute.

Counted in the process that answers, for each address and for all of them together; nothing of it is kept.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shuqiao.control.exports.readers import Reader

# Source: our choice, decision 17: a harvester reading pages of the catalogue stays well within it.
AT_ONCE = 60
A_MINUTE = 120
ALL_AT_ONCE = 600
ALL_A_MINUTE = 1200
REMEMBERED = 10_000
WHOLE_FILES_AT_ONCE = {Reader.PUBLIC: 1, Reader.DEPARTMENT: 2}


@dataclass
class _Bucket:
    left: float
    at: float


class Allowance:
    """Token buckets by key; the least recently seen key is forgotten first, which only ever gives it more."""

    def __init__(
        self, at_once: int, a_minute: int, remembered: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with full buckets."""
        self._size, self._rate, self._remembered, self._now = at_once, a_minute / 60, remembered, now
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, key: str) -> int:
        """Take one from a key's bucket; returns 0, or the seconds until there is one again."""
        now = self._now()
        with self._lock:
            bucket = self._buckets.pop(key, None) or _Bucket(float(self._size), now)
            bucket.left = min(self._size, bucket.left + (now - bucket.at) * self._rate)
            bucket.at = now
            self._buckets[key] = bucket
            while len(self._buckets) > self._remembered:
                self._buckets.popitem(last=False)
            if bucket.left >= 1:
                bucket.left -= 1
                return 0
            return max(1, round((1 - bucket.left) / self._rate + 0.5))


ANYBODY = Allowance(ALL_AT_ONCE, ALL_A_MINUTE, 1)
EACH = Allowance(AT_ONCE, A_MINUTE, REMEMBERED)
_PLACES = {reader: threading.BoundedSemaphore(number) for reader, number in WHOLE_FILES_AT_ONCE.items()}


def wait_s(address: str) -> int:
    """Seconds an address without an account has to wait; 0 lets it in."""
    return EACH.wait_s(address) or ANYBODY.wait_s("")


class WholeFile:
    """A file of the whole catalogue on its way: holds one of the few places until it is sent or given up."""

    def __init__(self, pieces: Iterator[bytes], place: threading.BoundedSemaphore) -> None:
        """Take over pieces and place."""
        self._pieces, self._place, self._open = pieces, place, True

    def __iter__(self) -> Iterator[bytes]:
        """Give itself."""
        return self

    def __next__(self) -> bytes:
        """Give the next piece."""
        return next(self._pieces)

    def close(self) -> None:
        """Free the place; called in any case when the answer ends."""
        if self._open:
            self._open = False
            self._place.release()


def whole_file(reader: Reader, pieces: Iterator[bytes]) -> WholeFile | None:
    """Begin to send a file; None where as many as may be are under way."""
    place = _PLACES[reader]
    return WholeFile(pieces, place) if place.acquire(blocking=False) else None
