"""The vault's process: `python -m shuqiao.vault.main`, settings from the environment (see `settings`).

Started as root, it opens every file and its socket first and then becomes VAULT_USER for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import grp
import logging
import os
import pwd
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import uvloop
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.rules.name_variants import Variants, VariantsFaulty, parse_variants
from shuqiao.security.keys import (
    KeyRefusedError,
    load_or_create_sealing_key,
    load_sealing_key,
    load_secret_file,
    random_secret_file,
)
from shuqiao.security.tls import tell_database
from shuqiao.security.volumes import tell
from shuqiao.vault.keys import MASTER_KEY_BYTES
from shuqiao.vault.operations import Operations
from shuqiao.vault.peer import Limits
from shuqiao.vault.roots import open_keys
from shuqiao.vault.server import VaultServer
from shuqiao.vault.settings import SettingsInvalid, VaultSettings, load_settings
from shuqiao.vault.store import WrongMasterKey, migrate, migrations, open_pool
from shuqiao.vault.warm import load_everything
from shuqiao.wire.outages import DATABASE_TROUBLES
from shuqiao.wire.vault import ALLOWED

if TYPE_CHECKING:
    from shuqiao.vault.store import Pool

log = logging.getLogger("shuqiao.vault")

POOL_SIZE = 8
SOCKET_MODE = 0o660
DATABASE_PATIENCE_S = 30.0
"""How long the vault waits at its start for a database that is still starting itself."""

_NOT_YET = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)
_RETRY_S = 0.5
_BACKLOG = 64
_PR_SET_PDEATHSIG = 1
_PR_GET_PDEATHSIG = 2


class StartRefused(Exception):
    """The vault can't start safely; the message says why and what to do."""


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """Everything read from files before the process gives up its rights.

    `repr` doesn't show the keys.
    """

    master_key: bytes
    sealing_key: X25519PrivateKey
    client_keys: Mapping[str, bytes]
    listening: socket.socket
    variants: Variants | None = None


def open_everything(settings: VaultSettings) -> Opened:
    """Read or make the keys and open the socket."""
    if settings.create_key:
        master = random_secret_file(settings.key_file, MASTER_KEY_BYTES)
        sealing_key = load_or_create_sealing_key(settings.sealing_key_file)
        client_keys = {name: random_secret_file(settings.client_keys / name) for name in sorted(ALLOWED)}
    else:
        master = load_secret_file(settings.key_file, MASTER_KEY_BYTES)
        sealing_key = load_sealing_key(settings.sealing_key_file)
        client_keys = {name: load_secret_file(settings.client_keys / name) for name in sorted(ALLOWED)}
    return Opened(master, sealing_key, client_keys, listen(settings), _variants(settings))


def _variants(settings: VaultSettings) -> Variants | None:
    if settings.name_variants is None:
        return None
    try:
        return parse_variants(settings.name_variants.read_text(encoding="utf-8"))
    except (VariantsFaulty, UnicodeDecodeError) as error:
        raise StartRefused(f"VAULT_NAME_VARIANTS can't be used: {error}") from error


def listen(settings: VaultSettings) -> socket.socket:
    """Open the socket for its group only; a socket left by a killed vault is replaced, a live one is not."""
    path = settings.socket
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.is_socket():
        if _answers(str(path)):
            raise StartRefused(f"another vault answers at {path}: stop it first")
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Nobody can connect between creation and the final mode.
    previous = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(previous)
    group = (
        path.parent.stat().st_gid
        if settings.socket_group is None
        else grp.getgrnam(settings.socket_group).gr_gid
    )
    with contextlib.suppress(PermissionError):
        # An ordinary user keeps its own group where it may not give the socket to another.
        os.chown(path, -1, group)
    path.chmod(SOCKET_MODE)
    listening.listen(_BACKLOG)
    listening.setblocking(False)
    return listening


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


def drop_rights(user: str) -> None:
    """Become `user` for good; the parent's death signal, which the kernel clears here, is set again."""
    account = pwd.getpwnam(user)
    if account.pw_uid == 0:
        raise StartRefused("VAULT_USER must not be root")
    libc = ctypes.CDLL(None, use_errno=True)
    death_signal = ctypes.c_int(0)
    libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(death_signal), 0, 0, 0)
    os.setgroups([])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    libc.prctl(_PR_SET_PDEATHSIG, death_signal.value, 0, 0, 0)
    # Root's home is neither readable nor any business of this user: nothing may look for files there.
    os.environ["HOME"] = "/nonexistent"
    os.chdir("/")


def calm_collector() -> None:
    """Let the cyclic garbage collector look seldom, and never at what lives as long as the process.

    A batch is tens of thousands of small objects without cycles; with the usual thresholds, going through
    them again and again took almost half of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


async def open_waiting_pool(database_url: str, stop: asyncio.Event, patience_s: float) -> Pool | None:
    """Open the pool as soon as the database answers: after a power cut both start at once, in any order.

    None when `stop` was set meanwhile. Raises the last refusal after `patience_s`; a wrong password or a
    database that isn't there will not pass by waiting, and is raised at once.
    """
    deadline = time.monotonic() + patience_s
    while not stop.is_set():
        try:
            return await open_pool(database_url, POOL_SIZE)
        except _NOT_YET as error:
            if time.monotonic() + _RETRY_S > deadline:
                raise
            log.info("waiting_for_database reason=%s", type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RETRY_S)
    return None


async def run(settings: VaultSettings, opened: Opened) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pool = await open_waiting_pool(settings.database_url, stop, DATABASE_PATIENCE_S)
    if pool is None:
        return
    try:
        await migrate(pool)
        keys = await open_keys(pool, opened.master_key)
        operations = Operations(pool, keys, opened.sealing_key, opened.variants)
        server = VaultServer(operations, pool, opened.client_keys, Limits())
        await server.serve(opened.listening, stop)
        await operations.close()
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), timeout=5)
        pool.terminate()


def main() -> int:
    """Start the vault; returns the exit status."""
    _log_to_standard_error()
    try:
        settings = load_settings(os.environ)
        # A core dump would hold every key.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        tell(settings.volumes, log)
        tell_database(settings.database_url, log)
        opened = open_everything(settings)
        # The text of the migrations lies beside the program, where the later user may not be let in.
        migrations()
        load_everything()
        if settings.user is not None and os.geteuid() == 0:
            drop_rights(settings.user)
        calm_collector()
        uvloop.run(run(settings, opened))
    except SettingsInvalid as error:
        for fault in error.faults:
            log.error("setting_invalid %s", fault)
        return 2
    except (StartRefused, KeyRefusedError, WrongMasterKey) as error:
        log.error("start_refused %s", error)
        return 2
    except DATABASE_TROUBLES as error:
        log.error("vault_failed reason=%s", type(error).__name__)
        return 1
    return 0


def _log_to_standard_error() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.Formatter.converter = time.gmtime


if __name__ == "__main__":
    sys.exit(main())
