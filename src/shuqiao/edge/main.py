"""The node's process: `python -m shuqiao.edge.main`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from shuqiao.edge import status
from shuqiao.edge.batches import Sender
from shuqiao.edge.capture import Capture
from shuqiao.edge.capture_state import Pace
from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.kept import Keeping
from shuqiao.edge.connectors.opening import UnknownSource, open_log, open_source
from shuqiao.edge.cover import Cover
from shuqiao.edge.disk import DiskFull, is_full
from shuqiao.edge.following import Following
from shuqiao.edge.heartbeat import Heartbeat
from shuqiao.edge.held.checking import Trusted, held_table
from shuqiao.edge.held.line import HeldLine
from shuqiao.edge.held.reporting import Reporter, Rhythm
from shuqiao.edge.held.store import Store
from shuqiao.edge.hub import Hub
from shuqiao.edge.interface_files import NodeInterface, load_interfaces
from shuqiao.edge.mapping import MappingError, TableMapping, load_mappings
from shuqiao.edge.publish import Delivery
from shuqiao.edge.quarantine import Quarantine
from shuqiao.edge.receive.reading import load_subscriptions
from shuqiao.edge.receive.status import describe
from shuqiao.edge.reconciling import Reconciling
from shuqiao.edge.screening import RulesInForce, Screening
from shuqiao.edge.settings import NodeSettings, SettingsError, load_settings
from shuqiao.edge.spool import Spool
from shuqiao.security.keys import KeyRefusedError, SigningKey, load_public_der
from shuqiao.security.tls import tell_database
from shuqiao.security.volumes import tell
from shuqiao.wire import nats_client, node_home
from shuqiao.wire.enrolment import Admission
from shuqiao.wire.subjects import inbox_prefix
from shuqiao.wire.tasks import end_tasks

if TYPE_CHECKING:
    from shuqiao.edge.interface import InterfaceLine
    from shuqiao.edge.receive.line import ReceiveLine

_log = logging.getLogger("shuqiao.edge")
_STATUS_S = 1.0
_CLEAR_S = 3600.0
HELD_CONNECTIONS = 4


class Node:
    """All lines of one department's node: for each mapped table a capture and a delivery."""

    def __init__(self, settings: NodeSettings) -> None:
        """Read keys, admission and mappings, and open the spool; raises what `main` reports."""
        admission = _admission(settings)
        interfaces = load_interfaces(settings.interface_folder)
        files = node_home.NodeFiles(settings.home)
        key = node_home.load_key(settings.home)
        self._receiving = _receiving(files, key)
        # A department may share by its interface alone, or receive only.
        is_needed = not interfaces and not self._receiving
        mappings = load_mappings(settings.mapping_folder, admission.resources, is_needed=is_needed)
        sender = _sender(settings, admission)
        self._settings = settings
        self._nats_url = _message_server(settings, admission)
        self._files = files
        cover = Cover(self._files.cover_key, settings.suite)
        self._spool = Spool(self._files.spool, cover)
        self._quarantine = Quarantine(self._files.quarantine, cover, settings.held_rows)
        rules = RulesInForce(self._files.screening)
        keeping = Keeping(self._files.spool.parent, cover)
        self._source = open_source(settings.source_url, keeping)
        self._held_source = open_source(settings.source_url, keeping, HELD_CONNECTIONS)
        link = nats_client.Link()
        self._hub = Hub(settings.department, partial(self._connect, link), link)
        keys = {key.id: load_public_der(key.public_key) for key in admission.receipt_keys}
        pace = Pace(
            settings.batch_rows,
            settings.poll_s,
            settings.overlap_s,
            settings.spool_max_bytes,
            settings.disk_reserve_bytes,
        )
        self._interfaces = _interfaces(settings.department, interfaces, self._connect)
        self._lines = []
        self._open_held(settings, admission, [one for one in mappings if one.is_held], cover)
        for mapping in mappings:
            if mapping.is_held:
                continue
            spec = admission.resources[mapping.resource]
            screening = Screening(mapping, spec, cover, self._quarantine, rules)
            parts = (mapping, spec, self._source, self._spool, cover, sender, self._hub, pace, screening)
            if mapping.way.by == "log":
                opening = partial(open_log, settings.source_url)
                capture: Capture = Following(*parts, open_log=opening, log_max_bytes=settings.log_max_bytes)
            else:
                capture = Capture(*parts)
            delivery = Delivery(settings.department, capture, self._spool, self._hub, keys, settings.resend_s)
            self._lines.append((capture, delivery))
        captures = {capture.mapping.resource: capture for capture, _ in self._lines}
        self._reconciling = Reconciling(captures, self._hub, sender, cover, min(1.0, settings.state_s))
        self._heartbeat = Heartbeat(
            [capture for capture, _ in self._lines],
            self._hub,
            sender.key,
            self._describe,
            self._spool.size_bytes,
            self._files.orders,
            settings.authority_file,
            settings.state_s,
            rules,
            self._reconciling,
        )

    def _open_held(
        self, settings: NodeSettings, admission: Admission, mappings: list[TableMapping], cover: Cover
    ) -> None:
        """Make what answers about records that stay here."""
        self._held_store = Store(self._files.held) if mappings else None
        self._held: list[HeldLine | Reporter] = []
        if self._held_store is None:
            return
        authorities = tuple(x509.load_pem_x509_certificates(self._files.authority.read_bytes()))
        grant_keys = {key.id: load_public_der(key.public_key) for key in admission.grant_keys}
        trusted = Trusted(settings.department, authorities, grant_keys)
        tables = {
            mapping.resource: held_table(mapping, admission.resources[mapping.resource])
            for mapping in mappings
        }
        store, key = self._held_store, node_home.load_key(settings.home)
        rhythm = Rhythm(settings.report_s, settings.report_margin_s)
        self._held = [
            HeldLine(trusted, tables, self._held_source, store, cover, key, self._connect),
            Reporter(settings.department, tuple(tables), store, key, self._connect, rhythm),
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a fault nobody foresaw ends the process, which may then start anew."""
        work: list[Awaitable[None]] = [self._watch(), self._heartbeat.run(), self._reconciling.run()]
        work += [self._clear(), *(line.run() for line in self._interfaces)]
        work += [part.run() for line in self._lines for part in line]
        work += [part.run() for part in self._held]
        work += [line.run() for line in self._receiving]
        tasks = [asyncio.ensure_future(part) for part in work]
        ended = asyncio.ensure_future(stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end_tasks([*tasks, ended])
            for capture, _ in self._lines:
                await capture.close()
            await self._source.close()
            await self._held_source.close()
            with suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(self._hub.close(), 2)
            self._spool.close()
            self._quarantine.close()
            if self._held_store is not None:
                self._held_store.close()

    async def _connect(self, link: nats_client.Link | None = None) -> nats_client.Client:
        settings = self._settings
        return await nats_client.connect(
            self._nats_url,
            settings.credentials_file,
            settings.authority_file,
            name=f"node-{settings.department}",
            inbox_prefix=inbox_prefix(settings.department),
            link=link,
        )

    def _describe(self) -> status.NodeStatus:
        now = status.describe(self._settings.department, self._hub, self._spool, self._lines)
        return msgspec.structs.replace(now, subscriptions=describe(self._receiving))

    async def _clear(self) -> None:
        """Remove what is held for resources that have had no mapping for long."""
        mapped = {capture.mapping.resource for capture, _ in self._lines}
        while True:
            try:
                for resource in await asyncio.to_thread(self._quarantine.unmapped, mapped, time.time()):
                    # Should it be mapped again, its rows are read anew.
                    state = await asyncio.to_thread(self._spool.state, resource)
                    if state is not None:
                        version = state.position.mapping
                        await asyncio.to_thread(self._spool.restart_load, resource, version)
                    gone = await asyncio.to_thread(self._quarantine.remove, resource, time.time())
                    _log.warning("held_rows_removed %s rows=%d", resource, gone.rows)
            except (DiskFull, sqlite3.OperationalError) as error:
                # The person's commands may hold the file, and a full disk is told of elsewhere.
                _log.info("held_rows_stay %s", type(error).__name__)
            await asyncio.sleep(_CLEAR_S)

    async def _watch(self) -> None:
        while True:
            now = await asyncio.to_thread(self._describe)
            volumes: dict[str, str] = {one.place: one.state for one in self._settings.volumes}
            now = msgspec.structs.replace(now, volumes=volumes)
            try:
                await asyncio.to_thread(status.write_status, self._files.status, now)
            except OSError as error:
                # The hub is told all the same, and the file is written when there is room.
                if not is_full(error):
                    raise
            await asyncio.sleep(_STATUS_S)


def _receiving(files: node_home.NodeFiles, key: SigningKey) -> list[ReceiveLine]:
    """Make a line for each subscription; what speaks HTTP is loaded by nodes that need it only."""
    subscriptions = load_subscriptions(files.subscriptions)
    if not subscriptions:
        return []
    from shuqiao.edge.receive.line import ReceiveLine

    return [ReceiveLine(one, files.positions, key) for one in subscriptions]


def _interfaces(
    department: str,
    interfaces: Mapping[str, NodeInterface],
    connect: Callable[[], Awaitable[nats_client.Client]],
) -> list[InterfaceLine]:
    """Make what passes calls on, where the department has interfaces."""
    if not interfaces:
        return []
    from shuqiao.edge.interface import InterfaceLine

    return [InterfaceLine(department, interfaces, connect)]


def _admission(settings: NodeSettings) -> Admission:
    try:
        admission = node_home.load_admission(settings.home)
    except FileNotFoundError:
        raise SettingsError(f"{settings.home} holds no admission: enrol the node first") from None
    except msgspec.DecodeError:
        raise SettingsError(f"the admission in {settings.home} can't be read: enrol the node again") from None
    if admission.department != settings.department:
        raise SettingsError(f"the admission in {settings.home} is for {admission.department}")
    return admission


def _message_server(settings: NodeSettings, admission: Admission) -> str:
    """The setting, or the address that came with the admission."""
    url = settings.nats_url or admission.nats_url
    if not url:
        raise SettingsError("NATS_URL is not set, and the admission names no message server")
    try:
        nats_client.addresses(url)
    except ValueError as error:
        raise SettingsError(f"the admission's address of the message server {error}") from None
    return url


def _sender(settings: NodeSettings, admission: Admission) -> Sender:
    vault_key = load_public_der(admission.vault_key.public_key)
    if not isinstance(vault_key, X25519PublicKey):
        raise SettingsError("the admission names a vault key that is not X25519")
    return Sender(settings.department, node_home.load_key(settings.home), vault_key)


async def _serve(settings: NodeSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Node(settings).run(stop)


def main() -> int:
    """Run the node until SIGTERM; 2 for wrong settings, keys or mapping files."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        settings = load_settings(os.environ)
        tell(settings.volumes, _log)
        if settings.source_url.startswith(("postgresql:", "postgres:")):
            tell_database(settings.source_url, _log)
        asyncio.run(_serve(settings))
    except (SettingsError, SourceError, UnknownSource, MappingError, KeyRefusedError) as error:
        _log.error("node_settings_wrong %s", error)
        return 2
    except sqlite3.OperationalError as error:
        _log.error("spool_unusable %s", error)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
