"""Where a benchmark runs: an embedded PostgreSQL, a migrated hub, a vault, a plane, and births in them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import msgspec
import psycopg
import pyarrow as pa

from bench import births
from shuqiao.embedded import hub, postgres
from shuqiao.security import keys
from shuqiao.security.sealing import seal
from shuqiao.wire.grant import Grant, sign_grant
from shuqiao.wire.package import encode_part, sealing_context
from shuqiao.wire.schemas import arrow_schema, identity_items
from shuqiao.wire.vault import VaultClient

BATCH_ROWS = 10_000
APPLICATIONS: dict[keys.Algorithm, str] = {
    "ed25519": "app-bench-edwards",
    "ecdsa-p256-sha256": "app-bench-curve",
}
GRANTED = {
    "verify": ("mother_name", "mother_citizen_id_number", "sex_code"),
    "query": ("newborn_name", "sex", "birth_date", "certificate_issuing_unit"),
}
CONSUMER = "440100-housing"
_TICKS_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Place:
    """Everything a benchmark talks to, and the processes whose time it counts."""

    folder: Path
    server: postgres.PostgresServer
    programs: Path
    port: int
    password: str
    signing: dict[str, keys.SigningKey]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def url(self, role: str, database: str = "hub") -> str:
        """URL of a database for a role."""
        return self.server.url(database, role, self.password)

    def admin(self, database: str = "hub") -> psycopg.Connection:
        """A superuser's connection."""
        return psycopg.connect(self.server.url(database), autocommit=True)

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds used so far, by program, children included."""
        known = parents()
        used = dict.fromkeys(self.processes, 0.0)
        for pid in known:
            for name, process in self.processes.items():
                if descends(pid, process.pid, known):
                    used[name] += seconds_of(pid)
        return used


def children_s() -> float:
    """Processor seconds of the programs that this one ran and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def parents() -> dict[int, int]:
    """Each process with the one that began it."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def descends(pid: int, root: int, known: dict[int, int]) -> bool:
    """Whether one process began another, or is it."""
    while pid in known:
        if pid == root:
            return True
        pid = known[pid]
    return False


def seconds_of(pid: int) -> float:
    """Processor seconds of a process and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # Two of its own and two of its ended children: a server's connections end with the client.
    return sum(int(field) for field in fields[11:15]) / _TICKS_S


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(place: Place, name: str, command: list[str], environment: dict[str, str]) -> None:
    """Start a program of the place; its output goes to a log in the folder."""
    with (place.folder / f"{name}.log").open("ab") as log:
        place.processes[name] = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def wait_for(url: str, process: subprocess.Popen[bytes], patience_s: float = 30.0) -> None:
    """Wait until an address answers 200."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=2, trust_env=False).status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing answers at {url}")


@contextlib.contextmanager
def running_place(people: int) -> Iterator[Place]:
    """Set everything up with this many births, and take it down in the end."""
    folder = Path(tempfile.mkdtemp(prefix="sq-bench-"))
    folder.chmod(0o755)
    server = postgres.PostgresServer(
        folder / "pg" / "data", folder / "s", folder / "pg.log", secrets.token_hex(16)
    )
    programs = postgres.runtime(folder)
    place = Place(folder, server, programs, free_port(), secrets.token_hex(16), {})
    try:
        place.processes["postgres"] = postgres.start(server, programs=programs, durable=True)
        _prepare(place, people)
        yield place
    finally:
        for name, process in reversed(place.processes.items()):
            if name == "postgres":
                postgres.stop(process)
            elif process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=15)
                except subprocess.TimeoutExpired:
                    process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(place: Place, people: int) -> None:
    superuser = place.server.url("postgres")
    hub.create_roles(superuser, dict.fromkeys(hub.ROLES, place.password))
    hub.create_database(superuser, "hub", "shuqiao_owner", control_schema=True)
    hub.create_database(superuser, "vault", "shuqiao_vault")
    _migrate(place)
    _start_vault(place)
    _publish(place)
    started = time.perf_counter()
    asyncio.run(_load(place, people))
    print(f"loaded {people} births through vault and merge in {time.perf_counter() - started:.1f} s")
    with place.admin() as admin:
        admin.execute("VACUUM ANALYZE")
        admin.execute("CHECKPOINT")
    _start_plane(place)


def _migrate(place: Place) -> None:
    secret = place.folder / "secret-key"
    secret.write_text(secrets.token_urlsafe(64), encoding="ascii")
    secret.chmod(0o400)
    environment = os.environ | {
        "SHUQIAO_DATABASE_URL": place.url("shuqiao_owner"),
        "SHUQIAO_SECRET_KEY_FILE": str(secret),
        "SHUQIAO_REGULATION": "guangzhou-2016",
        "SHUQIAO_ALLOWED_HOSTS": "127.0.0.1",
        "SHUQIAO_PLANE_URL": f"http://127.0.0.1:{place.port}",
        "SHUQIAO_PORTAL_KEYS": str(place.folder / "portal"),
        "SHUQIAO_GRANT_KEY_FILE": str(place.folder / "grants.key"),
        "SHUQIAO_SAMPLE": "1",
    }
    command = [sys.executable, "-m", "django", "migrate", "--skip-checks", "--verbosity", "0"]
    subprocess.run([*command, "--settings", "shuqiao.control.settings"], check=True, env=environment)


def _start_vault(place: Place) -> None:
    (place.folder / "run").mkdir(mode=0o755)
    environment = {
        "VAULT_DATABASE_URL": place.url("shuqiao_vault", "vault"),
        "VAULT_SOCKET": str(place.folder / "run" / "vault.sock"),
        "VAULT_KEY_FILE": str(place.folder / "secrets" / "vault.key"),
        "VAULT_SEALING_KEY_FILE": str(place.folder / "secrets" / "sealing.key"),
        "VAULT_CLIENT_KEYS": str(place.folder / "secrets" / "clients"),
        "VAULT_CREATE_KEY": "1",
    }
    spawn(place, "vault", [sys.executable, "-m", "shuqiao.vault.main"], environment)
    deadline = time.monotonic() + 30
    while b" ready" not in (place.folder / "vault.log").read_bytes():
        if place.processes["vault"].poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((place.folder / "vault.log").read_text())
        time.sleep(0.05)


def _start_plane(place: Place, workers: int = 2) -> None:
    environment = {
        "PLANE_DATABASE_URL": place.url("shuqiao_plane"),
        "VAULT_SOCKET": str(place.folder / "run" / "vault.sock"),
        "VAULT_CLIENT_KEY_FILE": str(place.folder / "secrets" / "clients" / "plane"),
        "PLANE_PROMISE_KEY_FILE": str(place.folder / "promise.key"),
        "PLANE_SESSION_KEY_FILE": str(place.folder / "session.key"),
    }
    command = [
        sys.executable,
        "-m",
        "shuqiao.plane.main",
        "--workers",
        str(workers),
        "--port",
        str(place.port),
    ]
    spawn(place, "plane", command, environment)
    wait_for(f"http://127.0.0.1:{place.port}/health/ready", place.processes["plane"])


def _publish(place: Place) -> None:
    """Publish the list, the keys, the applications and two grants."""
    promise_key = keys.load_or_create_signing_key(place.folder / "promise.key")
    keys.random_secret_file(place.folder / "session.key")
    grant_key = keys.generate_signing_key()
    with place.admin() as admin:
        admin.execute(
            "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
            " VALUES (%s, '样例/1', '出生登记', 'Births', %s, %s)",
            [births.RESOURCE, births.DEPARTMENT, msgspec.json.encode(births.SPEC).decode()],
        )
        admin.execute("SELECT exchange.create_list(%s)", [births.RESOURCE])
        for purpose, key in (("promise", promise_key), ("grants", grant_key)):
            _make_known(admin, purpose, "ed25519", keys.public_der(key.public_key()))
        # With the vault's key known, requests and promises are sealed and kept as in any city.
        vault_key = keys.load_sealing_key(place.folder / "secrets" / "sealing.key")
        _make_known(admin, "vault", "x25519", keys.public_der(vault_key.public_key()))
        _enrol(place, admin)
        _issue(admin, grant_key)


def _make_known(admin: psycopg.Connection, purpose: str, algorithm: str, der: bytes) -> None:
    admin.execute(
        "INSERT INTO exchange.signing_key (id, purpose, algorithm, public_key) VALUES (%s, %s, %s, %s)",
        [keys.key_id(der), purpose, algorithm, der],
    )


def _enrol(place: Place, admin: psycopg.Connection) -> None:
    for algorithm, application in APPLICATIONS.items():
        place.signing[algorithm] = keys.generate_signing_key(algorithm)
        admin.execute(
            "INSERT INTO exchange.application (id, department, name_zh, name_en, algorithm, public_key)"
            " VALUES (%s, %s, '样例', 'Sample', %s, %s)",
            [application, CONSUMER, algorithm, keys.public_der(place.signing[algorithm].public_key())],
        )


def _issue(admin: psycopg.Connection, grant_key: keys.SigningKey) -> None:
    for number, (mode, items) in enumerate(GRANTED.items(), 1):
        grant = _grant(f"G-2026-{number:04d}", mode, items)
        made = sign_grant(grant, grant_key)
        admin.execute(
            'INSERT INTO exchange."grant" (id, document, signature, key_id) VALUES (%s, %s, %s, %s)',
            [grant.id, made.document, made.signature, made.key_id],
        )


def _grant(number: str, mode: str, items: tuple[str, ...]) -> Grant:
    return Grant(
        id=number,
        resource=births.RESOURCE,
        department=CONSUMER,
        provider=births.DEPARTMENT,
        mode="verify" if mode == "verify" else "query",
        items=items,
        match="each",
        applications=tuple(APPLICATIONS.values()),
        purpose="公租房资格审核",
        valid_from=date(2020, 1, 1),
        valid_until=date(2099, 1, 1),
        regulation="guangzhou-2016 art. 35",
        request_no="R-2026-0001",
        issued_at=datetime.now(UTC),
        issued_by="sample",
    )


async def _load(place: Place, people: int) -> None:
    """Load births as the loader does: the vault assigns, staging is copied, a function merges."""
    client = VaultClient(
        place.folder / "run" / "vault.sock",
        "loader",
        (place.folder / "secrets" / "clients" / "loader").read_bytes(),
    )
    sealing = keys.load_sealing_key(place.folder / "secrets" / "sealing.key").public_key()
    plain = [item.field for item in births.SPEC.items if not item.identity]
    columns = ", ".join(("record_id", "subject_id", "identity_version", *plain))
    copy = f"COPY staging.{births.RESOURCE} ({columns}) FROM STDIN"
    merge = f"SELECT * FROM exchange.merge_{births.RESOURCE}(%s, %s, '{{}}', sha256('x'), '[]', 'bench')"
    try:
        with psycopg.connect(place.url("shuqiao_loader")) as loader:
            for sequence, start in enumerate(range(0, people, BATCH_ROWS), 1):
                serials = range(start, min(people, start + BATCH_ROWS))
                context = sealing_context(births.DEPARTMENT, births.RESOURCE, 1, sequence)
                assigned = await client.assign(
                    births.RESOURCE,
                    births.SPEC,
                    department=births.DEPARTMENT,
                    generation=1,
                    sequence=sequence,
                    sealed=seal(sealing, _identity_part(serials), context),
                )
                with loader.cursor() as cursor, cursor.copy(copy) as rows:
                    for row in assigned.rows:
                        values = births.plain_row(serials[row.row])
                        rows.write_row((row.record, row.subject, row.version, *(values[f] for f in plain)))
                loader.execute(merge, [births.DEPARTMENT, sequence])
                loader.commit()
    finally:
        await client.close()


def _identity_part(serials: range) -> bytes:
    schema = arrow_schema(identity_items(births.SPEC))
    rows = [births.identity_row(serial) for serial in serials]
    return encode_part(pa.RecordBatch.from_pylist(rows, schema))
