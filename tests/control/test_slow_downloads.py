"""Readers that take a large answer in drips keep nobody from working, and are cut off."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.endless_office import PIECE, PIECES
from tests.control.test_front import SERVE, asked, linked
from tests.plugins.ports import free_port

THREADS = 2
BOUNDS = {
    "SHUQIAO_CONTROL_THREADS": str(THREADS),
    "SHUQIAO_CONTROL_SEND_PATIENCE_S": "2",
    "SHUQIAO_CONTROL_SEND_BYTES_PER_S": "4000000",
    "SHUQIAO_CONTROL_SEND_TIMEOUT_S": "8",
}
DRIPPING_S = 10.0
GET = b"GET /file HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an office with two threads and a very large file."""
    port, log = free_port(), tmp_path_factory.mktemp("slow") / "log"
    command = [sys.executable, "-W", "ignore", "-m", "granian", *SERVE, "--port", str(port)]
    with log.open("wb") as output:
        served = subprocess.Popen(
            [*command, "tests.control.endless_office:application"],
            env=os.environ | BOUNDS,
            stdout=output,
            stderr=output,
            cwd=Path(__file__).parents[2],
        )
    try:
        for _ in range(300):
            assert served.poll() is None, log.read_text()
            with contextlib.suppress(OSError):
                if asked(port) == 200:
                    break
            time.sleep(0.1)
        yield port
    finally:
        served.terminate()
        served.wait(timeout=30)


def drip(port: int, sizes: list[int], chunk: int, pause_s: float) -> None:
    """Read the file in small chunks with pauses, and after a time all that is left."""
    link = linked(port, GET)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    size, until = 0, time.monotonic() + DRIPPING_S
    with contextlib.suppress(OSError):
        while received := link.recv(chunk if time.monotonic() < until else 1 << 20):
            size += len(received)
            time.sleep(pause_s if time.monotonic() < until else 0)
    link.close()
    sizes.append(size)


@pytest.mark.parametrize(
    ("chunk", "pause_s"), [(1024, 0.2), (65536, 0.012)], ids=["below the rate", "for too long"]
)
def test_slow_readers_let_go_of_the_threads(port: int, chunk: int, pause_s: float) -> None:
    sizes: list[int] = []
    readers = [
        threading.Thread(target=drip, args=(port, sizes, chunk, pause_s), daemon=True)
        for _ in range(2 * THREADS)
    ]
    began = time.monotonic()
    for reader in readers:
        reader.start()
    time.sleep(0.5)
    # Every thread waits for a reader now; a page waits no longer than the slowest of them may take.
    assert asked(port, timeout_s=30) == 200
    assert time.monotonic() - began < 20
    for reader in readers:
        reader.join(timeout=60)
    assert len(sizes) == len(readers) and max(sizes) < PIECES * len(PIECE)
    assert asked(port) == 200


def test_a_reader_that_keeps_pace_gets_all(port: int) -> None:
    sizes: list[int] = []
    drip(port, sizes, 1 << 20, 0.0)
    assert sizes[0] > PIECES * len(PIECE)
