"""Servers of departments whose log can be read: PostgreSQL, the embedded one and Debian's, MariaDB, MySQL."""

from __future__ import annotations

import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from shuqiao.edge.connectors.mysql import connection_options
from shuqiao.embedded import postgres
from tests.plugins import mysql
from tests.plugins.departments import Department, in_mariadb
from tests.plugins.mariadb import LOGGED, MariaServer, is_installed, maria_server
from tests.plugins.mysql import MysqlServer, mysql_server
from tests.plugins.places import embedded_programs, new_folder

DEBIAN = Path("/usr/lib/postgresql")


@dataclass
class LoggedServer:
    """A PostgreSQL server with a logical log that a test may kill and start again."""

    programs: Path
    folder: Path
    place: postgres.PostgresServer = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        """Name its folders."""
        self.place = postgres.PostgresServer(
            self.folder / "pg" / "data", self.folder / "s", self.folder / "pg.log", "logged"
        )

    def start(self) -> None:
        """Start it, the first time with what its log needs."""
        is_new = not self.place.data.exists()
        self.process = postgres.start(self.place, programs=self.programs, durable=False)
        if is_new:
            with psycopg.connect(self.place.url(), autocommit=True) as link:
                for setting in ("wal_level = logical", "max_replication_slots = 40", "max_wal_senders = 40"):
                    link.execute(f"ALTER SYSTEM SET {setting}")
            self.end()
            self.process = postgres.start(self.place, programs=self.programs, durable=False)

    def end(self, number: int = signal.SIGINT) -> None:
        """End it; SIGQUIT ends it as a crash would."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=30)
            self.process = None

    def close(self) -> None:
        """End it and remove its folder."""
        self.end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


def programs_of(kind: str) -> Path:
    """The programs of the embedded server or of Debian's newest, which not every machine has."""
    if kind == "embedded":
        return embedded_programs()
    found = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    if not found:
        pytest.skip("Debian's PostgreSQL is not installed: sudo apt-get install postgresql")
    return found[-1].parent


@contextmanager
def _running(kind: str) -> Iterator[LoggedServer]:
    server = LoggedServer(programs_of(kind), new_folder("sql-"))
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def logged_embedded() -> Iterator[LoggedServer]:
    """The embedded server with a logical log."""
    with _running("embedded") as server:
        yield server


@pytest.fixture(scope="session")
def logged_debian() -> Iterator[LoggedServer]:
    """Debian's server with a logical log."""
    with _running("debian") as server:
        yield server


@dataclass(frozen=True)
class LoggedSource:
    """A new database on a server whose log can be read, and which can be killed."""

    department: Department
    connect: Callable[[], Any]
    server: LoggedServer | MariaServer

    @property
    def url(self) -> str:
        """Its address for the node."""
        return self.department.url

    @property
    def run(self) -> Callable[..., Any]:
        """Runs a statement in it."""
        return self.department.run

    def rows(self, sql: str = "SELECT id, step, note, amount FROM t") -> list[tuple[Any, ...]]:
        """Return rows, all values as texts."""
        link = self.connect()
        cursor = link.cursor()
        cursor.execute(sql)
        rows = [tuple(None if one is None else str(one) for one in row) for row in cursor.fetchall()]
        link.close()
        return rows

    def kill(self) -> None:
        """End the server as a crash would."""
        self.server.end(signal.SIGKILL if isinstance(self.server, MariaServer) else signal.SIGQUIT)

    def start(self) -> None:
        """Start it again."""
        self.server.start()


@pytest.fixture(scope="session")
def logged_mariadb() -> Iterator[MariaServer]:
    """A MariaDB server with a log that can be read."""
    if not is_installed():
        pytest.skip("MariaDB is not installed: sudo apt-get install mariadb-server-core mariadb-client-core")
    with maria_server(LOGGED) as server:
        yield server


@pytest.fixture(scope="session")
def logged_mysql() -> Iterator[MysqlServer]:
    """A MySQL server with a log that can be read."""
    with mysql_server(mysql.LOGGED) as server:
        yield server


@pytest.fixture(params=["embedded", "debian", "mariadb", "mysql"])
def logged_source(request: pytest.FixtureRequest) -> Iterator[LoggedSource]:
    """A new database of each kind in turn."""
    if request.param in ("mariadb", "mysql"):
        server: MariaServer = request.getfixturevalue(f"logged_{request.param}")
        with in_mariadb(server.url) as made:
            options = connection_options(made.url) | {"autocommit": False}
            yield LoggedSource(made, lambda: pymysql.connect(**options), server)
        return
    other = request.getfixturevalue(f"logged_{request.param}")
    with in_logged(other) as made:
        yield LoggedSource(made, lambda: psycopg.connect(made.url, connect_timeout=5), other)


@contextmanager
def in_logged(server: LoggedServer) -> Iterator[Department]:
    """A new database on the server, dropped in the end with its slots."""
    name = f"d{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.place.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = server.place.url(name)

    def run(sql: str, rows: Sequence[Sequence[Any]] | None = None) -> None:
        with psycopg.connect(url, autocommit=True) as link:
            if rows is None:
                link.execute(sql.encode())
            else:
                link.cursor().executemany(sql.encode(), rows)

    yield Department("postgresql", url, run, "timestamp")
    with psycopg.connect(server.place.url(), autocommit=True) as admin:
        # Each is waited for: a slot can't be dropped while its reader ends.
        admin.execute(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        admin.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s",
            (name,),
        )
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
