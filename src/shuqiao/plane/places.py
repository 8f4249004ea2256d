"""Places for what is under way in one worker: so many in all, and so many for one department."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from shuqiao.plane.answers import Streamed
from shuqiao.rules.errors import Overloaded


class Places:
    """Counts what is under way; a download from the decision over it to its last byte."""

    def __init__(self, most: int, most_each: int) -> None:
        """Begin with all places free."""
        self._most, self._most_each = most, most_each
        self._taken: dict[str, int] = {}

    @contextmanager
    def held(self, department: str) -> Iterator[None]:
        """Hold a place; raises `Overloaded` where there is none."""
        taken = self._taken
        if sum(taken.values()) >= self._most or taken.get(department, 0) >= self._most_each:
            raise Overloaded()
        taken[department] = taken.get(department, 0) + 1
        try:
            yield
        finally:
            taken[department] -= 1

    def while_sent(self, department: str, reply: Streamed) -> Streamed:
        """Give an answer that holds a place until it is sent, or nobody takes it any more."""
        return reply._replace(pieces=self._counted(department, reply.pieces))

    async def _counted(self, department: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._taken[department] = self._taken.get(department, 0) + 1
        try:
            async for piece in pieces:
                yield piece
        finally:
            self._taken[department] -= 1
