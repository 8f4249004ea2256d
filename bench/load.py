"""Load: keep-alive connections that send ready-made requests as fast as they are answered.

Runs as its own process, `python -m bench.load HOST:PORT CONNECTIONS SECONDS FILE`, and prints one JSON line.
FILE holds msgpack of a list of whole requests; each is sent once. Nothing is signed while the clock runs.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec


@dataclass(slots=True)
class Link:
    """One connection: when its request left, and what has come back of the answer."""

    socket: socket.socket
    sent_at: float = 0.0
    received: bytes = b""


def _is_whole(received: bytes) -> bool:
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    start = received.find(b"content-length: ", 0, end)
    if start < 0:
        start = received[:end].lower().find(b"content-length: ")
    if start < 0:
        # Only a peer sends its body in pieces.
        return received.endswith(b"0\r\n\r\n")
    length = int(received[start + 16 : received.find(b"\r", start)])
    return len(received) >= end + 4 + length


def _connect(host: str, port: int, connections: int) -> dict[int, Link]:
    links = {}
    for _ in range(connections):
        made = socket.create_connection((host, port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        links[made.fileno()] = Link(made)
    return links


@dataclass(slots=True)
class Run:
    """One run: the connections, what is left to send, and what was measured."""

    links: dict[int, Link]
    supply: Iterator[bytes]
    deadline: float
    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def send(self, link: Link) -> bool:
        """Send the next request; false when the time or the requests are over."""
        now = time.perf_counter()
        following = next(self.supply, None) if now < self.deadline else None
        if following is None:
            return False
        link.received = b""
        link.sent_at = now
        link.socket.send(following)
        return True

    def receive(self, link: Link) -> bool:
        """Take what has come; true when the answer is whole, or will never be."""
        chunk = link.socket.recv(65536)
        link.received += chunk
        if chunk and not _is_whole(link.received):
            return False
        self.latencies.append(time.perf_counter() - link.sent_at)
        self.failed += not chunk or not link.received.startswith(b"HTTP/1.1 200")
        return True


def run(host: str, port: int, connections: int, seconds: float, requests: list[bytes]) -> dict[str, float]:
    """Send until the time or the requests are over; returns counts, rate and latencies in milliseconds."""
    links = _connect(host, port, connections)
    poll = select.epoll()
    started, used_s = time.perf_counter(), time.process_time()
    made = Run(links, iter(requests), started + seconds)
    for number, link in links.items():
        poll.register(number, select.EPOLLIN)
        made.send(link)
    under_way = connections
    while under_way:
        for number, _ in poll.poll(5):
            link = links[number]
            if made.receive(link) and not (link.received and made.send(link)):
                under_way -= 1
                poll.unregister(number)
    elapsed = time.perf_counter() - started
    used_s = time.process_time() - used_s
    for link in links.values():
        link.socket.close()
    latencies = sorted(made.latencies)
    return {
        "count": len(latencies),
        "failed": made.failed,
        "cpu_us": 1e6 * used_s / len(latencies),
        "per_s": (len(latencies) - made.failed) / elapsed,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[len(latencies) * 99 // 100],
        "ran_out": float(elapsed < seconds * 0.9),
    }


def main() -> int:
    """Read the requests, run, print."""
    address, connections, seconds, file = sys.argv[1:5]
    host, _, port = address.rpartition(":")
    requests = msgspec.msgpack.decode(Path(file).read_bytes(), type=list[bytes])
    print(json.dumps(run(host, int(port), int(connections), float(seconds), requests)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
