"""The plane's processes: a parent that only watches, and workers it forks and replaces.

Each worker has a listening socket of its own on the one port (SO_REUSEPORT); the kernel spreads connections
over them. The parent keeps all of them, so a connection that waits for a killed worker waits for the next.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

log = logging.getLogger("shuqiao.plane")

Serve = Callable[[socket.socket], None]
GRACE_S = 12.0
YOUNG_S = 1.0
BACKLOG = 2048
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_PR_SET_PDEATHSIG = 1


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Open `count` sockets on one port; raises OSError when somebody else has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # With SO_REUSEPORT alone, a second plane of the same user would silently share the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
    made = []
    for _ in range(count):
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
        made.append(listening)
    return made


def supervise(sockets: list[socket.socket], serve: Serve) -> None:
    """Keep one worker for each socket until SIGTERM or SIGINT; then let them finish, and end them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    workers = {_fork(listening, serve): (listening, time.monotonic()) for listening in sockets}
    while signal.sigwait(_SIGNALS) == signal.SIGCHLD:
        for pid in _ended():
            listening, born = workers.pop(pid)
            log.warning("worker_ended pid=%d", pid)
            if time.monotonic() - born < YOUNG_S:
                # What ends at once would otherwise be started in a circle without rest.
                time.sleep(YOUNG_S)
            workers[_fork(listening, serve)] = (listening, time.monotonic())
    _end(set(workers))


def _end(workers: set[int]) -> None:
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + GRACE_S
    while workers and time.monotonic() < until:
        signal.sigtimedwait([signal.SIGCHLD], max(0.0, until - time.monotonic()))
        workers.difference_update(_ended())
    for pid in workers:
        log.warning("worker_killed pid=%d", pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _ended() -> list[int]:
    """Collect the children that have ended."""
    ended: list[int] = []
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append(pid)


def _fork(listening: socket.socket, serve: Serve) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    # What happens here must not run the parent's code after it, whatever it raises.
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        _die_with(parent)
        serve(listening)
    except BaseException:
        log.exception("worker_failed")
        os._exit(1)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _die_with(parent: int) -> None:
    """End this worker when the parent is killed; otherwise it would keep the port for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have ended before the request took effect.
        if os.getppid() != parent:
            os._exit(1)
