"""Following a feed: waiting for its next part without asking again and again; what a consumer says of one.

A notice is a hint. Whoever waits looks by itself now and then too, so that a lost notice costs seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import asyncpg
import msgspec

from shuqiao.plane.bulk.jobs import TROUBLES
from shuqiao.plane.bulk.statements import FeedPartRow
from shuqiao.plane.settings import STATEMENT_TIMEOUT_S
from shuqiao.wire.bulk import Receipt

log = logging.getLogger("shuqiao.plane")

CHANNEL = "exchange_feed"
MAX_WAITING = 256
MAX_WAITING_EACH = 16
"""How many may wait at a worker, and how many of one department; who comes then is answered at once."""

HEARD_S = 5.0
UNHEARD_S = 0.25
"""How often whoever waits looks by itself: with notices, and without."""


class Notices:
    """Tells those who wait at this worker of parts that became ready; listens while anybody waits."""

    def __init__(self, url: str, *, is_pooled: bool = False) -> None:
        """Keep the address; behind a pooler nobody can listen."""
        self._url = url
        self._is_pooled = is_pooled
        self._waiting: dict[UUID, list[asyncio.Event]] = {}
        self._each: dict[str, int] = {}
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._connecting = asyncio.Lock()

    async def wait(
        self, feed: UUID, department: str, wait_s: float, is_there: Callable[[], Awaitable[bool]]
    ) -> None:
        """Wait until what is looked for is there, for so long at most; not at all where too many wait."""
        if sum(self._each.values()) >= MAX_WAITING or self._each.get(department, 0) >= MAX_WAITING_EACH:
            return
        told = asyncio.Event()
        self._waiting.setdefault(feed, []).append(told)
        self._each[department] = self._each.get(department, 0) + 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._look(told, is_there)
        finally:
            self._waiting[feed].remove(told)
            if not self._waiting[feed]:
                del self._waiting[feed]
            self._each[department] -= 1
            if not self._each[department]:
                del self._each[department]

    async def _look(self, told: asyncio.Event, is_there: Callable[[], Awaitable[bool]]) -> None:
        while True:
            # What became ready before this one listened gives no notice any more, so it looks first.
            is_heard = await self._listening()
            if await is_there():
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARD_S if is_heard else UNHEARD_S):
                    await told.wait()
            told.clear()

    async def close(self) -> None:
        """Stop listening."""
        if self._connection is not None:
            self._connection.terminate()

    async def _listening(self) -> bool:
        """Listen, where one can; tells whether notices come."""
        if self._is_pooled:
            return False
        async with self._connecting:
            if self._connection is not None and not self._connection.is_closed():
                return True
            try:
                self._connection = await asyncpg.connect(
                    self._url, timeout=STATEMENT_TIMEOUT_S, command_timeout=STATEMENT_TIMEOUT_S
                )
                await self._connection.add_listener(CHANNEL, self._told)
            except TROUBLES as error:
                log.warning("feed_notice_lost error=%s", type(error).__name__)
                return False
        return True

    def _told(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        with contextlib.suppress(ValueError):
            for told in self._waiting.get(UUID(str(payload)), ()):
                told.set()


def ready_after(parts: Sequence[FeedPartRow], number: int) -> FeedPartRow | None:
    """The part after this one, where it is ready; where that is taken already, the first that waits."""
    found = next((part for part in parts if part.number > number), None)
    return found if found is not None and found.state == "ready" else None


def with_receipt(line: str, receipt: Receipt) -> str:
    """Add what the consumer says it has done to the plane's line of an entry."""
    said = msgspec.json.decode(line) | {"receipt": msgspec.to_builtins(receipt)}
    return msgspec.json.encode(said).decode()
