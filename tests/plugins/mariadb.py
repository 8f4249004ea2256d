"""A MariaDB of Debian's, started for the tests and gone after them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pymysql

from tests.plugins.places import new_folder

PROGRAMS = ("mariadbd", "mariadb-install-db")


def is_installed() -> bool:
    """Say whether Debian's package is there."""
    return all(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in PROGRAMS)


LOGGED = (
    "--log-bin=log",
    "--server-id=1",
    "--binlog-format=ROW",
    "--binlog-row-metadata=FULL",
    "--innodb-flush-log-at-trx-commit=1",
)
"""Settings of a server whose log can be read, and which loses nothing when it is killed."""


@dataclass
class MariaServer:
    """A server of its own on a socket, which a test may kill and start again."""

    folder: Path
    settings: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address without a database, for a user who may do all."""
        return f"mysql://root@localhost/?unix_socket={self.folder}/s"

    def install(self) -> None:
        """Make its data."""
        if self._user:
            shutil.chown(self.folder, self._user[0].partition("=")[2])
        subprocess.run(
            [
                "mariadb-install-db",
                *self._common,
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin") or "mariadbd"
        self.process = started(self, [server, *self._common])

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it; SIGKILL ends it as a crash would."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=30)
            self.process = None

    @property
    def _user(self) -> list[str]:
        return ["--user=nobody"] if os.geteuid() == 0 else []

    @property
    def _common(self) -> list[str]:
        return ["--no-defaults", f"--datadir={self.folder}/data", *self._user]


def started(
    server: MariaServer, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server of either kind and wait until it answers."""
    socket = f"{server.folder}/s"
    more = [
        "--skip-networking",
        f"--socket={socket}",
        f"--pid-file={server.folder}/pid",
        "--innodb-flush-log-at-trx-commit=0",
        *server.settings,
    ]
    Path(socket).unlink(missing_ok=True)
    with (server.folder / "log").open("ab") as log:
        process = subprocess.Popen([*command, *more], stdout=log, stderr=log, env=environment)
    _wait(socket, process)
    return process


Server = TypeVar("Server", bound=MariaServer)


@contextmanager
def kept(server: Server) -> Iterator[Server]:
    """Install and start a server; it is gone in the end."""
    try:
        server.install()
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def maria_server(settings: Sequence[str] = ()) -> Iterator[MariaServer]:
    """Start a server; it is gone in the end."""
    with kept(MariaServer(new_folder("sqm-"), settings)) as server:
        yield server


@contextmanager
def running_mariadb(settings: Sequence[str] = ()) -> Iterator[str]:
    """Start a server of its own on a socket; its address without a database, for a user who may do all."""
    with maria_server(settings) as server:
        yield server.url


def _wait(socket: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while True:
        if Path(socket).exists():
            pymysql.connect(unix_socket=socket, user="root").close()
            return
        if time.monotonic() > until or process.poll() is not None:
            raise RuntimeError("the server did not start")
        time.sleep(0.1)
