"""A MariaDB of Debian's, started for the tests and gone after them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pymysql

PROGRAMS = ("mariadbd", "mariadb-install-db")


def is_installed() -> bool:
    """Say whether Debian's package is there."""
    return all(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in PROGRAMS)


LOGGED = ("--log-bin=log", "--server-id=1", "--binlog-format=ROW", "--binlog-row-metadata=FULL")
"""Settings of a server whose log can be read."""


@contextmanager
def running_mariadb(settings: Sequence[str] = ()) -> Iterator[str]:
    """Start a server of its own on a socket; its address without a database, for a user who may do all."""
    folder = Path(tempfile.mkdtemp(prefix="sqm-"))
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    common = ["--no-defaults", f"--datadir={folder}/data", *([f"--user={user}"] if user else [])]
    socket = f"{folder}/s"
    try:
        subprocess.run(
            ["mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin") or "mariadbd"
        more = [
            "--skip-networking",
            f"--socket={socket}",
            f"--pid-file={folder}/pid",
            "--innodb-flush-log-at-trx-commit=0",
            *settings,
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([server, *common, *more], stdout=log, stderr=log)
        try:
            _wait(socket, process)
            yield f"mysql://root@localhost/?unix_socket={socket}"
        finally:
            process.terminate()
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(socket: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while True:
        if Path(socket).exists():
            pymysql.connect(unix_socket=socket, user="root").close()
            return
        if time.monotonic() > until or process.poll() is not None:
            raise RuntimeError("MariaDB did not start")
        time.sleep(0.1)
