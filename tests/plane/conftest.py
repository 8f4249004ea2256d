"""A small city for the plane: a migrated hub, a real vault with births in it, a real plane of two workers."""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from shuqiao.client.plane import PlaneClient, load_promise_keys
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, RequestSigner, key_signer, sign_request
from shuqiao.security.tls import client_context
from shuqiao.wire.grant import Grant, sign_grant
from shuqiao.wire.schemas import ResourceSpec
from tests.plugins.certificates import Place
from tests.plugins.ports import free_port
from tests.plugins.server import RUN, Hub, TestServer
from tests.vault import births
from tests.vault.conftest import Vault

RESOURCE = births.RESOURCE
UNKNOWN = "r440100zzzzzzzzzz"
APP = "app-housing-rental"
OTHER_APP = "app-education-enrol"
PURPOSE = "公租房资格审核"
PEOPLE = 20
GUESS_DELAY_S = 0.4
VERIFY_ITEMS = ("mother_name", "mother_citizen_id_number", "sex_code")
QUERY_ITEMS = ("newborn_name", "sex_code")


@dataclass
class City:
    """What the tests talk to. `admin` is a superuser of the hub, who sees what the plane can't."""

    hub: Hub
    vault: Vault
    admin: psycopg.Connection
    folder: Path
    port: int
    application_keys: dict[str, keys.SigningKey] = field(default_factory=dict)
    grant_key: keys.SigningKey = field(default_factory=keys.generate_signing_key)
    process: subprocess.Popen[bytes] | None = None
    grants: int = 0
    seen_before: set[uuid.UUID] = field(default_factory=set)
    tls: Place | None = None

    @property
    def url(self) -> str:
        """Address of the plane."""
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """Whom callers trust."""
        return client_context(self.tls and self.tls.ca_file)

    def environment(self) -> dict[str, str]:
        """Settings of the plane."""
        # Where the office's tests keep their files is nothing to this plane.
        given = {name: value for name, value in os.environ.items() if name != "FILES_SECRET_FILE"}
        return given | {
            "PLANE_DATABASE_URL": self.hub.role("shuqiao_plane"),
            "VAULT_SOCKET": str(self.vault.socket),
            "VAULT_CLIENT_KEY_FILE": str(self.vault.folder / "secrets" / "vault-clients" / "plane"),
            "PLANE_PROMISE_KEY_FILE": str(self.folder / "promise.key"),
            "PLANE_SESSION_KEY_FILE": str(self.folder / "session.key"),
            "PLANE_GUESS_DELAY_S": str(GUESS_DELAY_S),
            **(self.tls.environment("PLANE") if self.tls is not None else {}),
        }

    def start(self, workers: int = 2) -> None:
        """Start the plane and wait until it is ready."""
        with (self.folder / "plane.log").open("ab") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "shuqiao.plane.main",
                    "--workers",
                    str(workers),
                    "--port",
                    str(self.port),
                ],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 90
        while self.status("/health/ready") != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "plane.log").read_text())
            time.sleep(0.05)

    def status(self, path: str) -> int:
        """Status of an open route, 0 when nobody answers."""
        try:
            return httpx.get(self.url + path, timeout=5, verify=self.trust, trust_env=False).status_code
        except httpx.HTTPError:
            return 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the plane."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=60)

    def issue(self, **changes: Any) -> Grant:
        """Issue a grant of births to the housing department."""
        self.grants += 1
        words: dict[str, Any] = {
            "id": f"G-2026-{self.grants:04d}",
            "resource": RESOURCE,
            "department": "440100-housing",
            "provider": births.DEPARTMENT,
            "mode": "verify",
            "items": VERIFY_ITEMS,
            "match": "each",
            "applications": (APP,),
            "purpose": PURPOSE,
            "valid_from": date(2026, 1, 1),
            "valid_until": date.today() + timedelta(days=30),
            "regulation": "guangzhou-2016 art. 35",
            "request_no": f"R-2026-{self.grants:04d}",
            "issued_at": datetime.now(UTC),
            "issued_by": "sample.reviewer",
        }
        grant = Grant(**(words | changes))
        made = sign_grant(grant, self.grant_key)
        self.admin.execute(
            'INSERT INTO exchange."grant" (id, document, signature, key_id) VALUES (%s, %s, %s, %s)',
            [grant.id, made.document, made.signature, made.key_id],
        )
        return grant

    def revoke(self, grant: Grant, reason: str = "样例撤销") -> None:
        """Take a grant back."""
        self.admin.execute(
            'UPDATE exchange."grant" SET revoked_at = now(), revoked_reason = %s WHERE id = %s',
            [reason, grant.id],
        )

    def signer(self, application: str = APP) -> RequestSigner:
        """What signs for an application."""
        return key_signer(self.application_keys[application])

    def promise_keys(self) -> dict[str, keys.PublicKey]:
        """The public keys of promises, as the plane publishes them."""
        answer = httpx.get(self.url + "/v1/promise-keys", timeout=5, verify=self.trust, trust_env=False)
        return load_promise_keys(answer.json()["keys"])

    def client(self, application: str = APP) -> PlaneClient:
        """The project's own client; it checks every promise."""
        return PlaneClient(
            self.url,
            self.signer(application),
            promise_keys=self.promise_keys(),
            language="en",
            ca_file=self.tls and self.tls.ca_file,
        )

    def signed(
        self,
        body: bytes,
        *,
        operation: str = "verify",
        resource: str = RESOURCE,
        application: str = APP,
        created: int | None = None,
        **context: str,
    ) -> dict[str, str]:
        """Headers of a signed call."""
        path = f"/v1/resources/{resource}/{operation}"
        headers = sign_request(
            self.signer(application),
            ("POST", f"127.0.0.1:{self.port}", path),
            body,
            CallContext(**context),
            created if created is not None else int(time.time()),
        )
        return headers | {"content-type": "application/json"}

    def logged(self, *events: str) -> list[dict[str, Any]]:
        """The entries of these events since the test began: columns, and both lines of the body."""
        rows = self.admin.execute(
            "SELECT id, event, actor, provider, grant_id, case_no, outcome, resource_id, record_id, body"
            " FROM audit.entry WHERE event = ANY(%s) ORDER BY occurred_at, id",
            [list(events)],
        ).fetchall()
        names = ("id", "event", "actor", "provider", "grant", "case", "outcome", "resource", "record", "body")
        found = [dict(zip(names, row, strict=True)) for row in rows if row[0] not in self.seen_before]
        for row in found:
            said, _, seen = row["body"].partition("\n")
            row["said"], row["seen"] = json.loads(said), json.loads(seen) if seen else None
        return found

    def entries(self) -> list[dict[str, Any]]:
        """All entries of calls, oldest first, with the plane's line of the body."""
        cursor = self.admin.execute(
            "SELECT id, event, department, provider, actor, resource_id, record_id, grant_id, case_no,"
            " outcome, body FROM audit.entry WHERE event IN ('verify', 'query', 'call_refused')"
            " ORDER BY occurred_at"
        )
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        rows = [row for row in rows if row["id"] not in self.seen_before]
        for row in rows:
            said, _, seen = row["body"].partition("\n")
            row["said"] = json.loads(said)
            row["seen"] = json.loads(seen) if seen else None
        return rows


def enrol(city: City, application: str, department: str, algorithm: str) -> None:
    """Register an application with a fresh key."""
    key = keys.generate_signing_key(algorithm)
    city.application_keys[application] = key
    city.admin.execute(
        "INSERT INTO exchange.application (id, department, name_zh, name_en, algorithm, public_key)"
        " VALUES (%s, %s, '样例应用', 'Sample application', %s, %s)",
        [application, department, algorithm, keys.public_der(key.public_key())],
    )


def register_key(city: City, purpose: str, key: keys.SigningKey) -> None:
    """Publish a key of the platform."""
    der = keys.public_der(key.public_key())
    city.admin.execute(
        "INSERT INTO exchange.signing_key (id, purpose, algorithm, public_key)"
        " VALUES (%s, %s, 'ed25519', %s)",
        [keys.key_id(der), purpose, der],
    )


def fill(city: City) -> None:
    """Publish the list of births and store invented ones, as catalogue, vault and loader do."""
    spec = msgspec.json.encode(births.BIRTH).decode()
    city.admin.execute(
        "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
        " VALUES (%s, '样例/1', '出生登记', 'Births', %s, %s)",
        [RESOURCE, births.DEPARTMENT, spec],
    )
    city.admin.execute("SELECT exchange.create_list(%s)", [RESOURCE])
    rows = [births.birth(serial) for serial in range(PEOPLE)]
    assigned = asyncio.run(city.vault.assign(rows))
    assert len(assigned.rows) == PEOPLE
    with city.admin.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO base.{RESOURCE} (record_id, subject_id, identity_version, version,"
            " source_department, source_system, batch_sequence, first_received_at, received_at, sex_code)"
            " VALUES (%s, %s, %s, 1, %s, 'sample', 1, now(), now(), %s)",
            [
                (row.record, row.subject, row.version, births.DEPARTMENT, str(1 + row.row % 2))
                for row in assigned.rows
            ],
        )


@contextlib.contextmanager
def fresh_hub(server: TestServer, template: str) -> Iterator[tuple[Hub, str]]:
    """A migrated hub database, and the URL of an empty one for the vault."""
    names = [f"sq_{RUN}_{uuid.uuid4().hex[:8]}" for _ in range(2)]
    with psycopg.connect(server.superuser(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {names[0]} TEMPLATE {template} OWNER shuqiao_owner")
        admin.execute(f"CREATE DATABASE {names[1]} OWNER shuqiao_vault")
    try:
        yield Hub(names[0], server), server.url(names[1], "shuqiao_vault")
    finally:
        # Another connection: a test may have stopped the server meanwhile.
        with psycopg.connect(server.superuser(), autocommit=True) as admin:
            for name in names:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def parts_of_city(
    server: TestServer, template: str, prefix: str
) -> Iterator[tuple[Hub, Vault, psycopg.Connection, Path]]:
    """What every city has: a hub's database, a vault at work, a superuser's connection and a folder."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix)))
        hub, vault_url = stack.enter_context(fresh_hub(server, template))
        (folder / "run").mkdir(mode=0o755)
        vault = Vault(folder, vault_url)
        vault.start()
        stack.callback(lambda: vault.kill() if vault.process and vault.process.poll() is None else None)
        admin = stack.enter_context(psycopg.connect(hub.superuser, autocommit=True))
        yield hub, vault, admin, folder


@contextlib.contextmanager
def running_city(server: TestServer, template: str) -> Iterator[City]:
    """A city with a vault and a plane of two workers."""
    with parts_of_city(server, template, "sq-plane-") as parts, contextlib.ExitStack() as stack:
        city = City(*parts, free_port())
        prepare(city)
        stack.callback(city.stop)
        city.start()
        yield city


def publish(city: City, resource: str, provider: str, spec: ResourceSpec, name: tuple[str, str, str]) -> None:
    """Publish an entry, as control does; `name` is its code, and its name in both languages."""
    city.admin.execute(
        "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [resource, *name, provider, msgspec.json.encode(spec).decode()],
    )


def prepare(city: City) -> None:
    """Make the keys, publish them, enrol two applications and fill the list of births."""
    promise_key = keys.load_or_create_signing_key(city.folder / "promise.key")
    keys.random_secret_file(city.folder / "session.key")
    register_key(city, "promise", promise_key)
    register_key(city, "grants", city.grant_key)
    sealing = keys.public_der(city.vault.sealing_key())
    city.admin.execute(
        "INSERT INTO exchange.signing_key (id, purpose, algorithm, public_key)"
        " VALUES (%s, 'vault', 'x25519', %s)",
        [keys.key_id(sealing), sealing],
    )
    enrol(city, APP, "440100-housing", "ed25519")
    enrol(city, OTHER_APP, "440100-education", "ecdsa-p256-sha256")
    fill(city)


@pytest.fixture(scope="session")
def shared_city(pg_server: TestServer, hub_template: str) -> Iterator[City]:
    """One city for the tests that leave its parts whole."""
    with running_city(pg_server, hub_template) as city:
        yield city


@pytest.fixture
def city(shared_city: City) -> City:
    """The shared city without grants and, to the eyes of the test, without entries."""
    city = shared_city
    city.admin.execute('DELETE FROM exchange."grant"')
    city.admin.execute("DELETE FROM exchange.guess")
    seen = {entry for (entry,) in city.admin.execute("SELECT id FROM audit.entry").fetchall()}
    return dataclasses.replace(city, application_keys=dict(city.application_keys), seen_before=seen)


@pytest.fixture
def own_city(pg_server: TestServer, hub_template: str) -> Iterator[City]:
    """A city whose parts the test may break."""
    with running_city(pg_server, hub_template) as city:
        yield city


def entry_of(answer: dict[str, Any]) -> uuid.UUID:
    """The audit entry an answer names."""
    return uuid.UUID(answer["entry"])
