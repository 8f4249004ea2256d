"""Start the plane: `python -m shuqiao.plane.main --workers N --port P`.

Settings come from the environment, see `plane.settings`. `PLANE_AUTHORITIES` defaults to the loopback
names of the port.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import Server

from shuqiao.plane.answering import Answering
from shuqiao.plane.database import Database, DatabaseUnavailable
from shuqiao.plane.gate import Exchange, Gate, Scope
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.metrics import Metrics
from shuqiao.plane.settings import MAX_WAITING, Settings, SettingsFaulty, read_settings
from shuqiao.wire.vault import VaultClient, VaultError

log = logging.getLogger("shuqiao.plane")

TARGET = "shuqiao.plane.main:make_worker"
SHUTDOWN_S = 5.0
RETRY_S = 0.5
HEADER_TIMEOUT_MS = 10_000
GC_THRESHOLD = 50_000
_PR_SET_PDEATHSIG = 1


class Worker:
    """One worker of the plane, as the server drives it: started and ended with its event loop."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; connections are made when the loop runs."""
        self._settings = settings
        self._parent = os.getppid()
        self._tasks: list[asyncio.Task[None]] = []
        self._gate: Gate | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to connect; until that is done, calls answer 503."""
        _die_with_parent(self._parent)
        # A call leaves no cycles behind. What the modules hold is set aside for good, and the collector
        # looks at the rest once in many calls instead of once in ten.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)
        loop.run_until_complete(self._start())

    async def _start(self) -> None:
        settings = self._settings
        metrics = Metrics()
        self._database = Database(settings.database_url, settings.lanes)
        self._vault = VaultClient(settings.vault_socket, "plane", settings.vault_key)
        self._keeper = Keeper(self._database, settings.database_url, metrics)
        self._answering = Answering(
            self._database, self._vault, self._keeper, settings.promise_key, metrics, settings.lanes
        )
        self._gate = Gate(settings, self._keeper, self._answering, self.is_ready, metrics)
        self._tasks.append(asyncio.create_task(self._connect(), name="plane-connect"))

    async def _connect(self) -> None:
        """Connect to the database, however long that takes, then keep the snapshot current."""
        while True:
            try:
                await self._database.open()
                break
            except DatabaseUnavailable as error:
                log.warning("database_not_reached error=%s", error)
                await asyncio.sleep(RETRY_S)
        await self._keeper.watch()

    async def is_ready(self) -> bool:
        """Tell whether a call could be answered now."""
        try:
            await self._vault.ready()
            return self._keeper.current.epoch >= 0 and await self._database.current_epoch() >= 0
        except (DatabaseUnavailable, VaultError):
            return False

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        if self._gate is not None and scope.proto == "http":
            await self._gate.handle(scope, exchange)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let calls under way finish for a time, then close everything."""
        loop.run_until_complete(self._stop())

    async def _stop(self) -> None:
        await self._answering.close(SHUTDOWN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._vault.close()
        await self._database.close()


def _die_with_parent(parent: int) -> None:
    """End this worker when the main process is killed; otherwise it would keep the port for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before the request took effect.
        if os.getppid() != parent:
            os._exit(1)


def make_worker() -> Worker:
    """Make a worker from the environment; the server calls this in each worker process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return Worker(read_settings(os.environ))


def main(arguments: list[str] | None = None) -> int:
    """Check the settings and serve until a signal; returns the exit code."""
    parser = argparse.ArgumentParser(prog="shuqiao.plane", description="The data plane of Shuqiao.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    names = [options.host, "127.0.0.1", "localhost"]
    os.environ.setdefault("PLANE_AUTHORITIES", ",".join(f"{name}:{options.port}" for name in names))
    try:
        read_settings(os.environ)
    except SettingsFaulty as error:
        print(f"the plane can't start: {error}", file=sys.stderr)
        return 2
    Server(
        TARGET,
        address=options.host,
        port=options.port,
        interface=Interfaces.RSGI,
        workers=options.workers,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
        websockets=False,
        factory=True,
        backlog=2048,
        backpressure=MAX_WAITING,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=int(SHUTDOWN_S) * 2,
    ).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
