"""The PostgreSQL of the tests: an embedded one, or the one SHUQIAO_TEST_DATABASE names (a superuser's URL).

Loaded before the settings of the control are read, because those need to know where the database will be. The
embedded server is started by the first test that asks for it.
"""

import atexit
import os
import secrets
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from shuqiao.embedded import hub, postgres
from tests.plugins.clusters import TEMPLATE
from tests.plugins.hubs import CLUSTERS, copy_hub, drop, environment, has_template, make_hub
from tests.plugins.places import embedded_programs, new_folder

PASSWORD = secrets.token_hex(16)
"""One password for every role of the test server; it lives as long as the run."""


@dataclass
class TestServer:
    """The server of this run, started when `superuser` is first asked for."""

    __test__ = False
    external: str | None
    folder: Path = field(default_factory=lambda: new_folder("sqp-"))
    started: subprocess.Popen[bytes] | None = None
    ready: bool = False

    @property
    def embedded(self) -> postgres.PostgresServer:
        """The embedded server's place; its path is short, as a socket's must be."""
        return postgres.PostgresServer(
            self.folder / "pg" / "data", self.folder / "s", self.folder / "pg.log", PASSWORD
        )

    @property
    def programs(self) -> Path:
        """The programs of a server of our own: the embedded ones unless others are named."""
        named = os.environ.get("SHUQIAO_TEST_PROGRAMS")
        if named:
            return Path(named)
        return embedded_programs()

    def url(self, database: str, role: str | None = None) -> str:
        """The URL of `database` for `role`, or for the superuser; starts nothing."""
        if self.external is None:
            return self.embedded.url(database, role or postgres.SUPERUSER)
        parts = urlsplit(self.external)
        if role is None:
            return urlunsplit(parts._replace(path=f"/{database}"))
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(path=f"/{database}", netloc=f"{role}:{quote(PASSWORD)}@{place}"))

    def superuser(self, database: str = "postgres") -> str:
        """The superuser's URL of `database` on the running server."""
        if not self.ready:
            self._start()
        return self.url(database)

    def _start(self) -> None:
        if self.external is None:
            programs = self.programs
            kept = replace(self.embedded, password=CLUSTERS.copy(programs, self.embedded.data))
            # A killed process loses nothing the kernel already has; only a power cut needs the flushes.
            self.started = postgres.start(kept, programs=programs, durable=False)
            with psycopg.connect(kept.url(), autocommit=True) as connection:
                connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(PASSWORD))
        self.ready = True
        hub.create_roles(self.url("postgres"), dict.fromkeys(hub.ROLES, PASSWORD))

    def halt(self, number: int = signal.SIGINT) -> None:
        """End the embedded server and keep its data; SIGQUIT ends it as a crash would."""
        if self.started is None:
            raise RuntimeError("not a server of our own")
        self.started.send_signal(number)
        self.started.wait(timeout=60)

    def resume(self) -> None:
        """Start it again."""
        self.started = postgres.start(self.embedded, programs=self.programs, durable=False)

    def close(self) -> None:
        """End the embedded server and remove its folder."""
        if self.started is not None and self.started.poll() is None:
            postgres.stop(self.started)
        shutil.rmtree(self.folder, ignore_errors=True)


SERVER = TestServer(os.environ.get("SHUQIAO_TEST_DATABASE"))
RUN = uuid.uuid4().hex[:8]


os.environ |= environment(SERVER.folder, SERVER.url(f"sq_{RUN}_django", "shuqiao_control"))
atexit.register(SERVER.close)


@pytest.fixture(scope="session")
def pg_server() -> TestServer:
    """The running server; `.superuser(database)` and `.url(database, role)` give URLs."""
    SERVER.superuser()
    return SERVER


@pytest.fixture(scope="session")
def hub_template(pg_server: TestServer) -> Iterator[str]:
    """Name of a hub database with all migrations applied, to copy from."""
    if has_template(pg_server.superuser()):
        yield TEMPLATE
        return
    name = f"sq_{RUN}_template"
    make_hub(pg_server.superuser(), pg_server.url(name, "shuqiao_owner"), name)
    yield name
    drop(pg_server.superuser(), name)


@pytest.fixture
def own_server() -> Iterator[TestServer]:
    """A server that a test may stop."""
    made = TestServer(None)
    made.superuser()
    yield made
    made.close()


@dataclass(frozen=True)
class Hub:
    """One test's own hub database."""

    name: str
    server: TestServer

    @property
    def superuser(self) -> str:
        """URL of the superuser."""
        return self.server.url(self.name)

    def role(self, role: str) -> str:
        """URL of a process's role, such as `shuqiao_plane`."""
        return self.server.url(self.name, role)


@pytest.fixture
def hub_database(pg_server: TestServer, hub_template: str):
    """A fresh hub database with all migrations applied and no rows of ours."""
    name = f"sq_{RUN}_{uuid.uuid4().hex[:8]}"
    copy_hub(pg_server.superuser(), hub_template, name)
    yield Hub(name, pg_server)
    drop(SERVER.superuser(), name)


@pytest.fixture
def hub_url(hub_database: Hub) -> str:
    """The superuser's URL of a fresh hub database."""
    return hub_database.superuser


@pytest.fixture
def vault_url(pg_server: TestServer):
    """URL of role `shuqiao_vault` on a fresh, empty database of its own."""
    name = f"sq_{RUN}_v{uuid.uuid4().hex[:8]}"
    hub.create_database(pg_server.superuser(), name, "shuqiao_vault")
    yield pg_server.url(name, "shuqiao_vault")
    drop(SERVER.superuser(), name)


@pytest.fixture
def empty_database(pg_server: TestServer):
    """The superuser's URL of a fresh, empty database, such as a department's own."""
    name = f"sq_{RUN}_d{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_server.superuser(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0").format(
                sql.Identifier(name)
            )
        )
    yield pg_server.url(name)
    drop(SERVER.superuser(), name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what touches PostgreSQL, so that it can be run on another server as well."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if names & {"pg_server", "hub_template", "db", "transactional_db"}:
            item.add_marker(pytest.mark.database)
