"""Connections of a driver that blocks: never more than were asked for, and none lent after a failure."""

from __future__ import annotations

import asyncio
import threading

import pytest

from shuqiao.edge.connectors.threads import Connections


class Link:
    """A connection that knows whether it is closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


async def test_callers_that_stop_waiting_open_no_more_connections_and_hold_up_nobody() -> None:
    opened: list[Link] = []
    going_on = threading.Event()

    def open_one() -> Link:
        opened.append(Link())
        return opened[-1]

    connections = Connections(open_one, 2)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connections.use(lambda _: going_on.wait(10)), 0.05)
    assert len(opened) == 2
    # What the rest of the node does in threads goes on meanwhile.
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 1) == 7
    going_on.set()
    assert await asyncio.wait_for(connections.use(lambda link: link.is_closed), 5) is False
    connections.close()
    assert len(opened) == 2


async def test_a_connection_at_which_something_failed_is_not_lent_again() -> None:
    connections = Connections(Link, 1)
    seen: list[Link] = []

    def fail(link: Link) -> None:
        seen.append(link)
        raise MemoryError

    with pytest.raises(MemoryError):
        await connections.use(fail)
    assert seen[0].is_closed
    assert await connections.use(lambda link: link) is not seen[0]
    connections.close()
