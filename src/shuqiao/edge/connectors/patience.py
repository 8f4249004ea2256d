"""Leaving a server alone for a while that failed, ever longer, so that no node knocks every second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from shuqiao.edge.connectors import SourceError

FIRST_S, LONGEST_S = 2.0, 900.0


class Patience:
    """Lets a question through, or says again what went wrong the last time."""

    def __init__(self) -> None:
        """Begin without a fault."""
        self._said = ""
        self._pause_s = 0.0
        self._until = 0.0

    @contextmanager
    def ask(self) -> Iterator[None]:
        """Ask within; raises the last fault while the server rests."""
        if time.monotonic() < self._until:
            raise SourceError(self._said)
        try:
            yield
        except SourceError as error:
            self._said = str(error)
            self._pause_s = min(max(self._pause_s * 2, FIRST_S), LONGEST_S)
            self._until = time.monotonic() + self._pause_s
            raise
        self._pause_s = self._until = 0.0
