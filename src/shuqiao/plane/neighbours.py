"""Whether a number lies beside one the same system asked for shortly before: counting up leaves such a trace.

The log never holds a number, so only the plane can tell; it writes one word and forgets the number soon. Each
worker looks at its own calls. Source: SEC-19; our choice, decision "alarms".
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, deque

RECENT = 64
BESIDE = 3
_NOT_DIGITS = re.compile(r"[^0-9]+")
MAX_PLACES = 1_000
_CHECKED = frozenset({"citizen_id", "credit_code"})
"""Kinds whose last character is a check digit, so that neighbours differ before it."""


class _Recent:
    """The last numbers of one place, in their order and by value."""

    __slots__ = ("counts", "order")

    def __init__(self) -> None:
        self.order: deque[int] = deque()
        self.counts: Counter[int] = Counter()

    def note(self, value: int) -> None:
        """Add a number and forget the one that is too many."""
        self.order.append(value)
        self.counts[value] += 1
        if len(self.order) > RECENT:
            gone = self.order.popleft()
            self.counts[gone] -= 1
            if not self.counts[gone]:
                del self.counts[gone]


class Neighbours:
    """The last numbers of each (application, resource), in memory only and bounded."""

    def __init__(self) -> None:
        """Begin with none."""
        self._recent: OrderedDict[tuple[str, str], _Recent] = OrderedDict()

    def is_near(self, application: str, resource: str, kind: str, number: str) -> bool:
        """Note a number, and tell whether it lies within three of a recent other one."""
        text = number[:-1] if kind in _CHECKED else number
        digits = _NOT_DIGITS.sub("", text)
        if not 0 < len(digits) <= 32:
            return False
        value, key = int(digits), (application, resource)
        recent = self._recent.get(key)
        if recent is None:
            recent = self._recent[key] = _Recent()
            if len(self._recent) > MAX_PLACES:
                self._recent.popitem(last=False)
        known = recent.counts.keys()
        is_alone = known.isdisjoint(range(value - BESIDE, value)) and known.isdisjoint(
            range(value + 1, value + BESIDE + 1)
        )
        recent.note(value)
        return not is_alone
