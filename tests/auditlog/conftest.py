"""A log of one's own: a fresh hub database, a registered key, and short words for what the tests do to it."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import psycopg
import pytest

from shuqiao.auditlog import proofs
from shuqiao.auditlog.integrator import Integrator, LogKey, load_frontier
from shuqiao.auditlog.verify import Report, verify_log
from shuqiao.security import keys

ORIGIN = "shuqiao-test"
APPEND = """
SELECT audit.append(%s, %s, 'verify', '440100-housing', '440100-health', 'app-housing-rental',
                    'r440100x7kq2m5dab', %s, 'G-2026-0001', 'GZF-1', 'answered', %s)
"""
"""Takes id, time, record id and body."""


@dataclass
class Log:
    """One test's log. `admin` is a superuser: the one who may tamper."""

    admin: psycopg.Connection
    auditor: psycopg.Connection
    superuser_url: str
    integrator_url: str
    auditor_url: str
    key: LogKey
    key_file: Path

    def body(self, entry: uuid.UUID, at: datetime, **changed: object) -> str:
        """The body of a plausible entry."""
        facts = {
            "event": "verify", "id": str(entry), "at": at.isoformat(), "department": "440100-housing",
            "provider": "440100-health", "actor": "app-housing-rental", "resource": "r440100x7kq2m5dab",
            "record": None, "grant": "G-2026-0001", "case": "GZF-1", "outcome": "answered",
        }  # fmt: skip
        return json.dumps(facts | changed, ensure_ascii=False)

    def append(self, connection: psycopg.Connection | None = None) -> uuid.UUID:
        """Append one entry, in a transaction of its own unless one is given."""
        entry, at = uuid.uuid4(), datetime.now(UTC)
        (connection or self.admin).execute(APPEND, [entry, at, None, self.body(entry, at)])
        return entry

    def append_many(self, count: int) -> None:
        """Append `count` entries in one transaction."""
        rows = [(uuid.uuid4(), datetime.now(UTC)) for _ in range(count)]
        with self.admin.transaction(), self.admin.cursor() as cursor:
            cursor.executemany(APPEND, [(entry, at, None, self.body(entry, at)) for entry, at in rows])

    def integrate(self) -> int:
        """Take everything that waits into the tree; return the tree's size."""
        return asyncio.run(self._integrate())

    async def _integrate(self) -> int:
        integrator = Integrator(self.integrator_url, self.key)
        connection = await asyncpg.connect(self.integrator_url)
        try:
            integrator._frontier = await load_frontier(connection)
            while await integrator.step(connection):
                pass
            return integrator._frontier.size
        finally:
            await connection.close()

    def tamper(self, statement: str, arguments: Sequence[object] = ()) -> None:
        """Do what only a superuser can: change a row past the triggers."""
        with self.admin.transaction():
            self.admin.execute("SET LOCAL session_replication_role = replica")
            assert self.admin.execute(statement, arguments).rowcount > 0

    def verify(self) -> Report:
        """What `shuqiao audit verify` checks."""
        return verify_log(self.auditor, proofs.read_keys(self.auditor, "log"), ORIGIN)

    def position(self, entry: uuid.UUID) -> int | None:
        """Where the entry stands in the tree."""
        return proofs.read_position(self.auditor, entry)

    def start(self) -> subprocess.Popen[bytes]:
        """Start a real integrator process."""
        environment = os.environ | {
            "INTEGRATOR_DATABASE_URL": self.integrator_url,
            "LOG_KEY_FILE": str(self.key_file),
            "LOG_ORIGIN": ORIGIN,
        }
        return subprocess.Popen([sys.executable, "-m", "shuqiao.auditlog.main"], env=environment)

    def run_command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `shuqiao audit …` as an auditor would."""
        place = {"SHUQIAO_DATABASE_URL": self.auditor_url, "LOG_ORIGIN": ORIGIN}
        return subprocess.run(
            [sys.executable, "-m", "shuqiao.cli", "audit", *arguments],
            env=os.environ | place | environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip


def register_key(connection: psycopg.Connection, purpose: str, key: keys.SigningKey) -> str:
    """Tell the hub a public key of the platform; return its id."""
    der = keys.public_der(key.public_key())
    connection.execute(
        "INSERT INTO exchange.signing_key (id, purpose, algorithm, public_key) "
        "VALUES (%s, %s, 'ed25519', %s)",
        [keys.key_id(der), purpose, der],
    )
    return keys.key_id(der)


@pytest.fixture
def log(hub_database, tmp_path: Path) -> Iterator[Log]:
    """An empty log with a registered signing key."""
    key_file = tmp_path / "secrets" / "log.key"
    key = keys.load_or_create_signing_key(key_file)
    auditor_url = hub_database.role("shuqiao_auditor")
    with (
        psycopg.connect(hub_database.superuser, autocommit=True) as admin,
        psycopg.connect(auditor_url, autocommit=True) as auditor,
    ):
        key_id = register_key(admin, "log", key)
        yield Log(
            admin, auditor, hub_database.superuser, hub_database.role("shuqiao_integrator"), auditor_url,
            LogKey(ORIGIN, key, key_id), key_file,
        )  # fmt: skip
