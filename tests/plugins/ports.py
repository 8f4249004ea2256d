"""Ports for the servers of the tests: none is given to two, and no outgoing connection takes one meanwhile.

A port that the kernel chooses is free at that moment alone: before its server binds it, any connection may
begin there. These lie below those, and each process of the tests has a block to itself.
"""

import random
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path

FIRST, LAST, BLOCK = 10_000, 32_000, 200
CHOSEN = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""From where on the kernel chooses."""

_claims: list[socket.socket] = []
"""Kept open as long as the process lives; the kernel lets go of them when it ends, however it ends."""


@cache
def _own_ports() -> Iterator[int]:
    last = min(LAST, int(CHOSEN.read_text().split()[0])) if CHOSEN.exists() else LAST
    blocks = range(FIRST, max(last, FIRST + 20 * BLOCK), BLOCK)
    for first in random.SystemRandom().sample(blocks, len(blocks)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0shuqiao-tests-ports-{first}")
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return cycle(range(first, first + BLOCK))
    raise RuntimeError("other processes have all ports")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    for port in _own_ports():
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("the ports come again and again")
