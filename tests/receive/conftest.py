"""A city with copies, a consumer's node, and databases of three kinds that it writes to."""

import contextlib
import sqlite3
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import psycopg
import pymysql
import pytest

from shuqiao.edge.status import NodeStatus
from shuqiao.security import keys
from shuqiao.security.certificates import create_authority_certificate
from shuqiao.wire import node_home
from shuqiao.wire.enrolment import Admission, HubKey
from tests.bulk.conftest import ITEMS, PERMITS, CopyCity, running_copy_city
from tests.bulk.test_feeds import merge
from tests.loader.line import Child, wait_for
from tests.plane import conftest as plane
from tests.plugins.departments import in_mariadb
from tests.plugins.server import RUN, TestServer

CONSUMER = "440100-housing"
NAME = "permits"
TABLES = {
    "postgresql": "CREATE TABLE permits (shuqiao_key text PRIMARY KEY, number varchar(12) UNIQUE, kind text,"
    " issued date, changed timestamptz, remark text, gone_at timestamptz, local text DEFAULT 'ours')",
    "mysql": "CREATE TABLE permits (shuqiao_key varchar(64) PRIMARY KEY, number varchar(12) UNIQUE,"
    " kind varchar(10), issued date, changed datetime(6), remark text, gone_at datetime(6),"
    " local varchar(10) DEFAULT 'ours')",
    "sqlite": "CREATE TABLE permits (shuqiao_key text PRIMARY KEY, number text UNIQUE"
    " CHECK (length(number) <= 12), kind text, issued text, changed text, remark text, gone_at text,"
    " local text DEFAULT 'ours')",
}
SERVERS = {"mariadb": "mariadb", "mysql": "oracle_mysql"}
"""Servers that are spoken to alike, by their fixtures."""

KINDS = ("postgresql", "mariadb", "sqlite")
ALL_KINDS = (*KINDS, "mysql")


@dataclass
class Database:
    """A consumer's database: its kind, its address for the node, and ways to look into it."""

    kind: str
    url: str
    run: Callable[[str], Any]
    rows: Callable[[str], list[tuple[Any, ...]]]

    def permits(self) -> set[tuple[str, str]]:
        """Number and kind of every permit."""
        return {(number, kind) for number, kind in self.rows("SELECT number, kind FROM permits")}

    def dead(self) -> list[tuple[Any, ...]]:
        """What lies apart: part, reason and content."""
        return self.rows("SELECT part, reason, content FROM shuqiao_receive_dead ORDER BY part, row_no")

    def position(self) -> tuple[int, int]:
        """The last part that was applied, and the rows that lie apart of it."""
        found = self.rows("SELECT part, dead FROM shuqiao_receive") if self._has_positions() else []
        return (int(found[0][0]), int(found[0][1])) if found else (0, 0)

    def up_to(self) -> int:
        """The batch up to which everything is there."""
        found = self.rows("SELECT up_to FROM shuqiao_receive") if self._has_positions() else []
        return int(found[0][0]) if found else 0

    def _has_positions(self) -> bool:
        try:
            self.rows("SELECT 1 FROM shuqiao_receive")
        except Exception:  # each driver says it in its own words
            return False
        return True


@dataclass
class Receiver:
    """The consumer's node with one subscription."""

    city: CopyCity
    database: Database
    home: Path
    child: Child
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The subscription's file."""
        return self.home / "receive" / f"{NAME}.yaml"

    def write(self, **changes: Any) -> None:
        """Write the subscription's file."""
        said = {
            "resource": PERMITS,
            "application": {"id": plane.APP, "key_file": "app.pem"},
            "plane": {"url": self.city.url, "keys_file": "platform.json"},
            "target": {"url": self.database.url, "table": "permits"},
            "mode": "upsert",
            "key": "_key",
            "columns": {
                "_key": "shuqiao_key",
                "permit_no": "number",
                "kind_code": "kind",
                "issued_on": "issued",
                "changed_at": "changed",
                "remark": "remark",
            },
        } | changes
        self.file.write_bytes(msgspec.json.encode(said))
        self.file.chmod(0o600)

    def start(self) -> None:
        """Start the node."""
        self.child.start()

    def status(self) -> Any:
        """What the node's status says of the subscription; None before it says anything."""
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            content = (self.home / "status.json").read_bytes()
            return msgspec.json.decode(content, type=NodeStatus).subscriptions.get(NAME)
        return None

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something; what the node wrote stands in the error."""
        try:
            return wait_for(condition, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.status()}\n{self.child.written()[-3000:]}") from None

    def wait_permits(self, *wanted: tuple[str, str]) -> None:
        """Wait until the table holds these."""
        self.wait(lambda: self.database.permits() == set(wanted), f"the table {wanted}")


def merged(city: CopyCity, sequence: int, *rows: tuple[uuid.UUID, str, str]) -> None:
    """Merge a batch as the loader does: record, permit number and kind."""
    merge(city, sequence, list(rows))


@contextlib.contextmanager
def opened(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """An empty database of a kind."""
    with contextlib.ExitStack() as stack:
        match kind:
            case "postgresql":
                server: TestServer = request.getfixturevalue("pg_server")
                name = f"sq_{RUN}_{uuid.uuid4().hex[:8]}"
                admin = stack.enter_context(psycopg.connect(server.superuser(), autocommit=True))
                admin.execute(f"CREATE DATABASE {name}".encode())
                stack.callback(admin.execute, f"DROP DATABASE {name} WITH (FORCE)".encode())
                link = stack.enter_context(psycopg.connect(server.superuser(name), autocommit=True))
                yield Database(
                    kind,
                    server.superuser(name),
                    lambda sql: link.execute(sql.encode()),
                    lambda sql: link.execute(sql.encode()).fetchall(),
                )
            case "mariadb" | "mysql":
                found = stack.enter_context(in_mariadb(request.getfixturevalue(SERVERS[kind])))
                parts = urlsplit(found.url)
                socket = parse_qs(parts.query)["unix_socket"][0]
                my = pymysql.connect(
                    unix_socket=socket, user="root", database=parts.path[1:], autocommit=True
                )
                stack.callback(my.close)

                def ask(sql: str) -> list[tuple[Any, ...]]:
                    with my.cursor() as cursor:
                        cursor.execute(sql)
                        return list(cursor.fetchall())

                yield Database("mysql", found.url, found.run, ask)
            case _:
                path = folder / "target.db"
                file = sqlite3.connect(path, isolation_level=None, timeout=10)
                stack.callback(file.close)
                yield Database(
                    kind,
                    f"sqlite://{path}",
                    file.execute,
                    lambda sql: file.execute(sql).fetchall(),
                )


@pytest.fixture(scope="session")
def shared_copy_city(pg_server: TestServer, hub_template: str) -> Iterator[CopyCity]:
    """One city for all tests of this folder."""
    with running_copy_city(pg_server, hub_template) as city:
        yield city


@pytest.fixture
def city(shared_copy_city: CopyCity) -> CopyCity:
    """The shared city without grants, permits and copies."""
    city = shared_copy_city
    city.admin.execute('DELETE FROM exchange."grant"')
    city.admin.execute("DELETE FROM exchange.subscription_receipt")
    city.empty_permits()
    city.seen_before = {row[0] for row in city.admin.execute("SELECT id FROM audit.entry").fetchall()}
    return city


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A consumer's database of each kind, with its table."""
    with opened(request.param, request, tmp_path) as database:
        database.run(TABLES[database.kind])
        yield database


@pytest.fixture
def receiver(city: CopyCity, database: Database) -> Iterator[Receiver]:
    """The consumer's node, not started yet, with a grant and a subscription's file."""
    with tempfile.TemporaryDirectory(prefix="sq-receive-") as folder:
        home = Path(folder)
        made = make_home(city, home)
        receiver = Receiver(city, database, home, made)
        receiver.write()
        try:
            yield receiver
        finally:
            made.kill()


def make_home(city: CopyCity, home: Path) -> Child:
    """A node's folder as admission leaves it; its NATS is nowhere, for receiving needs none."""
    node_home.create_request(home, CONSUMER)
    sealing = keys.public_der(city.vault.sealing_key())
    vault_key = HubKey(keys.key_id(sealing), sealing)
    authority = create_authority_certificate("Sample CA", datetime.now(UTC)).certificate.decode()
    node_home.accept(home, Admission(CONSUMER, "none", authority, (), vault_key, {}))
    folder = home / "receive"
    folder.mkdir()
    (home / "mappings").mkdir()
    sqlite3.connect(home / "own.db").close()
    keys.write_secret_file(folder / "app.pem", keys.private_pem(city.application_keys[plane.APP]))
    trusted = httpx.get(city.url + "/v1/promise-keys", trust_env=False).content
    (folder / "platform.json").write_bytes(trusted)
    environment = {
        "NODE_HOME": str(home),
        "NODE_DEPARTMENT": CONSUMER,
        "NATS_URL": "tls://127.0.0.1:1",
        "NODE_CREDS": str(home / "node.creds"),
        "NODE_CA": str(home / "ca.pem"),
        "NODE_MAPPING": str(home / "mappings"),
        "NODE_SOURCE_URL": f"sqlite://{home / 'own.db'}",
    }
    return Child("node", [sys.executable, "-m", "shuqiao.edge.main"], environment, home / "node.log")


__all__ = ["ITEMS"]
