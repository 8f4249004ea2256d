"""Servers of departments that keep a log to be read: PostgreSQL, the embedded one and Debian's, and MariaDB."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shuqiao.embedded import postgres
from tests.plugins.departments import Department

DEBIAN = Path("/usr/lib/postgresql")


@dataclass
class LoggedServer:
    """A PostgreSQL server with a logical log that a test may kill and start again."""

    programs: Path
    folder: Path
    place: postgres.PostgresServer = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        """Name its folders; in /tmp, because a socket's path must be short."""
        self.folder.chmod(0o755)
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


def programs_of(kind: str, folder: Path) -> Path:
    """The programs of the embedded server or of Debian's newest, which not every machine has."""
    if kind == "embedded":
        return postgres.runtime(folder)
    found = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    if not found:
        pytest.skip("Debian's PostgreSQL is not installed: sudo apt-get install postgresql")
    return found[-1].parent


@pytest.fixture(scope="session", params=["embedded", "debian"])
def logged_server(request: pytest.FixtureRequest) -> Iterator[LoggedServer]:
    """A server of each version in turn."""
    folder = Path(tempfile.mkdtemp(prefix="sql-"))
    folder.chmod(0o755)
    server = LoggedServer(programs_of(request.param, folder), folder)
    server.start()
    yield server
    server.close()


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
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        admin.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s",
            (name,),
        )
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
