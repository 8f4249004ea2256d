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
from dataclasses import dataclass
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
    start = received.find(b"content-length: ", 0, end) + 16
    length = int(received[start : received.find(b"\r", start)])
    return len(received) >= end + 4 + length


def run(host: str, port: int, connections: int, seconds: float, requests: list[bytes]) -> dict[str, float]:
    """Send until the time or the requests are over; returns counts, rate and latencies in milliseconds."""
    poll = select.epoll()
    links: dict[int, Link] = {}
    for _ in range(connections):
        made = socket.create_connection((host, port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        links[made.fileno()] = Link(made)
        poll.register(made.fileno(), select.EPOLLIN)
    supply = iter(requests)
    latencies: list[float] = []
    failed = 0
    started = time.perf_counter()
    deadline = started + seconds
    for link in links.values():
        link.sent_at = time.perf_counter()
        link.socket.send(next(supply))
    under_way = connections
    while under_way:
        for number, _ in poll.poll(5):
            link = links[number]
            link.received += link.socket.recv(65536)
            if link.received and not _is_whole(link.received):
                continue
            now = time.perf_counter()
            latencies.append(now - link.sent_at)
            failed += not link.received.startswith(b"HTTP/1.1 200")
            following = next(supply, None) if now < deadline and link.received else None
            link.received = b""
            if following is None:
                under_way -= 1
                poll.unregister(number)
                continue
            link.sent_at = now
            link.socket.send(following)
    elapsed = time.perf_counter() - started
    for link in links.values():
        link.socket.close()
    latencies.sort()
    return {
        "count": len(latencies),
        "failed": failed,
        "per_s": (len(latencies) - failed) / elapsed,
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
