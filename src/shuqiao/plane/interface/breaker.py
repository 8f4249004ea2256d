"""Leaves an interface alone that failed several times in a row, then tries it with one call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """The state of one interface in one worker; times are on a monotonic clock, in seconds.

    Closed, it lets everything pass. After `failures` in a row it is open for `rest_s`; then one call is let
    through, whose end decides.
    """

    failures: int
    rest_s: float
    _failed: int = 0
    _open_until: float | None = None
    _is_probing: bool = False

    def enter(self, now_s: float) -> float | None:
        """Let a call pass (None), or say for how many seconds it should stay away."""
        if self._open_until is None:
            return None
        if now_s < self._open_until:
            return self._open_until - now_s
        if self._is_probing:
            return self.rest_s
        self._is_probing = True
        return None

    def succeeded(self) -> None:
        """A call was answered."""
        self._failed, self._open_until, self._is_probing = 0, None, False

    def failed(self, now_s: float) -> None:
        """A call was not answered."""
        self._failed += 1
        if self._is_probing or self._failed >= self.failures:
            self._open_until, self._is_probing = now_s + self.rest_s, False

    def given_up(self) -> None:
        """A call ended without telling anything of the interface."""
        self._is_probing = False
