"""Whether a number lies beside one the same system asked for shortly before: counting up leaves such a trace.

The log never holds a number, so only the plane can tell; it writes one word and forgets the number soon. Each
worker looks at its own calls. Source: SEC-19; our choice, decision "alarms".
"""

from __future__ import annotations

from collections import OrderedDict, deque

RECENT = 64
BESIDE = 3
MAX_PLACES = 1_000
_CHECKED = frozenset({"citizen_id", "credit_code"})
"""Kinds whose last character is a check digit, so that neighbours differ before it."""


class Neighbours:
    """The last numbers of each (application, resource), in memory only and bounded."""

    def __init__(self) -> None:
        """Begin with none."""
        self._recent: OrderedDict[tuple[str, str], deque[int]] = OrderedDict()

    def is_near(self, application: str, resource: str, kind: str, number: str) -> bool:
        """Note a number, and tell whether it lies within three of a recent other one."""
        digits = "".join(filter(str.isdigit, number[:-1] if kind in _CHECKED else number))
        if not digits.isascii() or not 0 < len(digits) <= 32:
            return False
        value, key = int(digits), (application, resource)
        recent = self._recent.get(key)
        if recent is None:
            recent = self._recent[key] = deque(maxlen=RECENT)
            if len(self._recent) > MAX_PLACES:
                self._recent.popitem(last=False)
        near = any(0 < abs(value - other) <= BESIDE for other in recent)
        recent.append(value)
        return near
