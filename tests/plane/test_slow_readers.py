"""Answers that are sent piece by piece to readers of every pace, over real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from shuqiao.plane import connection
from shuqiao.plane.answers import Reply, Streamed
from shuqiao.plane.connection import BodyReader, Request
from shuqiao.plane.server import Server
from shuqiao.rules.errors import CallError
from shuqiao.rules.pace import Pace
from tests.plugins.ports import free_port

PIECE = bytes(256 * 1024)
PIECES = 40
SIZE = PIECES * len(PIECE)
ENDED: list[str] = []


class Downloads:
    """Answers every request with ten megabytes."""

    def opened(self, request: Request) -> BodyReader | None:
        """Begin at once."""
        request.answer(Streamed(200, "", SIZE, self._pieces()))
        return None

    def refused(self, error: CallError) -> Reply:
        """Say no more than the status."""
        return Reply(error.status, "", b"")

    async def _pieces(self) -> AsyncIterator[bytes]:
        try:
            for _ in range(PIECES):
                yield PIECE
        finally:
            ENDED.append("ended")


async def received(port: int, chunk: int, pause_s: float) -> tuple[int, float]:
    """Read in such chunks with such pauses: what came of the body, and how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        peer.setblocking(False)
        await loop.sock_connect(peer, ("127.0.0.1", port))
        await loop.sock_sendall(peer, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        size = 0
        with contextlib.suppress(ConnectionError):
            while size < SIZE:
                found = await asyncio.wait_for(loop.sock_recv(peer, chunk), 20)
                if not found:
                    break
                size += len(found.rpartition(b"\r\n\r\n")[2])
                await asyncio.sleep(pause_s)
    return size, loop.time() - began


@pytest.mark.parametrize(
    ("pace", "chunk", "pause_s", "is_whole"),
    [
        (Pace(2.0, 1_000_000, 60.0), 1_000_000, 0.0, True),
        # Never silent, and always below the rate.
        (Pace(1.0, 4_000_000, 60.0), 16_384, 0.02, False),
        # The same reader, where the rate is its own.
        (Pace(1.0, 100_000, 3.0), 65_536, 0.0, True),
        # It keeps the rate, and stays too long.
        (Pace(1.0, 100_000, 2.0), 16_384, 0.02, False),
    ],
    ids=["fast", "slow", "patient", "endless"],
)
async def test_a_reader_keeps_pace_or_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, pace: Pace, chunk: int, pause_s: float, is_whole: bool
) -> None:
    monkeypatch.setattr(connection, "PACE", pace)
    ENDED.clear()
    server = Server(Downloads())
    port = free_port()
    listening = socket.create_server(("127.0.0.1", port))
    listening.setblocking(False)
    await server.start(listening)
    try:
        size, took_s = await received(port, chunk, pause_s)
        assert (size == SIZE) is is_whole
        assert took_s < 8
        # Its place is free again, whichever way it ended.
        for _ in range(3000):
            if ENDED:
                break
            await asyncio.sleep(0.02)
        assert ENDED == ["ended"]
    finally:
        server.close()
        await server.wait_closed(1.0)
