"""The loader's process: `python -m shuqiao.loader.main`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import asyncpg

from shuqiao.loader import ledger
from shuqiao.loader.consumer import OUTAGES, DepartmentConsumer, ReceiptKey, Workshop
from shuqiao.loader.receipts import ReceiptsService
from shuqiao.loader.reconciling import Reconciler
from shuqiao.loader.reports import ReportsService
from shuqiao.loader.settings import LoaderSettings, SettingsError, load_settings
from shuqiao.loader.streams import ensure_stream
from shuqiao.security.keys import (
    KeyRefusedError,
    algorithm_of,
    key_id,
    load_secret_file,
    load_signing_key,
)
from shuqiao.security.tls import tell_database
from shuqiao.wire import nats_client
from shuqiao.wire.subjects import RECEIPTS_ALL, REPORTS_ALL
from shuqiao.wire.tasks import end_tasks
from shuqiao.wire.vault import VaultClient

_log = logging.getLogger("shuqiao.loader")
_LOOK_S = 1.0
_START_RETRY_S = 1.0
T = TypeVar("T")


def load_receipt_key(settings: LoaderSettings) -> ReceiptKey:
    """Read the Ed25519 key that signs receipts."""
    key = load_signing_key(settings.receipt_key_file)
    if algorithm_of(key) != "ed25519":
        raise SettingsError("LOADER_RECEIPT_KEY_FILE must hold an Ed25519 key")
    return ReceiptKey(key_id(key.public_key()), key)


class Loader:
    """A consumer for each department that has a node, and the service that answers for receipts."""

    def __init__(self, workshop: Workshop) -> None:
        """Nothing is consumed yet."""
        self._shop = workshop
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a fault nobody foresaw ends the process, which may then start anew."""
        ended = asyncio.ensure_future(stop.wait())
        watching = asyncio.ensure_future(self._watch())
        reconciling = asyncio.ensure_future(Reconciler(self._shop).run())
        try:
            while not ended.done():
                tasks = {ended, watching, reconciling, *self._tasks.values()}
                done, _ = await asyncio.wait(tasks, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            await end_tasks([ended, watching, reconciling, *self._tasks.values()])

    async def _watch(self) -> None:
        """Start a consumer for every department admitted meanwhile."""
        while True:
            try:
                for department in await ledger.departments(self._shop.pool):
                    if department not in self._tasks:
                        consumer = DepartmentConsumer(self._shop, department)
                        self._tasks[department] = asyncio.create_task(consumer.run())
            except OUTAGES as error:
                _log.warning("departments_unknown %s", type(error).__name__)
            await asyncio.sleep(_LOOK_S)


async def _until_there(what: str, attempt: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T:
    """Call `attempt` until it succeeds: the parts of the hub start in any order."""
    while not stop.is_set():
        try:
            return await attempt()
        except OUTAGES as error:
            _log.info("waiting_for %s %s", what, type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(_START_RETRY_S):
                    await stop.wait()
    raise asyncio.CancelledError


async def _serve(settings: LoaderSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    receipt_key = load_receipt_key(settings)
    vault = VaultClient(settings.vault_socket, "loader", load_secret_file(settings.vault_key_file))
    with suppress(asyncio.CancelledError):
        pool = await _until_there("database", lambda: _open_pool(settings), stop)
        client = await _until_there("nats", lambda: _connect(settings), stop)
        stream = client.jetstream(timeout=10)
        keep = partial(ensure_stream, stream, settings.stream_max_bytes, settings.stream_replicas)
        await _until_there("stream", keep, stop)
        workshop = Workshop(pool, stream, keep, vault, receipt_key)
        service = ReceiptsService(workshop)
        await client.subscribe(RECEIPTS_ALL, queue="loader", cb=service.answer)
        await client.subscribe(REPORTS_ALL, queue="loader", cb=ReportsService(workshop).answer)
        _log.info("loader_ready")
        await Loader(workshop).run(stop)
        await vault.close()
        await client.close()
        pool.terminate()


async def _open_pool(settings: LoaderSettings) -> asyncpg.Pool:
    async def keep(_connection: object) -> None:
        # No statement leaves anything in its session, and to reset that would cost a round trip per use.
        return None

    return await asyncpg.create_pool(settings.database_url, min_size=1, max_size=10, timeout=10, reset=keep)


async def _connect(settings: LoaderSettings) -> nats_client.Client:
    return await nats_client.connect(
        settings.nats_url, settings.credentials_file, settings.authority_file, name="loader"
    )


def main() -> int:
    """Run the loader until SIGTERM; 2 for wrong settings or keys."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        settings = load_settings(os.environ)
        tell_database(settings.database_url, _log)
        asyncio.run(_serve(settings))
    except (SettingsError, KeyRefusedError) as error:
        _log.error("loader_settings_wrong %s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
