"""A department, the hub and a consumer as real processes that may be killed: each is started again by itself.

What the rig starts is what a city starts (`shuqiao.demo.city`), but for the office, whose pages are on no way
that a row takes. Three PostgreSQL servers are its own: the department's, the hub's and the consumer's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import msgspec
import psycopg
from psycopg import sql

from shuqiao.demo import city
from shuqiao.demo.home import Home
from shuqiao.demo.people import births_of
from shuqiao.demo.sources import create_health_source, write_mappings
from shuqiao.edge.status import NodeStatus
from shuqiao.embedded import hub, postgres
from shuqiao.embedded.supervisor import Program, Supervisor, python
from shuqiao.loader.enrol import enrol_department
from shuqiao.security import keys
from shuqiao.wire.grant import Grant, sign_grant
from tests.loader.line import BIRTH_SPEC, BIRTHS, HEALTH, wait_for
from tests.plugins.clusters import TEMPLATE
from tests.plugins.hubs import CLUSTERS, copy_hub
from tests.plugins.ports import free_port

HOUSING = "440100-housing"
SPEC = msgspec.structs.replace(BIRTH_SPEC, modes=("bulk",))
ITEMS = tuple(item.field for item in SPEC.items)
COPY, STORY = "copy", "story"
"""The consumer's two tables: one as the list is, and one to which every change is one more row."""

HUB_PROCESSES = ("vault", "integrator", "loader", "plane", "bulk")
VICTIMS = (
    "department-database",
    "department-node",
    "nats",
    *HUB_PROCESSES,
    "hub-database",
    "consumer-node",
    "consumer-database",
)
_TYPES = {"birth_date": "date", "certificate_issue_time": "timestamptz"}
_PEOPLE = 800
_READY_S = 90.0


class Rig:
    """All processes of one run. Use `running_rig`; `look_after` starts again what has died."""

    def __init__(self, root: Path) -> None:
        """Name the places; nothing is started yet."""
        self.home = Home(root)
        self.home.make()
        self._options = city.Options(
            port=free_port(), plane_port=free_port(), nats_port=free_port(), plane_workers=1
        )
        self.restarts: list[str] = []
        self.supervisor = Supervisor(self.home.logs, self.restarts.append)
        self._programs = postgres.runtime(self.home.data)
        place = self.home.data / "consumer"
        password = self.home.password("consumer")
        self._consumer = postgres.PostgresServer(
            place / "pg", self.home.sockets / "consumer", place / "pg.log", password
        )

    @property
    def source_url(self) -> str:
        """The department's database."""
        return self.home.departments_server.url()

    @property
    def hub_url(self) -> str:
        """The hub's database, for its superuser."""
        return self.home.hub_superuser_url("shuqiao")

    @property
    def consumer_url(self) -> str:
        """The consumer's database."""
        return self._consumer.url()

    @property
    def auditor_url(self) -> str:
        """The hub's database, for who checks the log."""
        return self.home.hub_url("shuqiao_auditor")

    def start(self) -> None:
        """Start everything and wait until source and targets are equal for the first time."""
        self._start_databases()
        city.prepare_keys(self.home)
        self._prepare_hub()
        create_health_source(self.source_url, births_of(_PEOPLE))
        self.supervisor.start(city.nats_program(self.home, self._options))
        wait_for(self._nats_answers, what="NATS")
        for program in city.hub_programs(self.home, self._options):
            if program.name in HUB_PROCESSES:
                environment = {**program.environment, "BULK_LEASE_S": "2"}
                self.supervisor.start(replace(program, environment=environment))
        self._start_department()
        self._start_consumer()

    def kill(self, name: str) -> None:
        """End a process as a power cut would; a server's own children end when they see it."""
        os.kill(self.supervisor.pids()[name], signal.SIGKILL)

    def look_after(self) -> None:
        """Start again what has died; call it often, from the thread that made the rig."""
        self.supervisor.look_after()

    def wait(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        """Wait for something while processes are looked after; databases may be away meanwhile."""

        def holds() -> bool:
            self.look_after()
            try:
                return bool(condition())
            except psycopg.OperationalError:
                return False

        wait_for(holds, timeout_s, what)

    def subscription(self, name: str) -> Any:
        """What the consumer's node says of a subscription."""
        return self._status(self.home.root / "nodes" / HOUSING).subscriptions[name]

    def told(self) -> str:
        """What nodes and processes say, for a round that failed."""
        texts = []
        for department in (HEALTH, HOUSING):
            file = self.home.root / "nodes" / department / "status.json"
            texts.append(file.read_text() if file.exists() else f"{department}: no status")
        for log in sorted(self.home.logs.glob("*.log")):
            said = [line for line in log.read_text(errors="replace").splitlines() if " INFO " not in line]
            texts.append("\n".join([f"--- {log.name}", *said[-40:]]))
        return "\n".join([*texts, *self.restarts[-20:]])

    def close(self) -> None:
        """End every process."""
        self.supervisor.stop()
        shutil.rmtree(self.home.data, ignore_errors=True)
        shutil.rmtree(self.home.sockets, ignore_errors=True)

    def _status(self, folder: Path) -> NodeStatus:
        return msgspec.json.decode((folder / "status.json").read_bytes(), type=NodeStatus)

    def _nats_answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._options.nats_port)) == 0

    def _start_databases(self) -> None:
        self._start_database("hub-database", self.home.hub_server)
        self._start_database("department-database", self.home.departments_server, "wal_level = logical")
        self._start_database("consumer-database", self._consumer)

    def _start_database(self, name: str, server: postgres.PostgresServer, *settings: str) -> None:
        """Start a copy of a cluster that is there, which is quicker than making one."""
        kept = replace(server, password=CLUSTERS.copy(self._programs, server.data))
        with (server.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{setting}\n" for setting in settings)
        # A killed process loses nothing the kernel already has; only a power cut needs the flushes.
        start = partial(postgres.start, programs=self._programs, durable=False)
        first = [start(kept)]
        with psycopg.connect(kept.url(), autocommit=True) as link:
            link.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(server.password))
        self.supervisor.adopt(
            name,
            lambda: first.pop() if first else start(server),
            postgres.stop,
        )

    def _prepare_hub(self) -> None:
        superuser = self.home.hub_superuser_url()
        hub.create_roles(superuser, {role: self.home.password(role) for role in hub.ROLES})
        copy_hub(superuser, TEMPLATE, "shuqiao")
        hub.create_database(superuser, "shuqiao_vault", "shuqiao_vault")
        city.register_keys(self.home)
        with psycopg.connect(self.hub_url, autocommit=True) as admin:
            admin.execute(
                "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
                " VALUES (%s, 'B/1', '出生登记', 'Births', %s, %s::jsonb)",
                [BIRTHS, HEALTH, msgspec.json.encode(SPEC).decode()],
            )
            admin.execute("SELECT exchange.create_list(%s)", [BIRTHS])

    def _enrol(self, department: str) -> Path:
        folder = self.home.root / "nodes" / department
        folder.mkdir(parents=True, mode=0o700)
        asyncio.run(
            enrol_department(
                department=department,
                node_home=folder,
                secrets=self.home.secrets,
                database_url=self.home.hub_url("shuqiao_owner"),
                nats_url=city.nats_url(self._options),
            )
        )
        return folder

    def _start_node(self, name: str, department: str, folder: Path, source_url: str) -> None:
        environment = {
            "NODE_HOME": str(folder),
            "NODE_DEPARTMENT": department,
            "NATS_URL": city.nats_url(self._options),
            "NODE_CREDS": str(folder / "node.creds"),
            "NODE_CA": str(folder / "ca.pem"),
            "NODE_MAPPING": str(folder / "mappings"),
            "NODE_SOURCE_URL": source_url,
            "NODE_BATCH_ROWS": "60",
            "NODE_RESEND_SECONDS": "3",
        }
        self.supervisor.start(Program(name, python("-m", "shuqiao.edge.main"), environment))

    def _start_department(self) -> None:
        folder = self._enrol(HEALTH)
        write_mappings(HEALTH, folder / "mappings")
        mapping = folder / "mappings" / "birth.yaml"
        words = "capture: {by: log, remove_at_most: 100%}\n"
        mapping.write_text(mapping.read_text(encoding="utf-8") + words, encoding="utf-8")
        self._start_node("department-node", HEALTH, folder, self.source_url)

    def _start_consumer(self) -> None:
        folder = self._enrol(HOUSING)
        (folder / "mappings").mkdir()
        (folder / "receive").mkdir()
        with psycopg.connect(self.consumer_url, autocommit=True) as link:
            columns = ", ".join(f"{item} {_TYPES.get(item, 'text')}" for item in ITEMS)
            link.execute(f"CREATE TABLE {COPY} (record text PRIMARY KEY, {columns})".encode())
            link.execute(f"CREATE TABLE {STORY} (record text, number text, what text, part bigint)".encode())
        wait_for(self._plane_answers, _READY_S, what="the plane")
        trusted = httpx.get(f"{self._plane_url}/v1/promise-keys", trust_env=False).content
        (folder / "receive" / "platform.json").write_bytes(trusted)
        copied = {
            "mode": "upsert",
            "key": "_key",
            "columns": {"_key": "record"} | dict(zip(ITEMS, ITEMS, strict=True)),
        }
        record_key = SPEC.record_key
        story = {"_key": "record", record_key: "number", "_op": "what", "_part": "part"}
        self._subscribe(folder, COPY, copied)
        self._subscribe(folder, STORY, {"mode": "append", "key": record_key, "columns": story})
        self._start_node("consumer-node", HOUSING, folder, self.consumer_url)

    def _subscribe(self, folder: Path, name: str, wanted: dict[str, Any]) -> None:
        """Give the consumer an application of its own for each table, and the file of its subscription."""
        application, key = f"app-{name}", keys.generate_signing_key()
        keys.write_secret_file(folder / "receive" / f"{name}.pem", keys.private_pem(key))
        today = datetime.now(UTC).date()
        grant = Grant(
            id=f"G-{name}",
            resource=BIRTHS,
            department=HOUSING,
            provider=HEALTH,
            mode="bulk",
            items=ITEMS,
            unmasked=ITEMS,
            applications=(application,),
            purpose="样例",
            valid_from=date(2026, 1, 1),
            valid_until=today + timedelta(days=30),
            regulation="guangzhou-2016 art. 35",
            request_no=f"R-{name}",
            issued_at=datetime.now(UTC),
            issued_by="sample.reviewer",
        )
        made = sign_grant(grant, keys.load_or_create_signing_key(self.home.secrets / "grants.key"))
        with psycopg.connect(self.hub_url, autocommit=True) as admin:
            admin.execute(
                "INSERT INTO exchange.application (id, department, name_zh, name_en, algorithm, public_key)"
                " VALUES (%s, %s, '样例应用', 'Sample application', 'ed25519', %s)",
                [application, HOUSING, keys.public_der(key.public_key())],
            )
            admin.execute(
                'INSERT INTO exchange."grant" (id, document, signature, key_id) VALUES (%s, %s, %s, %s)',
                [grant.id, made.document, made.signature, made.key_id],
            )
        said = {
            "resource": BIRTHS,
            "application": {"id": application, "key_file": f"{name}.pem"},
            "plane": {"url": self._plane_url, "keys_file": "platform.json"},
            "target": {"url": self.consumer_url, "table": name},
            **wanted,
        }
        file = folder / "receive" / f"{name}.yaml"
        file.write_bytes(msgspec.json.encode(said))
        file.chmod(0o600)

    @property
    def _plane_url(self) -> str:
        return f"http://127.0.0.1:{self._options.plane_port}"

    def _plane_answers(self) -> bool:
        self.look_after()
        try:
            return httpx.get(f"{self._plane_url}/health/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def running_rig() -> Iterator[Rig]:
    """A rig in a folder of its own, ended and gone afterwards."""
    folder = Path(mkdtemp(prefix="sqx-"))
    rig = Rig(folder)
    try:
        rig.start()
        yield rig
    finally:
        rig.close()
        shutil.rmtree(folder, ignore_errors=True)


__all__ = ["COPY", "STORY", "VICTIMS", "Rig", "running_rig"]
