"""A whole line from a department's table to the hub: every part is the real process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from shuqiao.demo.people import births_of
from shuqiao.demo.sources import create_health_source, write_mappings
from shuqiao.embedded.nats import nats_command, nats_environment
from shuqiao.loader.enrol import enrol_department
from shuqiao.rules.ids import resource_id
from shuqiao.security.keys import key_id, load_or_create_signing_key, load_sealing_key, public_der
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from tests.plugins.ports import free_port

HEALTH, POLICE = "440100-health", "440100-police"
BIRTHS = str(resource_id("440100", "birth"))


def _item(field_: str, type_: str = "string", kind: str = "plain", *, required: bool = False) -> ItemSpec:
    return ItemSpec(field_, field_, field_, type_, kind != "plain", kind, 2, required)  # type: ignore[arg-type]


BIRTH_SPEC = ResourceSpec(
    record_key="birth_certificate_number",
    modes=("verify", "query"),
    items=(
        _item("birth_certificate_number", kind="document", required=True),
        _item("newborn_name", kind="name"),
        _item("sex"),
        ItemSpec("sex_code", "性别代码", "Sex code", "code", codes=("1", "2")),
        _item("health_status"),
        _item("health_status_code", "code"),
        _item("mother_name", kind="name", required=True),
        _item("mother_citizen_id_number", kind="citizen_id", required=True),
        _item("father_name", kind="name"),
        _item("father_citizen_id_number", kind="citizen_id"),
        _item("birth_date", "date", required=True),
        _item("certificate_issue_time", "datetime"),
        _item("certificate_issuing_unit"),
    ),
)

BASE_SUM = f"""SELECT md5(string_agg(line, E'\\n' ORDER BY line)) AS sum FROM (
    SELECT concat_ws('|', sex, sex_code, health_status, health_status_code, birth_date,
                     certificate_issue_time AT TIME ZONE 'UTC', certificate_issuing_unit) AS line
    FROM base.{BIRTHS}) x"""
"""A digest over the plain items of the base table that doesn't depend on ids or order."""

SOURCE_SUM = """SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT concat_ws('|', CASE xb WHEN 'M' THEN '男' ELSE '女' END,
                     CASE xb WHEN 'M' THEN '1' ELSE '2' END,
                     CASE jkzk WHEN '1' THEN '良好' WHEN '2' THEN '一般' ELSE '差' END, jkzk, csrq,
                     qfsj AT TIME ZONE 'UTC', qfjg) AS line FROM csyxzm) x"""
"""The same over the department's table, translated by the tests, not by the node."""


PATIENCE_S = 90.0
"""So long a state of a process is waited for: beside other work it comes several times later than alone."""


def wait_for(condition: Callable[[], Any], timeout_s: float = PATIENCE_S, what: str = "it") -> Any:
    """Return the first true value of `condition`."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {timeout_s} s")


def _answer(
    link: psycopg.Connection[dict[str, Any]], sql: str, values: tuple[Any, ...]
) -> list[dict[str, Any]]:
    cursor = link.execute(sql, values)
    return cursor.fetchall() if cursor.description else []


@dataclass
class Child:
    """A process that can be killed and started again."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and return its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait(timeout=60)
        self.process = None
        return status

    def written(self) -> str:
        """Return what it wrote so far."""
        return self.log.read_text() if self.log.exists() else ""

    def kill(self) -> None:
        """End it as a power cut would."""
        self.end(signal.SIGKILL)


@dataclass
class Line:
    """The parts of one line; `hub`, `vault_url` and `source` are databases of their own."""

    hub: Any
    vault_url: str
    source: str
    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="sq-line-")))
    port: int = field(default_factory=free_port)
    node_settings: dict[str, str] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)
    _kept: psycopg.Connection[dict[str, Any]] | None = None

    @property
    def secrets(self) -> Path:
        """The hub's secrets."""
        return self.home / "secrets"

    @property
    def node_home(self) -> Path:
        """The health department's node."""
        return self.home / "nodes" / HEALTH

    @property
    def nats_url(self) -> str:
        """Where NATS listens."""
        return f"tls://127.0.0.1:{self.port}"

    async def set_up(self, people: int) -> int:
        """Make keys, tables and source, start NATS and vault, admit the node; return the source's rows."""
        servers = self._add_servers()
        self._child("vault", [sys.executable, "-m", "shuqiao.vault.main"], self._vault_environment())
        self.start(*servers, "vault")
        sealing = self.secrets / "vault" / "sealing.pem"
        wait_for(sealing.exists, what="the vault's key")
        wait_for(lambda: " ready" in self.children["vault"].written(), what="the vault")
        self._register(sealing)
        rows = create_health_source(self.source, births_of(people))
        wait_for(self._nats_answers, what="NATS")
        await self.enrol(HEALTH)
        write_mappings(HEALTH, self.node_home / "mappings")
        self._child("loader", [sys.executable, "-m", "shuqiao.loader.main"], self._loader_environment())
        self._child("node", [sys.executable, "-m", "shuqiao.edge.main"], self._node_environment())
        return rows

    async def enrol(self, department: str) -> None:
        """Admit a department's node."""
        await enrol_department(
            department=department,
            node_home=self.home / "nodes" / department,
            secrets=self.secrets,
            database_url=self.hub.role("shuqiao_owner"),
            nats_url=self.nats_url,
        )

    def start(self, *names: str) -> None:
        """Start processes by name; a node that is started after its loader finds it listening."""
        for name in names:
            ready = self.children[name].written().count(" loader_ready")
            self.children[name].start()
            if name == "loader" and "node" in names:
                self._wait_for_loader(ready)

    def _wait_for_loader(self, before: int) -> None:
        loader = self.children["loader"]
        wait_for(lambda: loader.written().count(" loader_ready") > before, what="the loader")

    def close(self) -> None:
        """End every process and remove the folder."""
        for child in reversed(self.children.values()):
            child.end()
        self.leave()
        shutil.rmtree(self.home, ignore_errors=True)

    def ask(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement on the hub as superuser, on a connection that is kept while its server stays."""
        if self._kept is not None:
            try:
                return _answer(self._kept, sql, values)
            except psycopg.OperationalError:
                if not self._kept.closed:
                    raise
        self._kept = psycopg.connect(
            self.hub.superuser, autocommit=True, row_factory=dict_row, prepare_threshold=None
        )
        return _answer(self._kept, sql, values)

    def leave(self) -> None:
        """Leave the hub's database."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def change_source(self, sql: str, *values: Any) -> None:
        """Run a statement on the department's database."""
        with psycopg.connect(self.source, autocommit=True) as connection:
            connection.execute(sql, values)

    def count(self) -> int:
        """Return the rows of the base table."""
        return int(self.ask(f"SELECT count(*) AS n FROM base.{BIRTHS}")[0]["n"])

    def logs(self) -> str:
        """Return what the processes wrote, for a failing test."""
        return "\n".join(f"== {c.name}\n{c.written()[-3000:]}" for c in self.children.values())

    def base_checksum(self) -> str:
        """Return a digest over the plain items of the base table that doesn't depend on ids or order."""
        return str(self.ask(BASE_SUM)[0]["sum"])

    def source_checksum(self) -> str:
        """Return the same digest over the department's table, translated by this test, not by the node."""
        with psycopg.connect(self.source) as connection:
            return str(connection.execute(SOURCE_SUM).fetchone()[0])  # type: ignore[index]

    def ledger(self) -> list[dict[str, Any]]:
        """Return the ledger of the births, in order."""
        return self.ask(
            "SELECT sequence, accepted, inserted, updated, unchanged, rejected FROM exchange.batch"
            " WHERE resource_id = %s ORDER BY sequence",
            BIRTHS,
        )

    def _child(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.children[name] = Child(name, command, environment, self.home / f"{name}.log")

    def _add_servers(self) -> list[str]:
        """Prepare what carries messages; returns the processes' names."""
        command = nats_command(self.secrets, self.home / "nats", port=self.port)
        self._child("nats", command, nats_environment(self.secrets))
        return ["nats"]

    def _nats_answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _register(self, sealing: Path) -> None:
        vault = public_der(load_sealing_key(sealing).public_key())
        receipts = public_der(load_or_create_signing_key(self.secrets / "receipts.pem").public_key())
        for purpose, algorithm, der in (("vault", "x25519", vault), ("receipts", "ed25519", receipts)):
            self.ask(
                "INSERT INTO exchange.signing_key (id, purpose, algorithm, public_key)"
                " VALUES (%s, %s, %s, %s)",
                key_id(der),
                purpose,
                algorithm,
                der,
            )
        self.ask(
            "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
            " VALUES (%s, 'B/1', '出生登记', 'Births', %s, %s::jsonb)",
            BIRTHS,
            HEALTH,
            msgspec.json.encode(BIRTH_SPEC).decode(),
        )
        self.ask("SELECT exchange.create_list(%s)", BIRTHS)

    def _vault_environment(self) -> dict[str, str]:
        return {
            "VAULT_DATABASE_URL": self.vault_url,
            "VAULT_SOCKET": str(self.home / "vault.sock"),
            "VAULT_KEY_FILE": str(self.secrets / "vault" / "master.key"),
            "VAULT_SEALING_KEY_FILE": str(self.secrets / "vault" / "sealing.pem"),
            "VAULT_CLIENT_KEYS": str(self.secrets / "vault-clients"),
            "VAULT_CREATE_KEY": "1",
        }

    def _loader_environment(self) -> dict[str, str]:
        return {
            "LOADER_DATABASE_URL": self.hub.role("shuqiao_loader"),
            "NATS_URL": self.nats_url,
            "LOADER_CREDS": str(self.secrets / "nats-hub.creds"),
            "LOADER_CA": str(self.secrets / "ca.pem"),
            "VAULT_SOCKET": str(self.home / "vault.sock"),
            "VAULT_CLIENT_KEY_FILE": str(self.secrets / "vault-clients" / "loader"),
            "LOADER_RECEIPT_KEY_FILE": str(self.secrets / "receipts.pem"),
        }

    def _node_environment(self) -> dict[str, str]:
        return {
            "NODE_HOME": str(self.node_home),
            "NODE_DEPARTMENT": HEALTH,
            "NODE_CREDS": str(self.node_home / "node.creds"),
            "NODE_CA": str(self.node_home / "ca.pem"),
            "NODE_MAPPING": str(self.node_home / "mappings"),
            "NODE_SOURCE_URL": self.source,
            "NODE_POLL_SECONDS": "0.2",
            "NODE_RESEND_SECONDS": "3",
            **self.node_settings,
        }
