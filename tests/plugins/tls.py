"""A PostgreSQL over TCP that takes nothing but TLS, its certificate from an authority made for the test."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import psycopg

from shuqiao.embedded import postgres
from shuqiao.embedded.processes import is_root, spawn, system_user
from shuqiao.security.certificates import create_authority_certificate, issue_server_certificate
from tests.plugins.hubs import CLUSTERS
from tests.plugins.places import new_folder
from tests.plugins.ports import free_port
from tests.plugins.server import TestServer

ACCESS = "local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True)
class TlsPlace:
    """Where the server is, and the certificate of the authority that vouches for it."""

    port: int
    password: str
    authority: Path
    other_authority: Path

    def url(self, host: str = "localhost", authority: Path | None = None) -> str:
        """The superuser's address, by which the server's name and certificate are checked."""
        root = quote(str(authority or self.authority), safe="/")
        where = f"{host}:{self.port}/postgres?sslmode=verify-full&sslrootcert={root}"
        return f"postgresql://postgres:{self.password}@{where}"

    @property
    def server(self) -> TestServer:
        """The server as the tests use one."""
        return TestServer(self.url())


@contextmanager
def tls_server(programs: Path) -> Iterator[TlsPlace]:
    """Start a server from these programs; its certificate names `localhost` alone."""
    folder = new_folder("sqs-")
    data = folder / "pg" / "data"
    password = CLUSTERS.copy(programs, data)
    now = datetime.now(UTC)
    authorities = [create_authority_certificate(name, now) for name in ("Sample CA", "Other CA")]
    for name, made in zip(("ca.pem", "other.pem"), authorities, strict=True):
        (folder / name).write_bytes(made.certificate)
    certificate = issue_server_certificate(authorities[0], ["localhost"], now)
    (data / "pg_hba.conf").write_text(ACCESS)
    (data / "server.crt").write_bytes(certificate.certificate)
    (data / "server.key").write_bytes(certificate.key)
    (data / "server.key").chmod(0o600)
    (folder / "s").mkdir()
    if is_root():
        account = system_user(postgres.SYSTEM_USER)
        for path in (data / "server.crt", data / "server.key", folder / "s", folder / "pg"):
            os.chown(path, account.pw_uid, account.pw_gid)
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder / "s"),
        "ssl": "on",
        "fsync": "off",
        "max_connections": "100",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    process = spawn(
        [str(programs / "postgres"), "-D", str(data), *options],
        log=folder / "pg.log",
        environment={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
        user=postgres.SYSTEM_USER if is_root() else None,
        cwd=data,
    )
    try:
        place = TlsPlace(port, password, folder / "ca.pem", folder / "other.pem")
        _wait(place, folder / "pg.log")
        yield place
    finally:
        postgres.stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(place: TlsPlace, log: Path) -> None:
    for _ in range(600):
        try:
            psycopg.connect(place.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())
