"""A real pgbouncer in transaction mode before the server of a test."""

import contextlib
import getpass
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from shuqiao.embedded.postgres import SYSTEM_USER
from shuqiao.embedded.processes import is_root, system_user
from tests.plugins.ports import free_port
from tests.plugins.server import Hub, TestServer

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
CONNECTIONS = 2

SETTINGS = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 100
"""


@contextlib.contextmanager
def running_pooler(server: TestServer, *roles: str, size: int = CONNECTIONS) -> Iterator[int]:
    """A pooler for these roles, with so many connections to the server for each of them; gives its port."""
    if not Path(PROGRAM).exists():
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    places = {role: conninfo_to_dict(server.url("postgres", role)) for role in roles}
    place = next(iter(places.values()))
    folder = Path(tempfile.mkdtemp(prefix="sqb-"))
    listen = free_port()
    words = {"host": place["host"], "port": place.get("port", 5432), "listen": listen, "folder": folder}
    (folder / "pgbouncer.ini").write_text(SETTINGS.format(**words, size=size))
    users = [f'"{role}" "{own["password"]}"\n' for role, own in places.items()]
    (folder / "users").write_text("".join(users))
    user = SYSTEM_USER if is_root() else getpass.getuser()
    if is_root():
        account = system_user(user)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, account.pw_uid, account.pw_gid)
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [PROGRAM, str(folder / "pgbouncer.ini")],
        stdout=log,
        stderr=log,
        user=user if is_root() else None,
        cwd=folder,
    )
    try:
        _wait_for(listen, process, folder / "log")
        yield listen
    finally:
        process.kill()
        process.wait(timeout=60)
        log.close()
        shutil.rmtree(folder)


def through(port: int, hub: Hub, role: str) -> str:
    """The URL of a role by way of the pooler."""
    password = conninfo_to_dict(hub.role(role))["password"]
    return f"postgresql://{role}:{password}@127.0.0.1:{port}/{hub.name}"


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())
