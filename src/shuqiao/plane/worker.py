"""One worker of the plane: a process with one event loop, one socket, its own connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from datetime import UTC, datetime

import uvloop

from shuqiao.plane.answering import Answering
from shuqiao.plane.bulk.asking import Promising
from shuqiao.plane.bulk.serving import Copies
from shuqiao.plane.bulk.statements import Statements
from shuqiao.plane.database import Database, DatabaseUnavailable
from shuqiao.plane.files.serving import Files
from shuqiao.plane.gate import Gate
from shuqiao.plane.held.link import NodeLink
from shuqiao.plane.held.serving import HeldCalls
from shuqiao.plane.held.statements import HeldStatements
from shuqiao.plane.interface.relay import Relay
from shuqiao.plane.interface.serving import Interfaces
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.metrics import Metrics
from shuqiao.plane.proofs import PromiseKeeper, Sealing
from shuqiao.plane.server import Server
from shuqiao.plane.sessions import Sessions
from shuqiao.plane.settings import Settings
from shuqiao.rules.exchange import legal_day
from shuqiao.wire.vault import VaultClient, VaultError
from shuqiao.wire.volumes import keep_stating

log = logging.getLogger("shuqiao.plane")

SHUTDOWN_S = 5.0
FIRST_SNAPSHOT_S = 3.0
RETRY_S = 0.5
FORGET_EVERY_S = 3600.0
GC_THRESHOLD = 50_000


def run_worker(settings: Settings, listening: socket.socket) -> None:
    """Serve the socket until SIGTERM or SIGINT."""
    # A call leaves no cycles behind. What the modules hold is set aside for good, and the collector looks at
    # the rest once in many calls instead of once in ten.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)
    uvloop.run(Worker(settings).serve(listening))


class Worker:
    """The parts of one worker; does not know the others."""

    def __init__(self, settings: Settings) -> None:
        """Make the parts; connections are made when the worker serves."""
        metrics = Metrics()
        self._database = Database(
            settings.database_url, settings.lanes, settings.guess_limits, is_pooled=settings.is_pooled
        )
        self._vault = VaultClient(settings.vault_socket, "plane", settings.vault_key)
        self._keeper = Keeper(self._database, settings.database_url, metrics, is_pooled=settings.is_pooled)
        sealing = Sealing(self._keeper)
        self._promises = PromiseKeeper(self._database, sealing)
        self._answering = Answering(
            self._database,
            self._vault,
            self._keeper,
            settings.promise_key,
            metrics,
            settings.lanes,
            self._promises,
            settings.guess_delay_s,
            settings.max_waiting,
        )
        sessions = Sessions(settings, self._keeper, self._database)
        self._database_url = settings.database_url
        self._tls = settings.tls
        self._volumes = settings.relay.volumes if settings.relay is not None else ()
        self._copies = self._make_copies(settings)
        self._interfaces = self._make_interfaces(settings)
        self._files = self._make_files(settings)
        self._held = self._make_held(settings)
        self._gate = Gate(
            settings,
            self._keeper,
            self._answering,
            self.is_ready,
            metrics,
            sessions,
            sealing,
            self._copies,
            self._interfaces,
            self._files,
            self._held,
        )

    def _make_copies(self, settings: Settings) -> Copies | None:
        if settings.spool is None:
            return None
        answering = self._answering
        return Copies(
            settings, settings.spool, self._keeper, self._vault, answering.refuse, answering.refuse_unused
        )

    def _make_interfaces(self, settings: Settings) -> Interfaces | None:
        if settings.relay is None:
            return None
        answering = self._answering
        return Interfaces(
            Relay(settings.relay),
            Statements(settings.database_url, is_pooled=settings.is_pooled),
            self._keeper,
            Promising(settings.promise_key),
            answering.refuse,
            answering.refuse_unused,
        )

    def _make_files(self, settings: Settings) -> Files | None:
        if settings.files is None:
            return None
        answering = self._answering
        return Files(
            settings.files,
            Statements(settings.database_url, is_pooled=settings.is_pooled),
            self._keeper,
            Promising(settings.promise_key),
            answering.refuse,
            answering.refuse_unused,
        )

    def _make_held(self, settings: Settings) -> HeldCalls | None:
        if settings.relay is None:
            return None
        answering = self._answering
        return HeldCalls(
            NodeLink(settings.relay),
            HeldStatements(settings.database_url, is_pooled=settings.is_pooled),
            self._keeper,
            Promising(settings.promise_key),
            answering.refuse,
            answering.refuse_unused,
            settings.node_timeout_s,
            settings.guess_delay_s,
        )

    async def serve(self, listening: socket.socket) -> None:
        """Serve until told to stop.

        Connections wait a moment for the first snapshot; without a database, calls then answer 503.
        """
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        connecting = asyncio.create_task(self._connect(), name="plane-connect")
        keeping = asyncio.create_task(self._promises.run(), name="plane-promises")
        tidying = asyncio.create_task(self._forget_guesses(), name="plane-guesses")
        stating = asyncio.create_task(keep_stating(self._database_url, "plane", self._volumes))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._keeper.loaded.wait(), FIRST_SNAPSHOT_S)
        server = Server(self._gate)
        await server.start(listening, self._tls)
        await stop.wait()
        server.close()
        await self._answering.close(SHUTDOWN_S)
        await server.wait_closed(SHUTDOWN_S)
        running = (connecting, keeping, tidying, stating)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._promises.flush()
        if self._copies is not None:
            await self._copies.close()
        if self._interfaces is not None:
            await self._interfaces.close()
        if self._files is not None:
            await self._files.close()
        if self._held is not None:
            await self._held.close()
        await self._vault.close()
        await self._database.close()

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

    async def _forget_guesses(self) -> None:
        """Remove the counters of days that are over, now and every hour; workers may do it at once."""
        while True:
            with contextlib.suppress(DatabaseUnavailable):
                await self._database.forget_guesses(legal_day(datetime.now(UTC)))
            await asyncio.sleep(FORGET_EVERY_S)

    async def is_ready(self) -> bool:
        """Tell whether a call could be answered now."""
        try:
            await self._vault.ready()
            return self._keeper.current.epoch >= 0 and await self._database.current_epoch() >= 0
        except (DatabaseUnavailable, VaultError):
            return False
