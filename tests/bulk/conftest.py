"""A city with a process for copies beside vault and plane, and a list of invented permits."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.client.bulk import BulkClient
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.grant import Grant
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from tests.plane import conftest as plane
from tests.plugins.ports import free_port
from tests.plugins.server import TestServer

PERMITS = "r440100permitab23"
PROVIDER = "440100-health"
PORTAL = "app-housing-portal"
NO_CONTEXT = CallContext()
READER = CallContext(end_user="sample.reader")
SPEC = ResourceSpec(
    record_key="holder_number",
    modes=("verify", "query", "bulk"),
    items=(
        ItemSpec(
            "holder_number", "持证人号码", "Number of the holder", "string", True, "citizen_id", 3, True
        ),
        ItemSpec("permit_no", "许可证号", "Permit number", "string"),
        ItemSpec("kind_code", "类别", "Kind", "code"),
        ItemSpec("issued_on", "发证日期", "Issued on", "date"),
        ItemSpec("changed_at", "变更时间", "Changed at", "datetime"),
        ItemSpec("remark", "备注", "Remark", "text"),
        ItemSpec("phone", "电话", "Phone", "string", False, "contact", 2, masked=True),
    ),
)
ITEMS = ("permit_no", "kind_code", "issued_on", "changed_at", "remark")


@dataclass
class CopyCity(plane.City):
    """The plane's city with a spool and the process that prepares copies."""

    copier: subprocess.Popen[bytes] | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def spool(self) -> Path:
        """Where prepared files lie."""
        return self.folder / "spool"

    def environment(self) -> dict[str, str]:
        """Settings of the plane and of the process for copies."""
        return super().environment() | {
            "BULK_SPOOL": str(self.spool),
            "BULK_SECRET_FILE": str(self.folder / "bulk.key"),
        }

    def start_copier(self) -> None:
        """Start the process that prepares copies and wait until it says that it is ready."""
        environment = self.environment() | {
            "BULK_DATABASE_URL": self.hub.role("shuqiao_bulk"),
            "BULK_SIGNING_KEY_FILE": str(self.folder / "promise.key"),
            "VAULT_CLIENT_KEY_FILE": str(self.vault.folder / "secrets" / "vault-clients" / "bulk"),
            **self.extra,
        }
        log = self.folder / "bulk.log"
        with log.open("ab") as output:
            position = output.tell()
            self.copier = subprocess.Popen(
                [sys.executable, "-m", "shuqiao.plane.bulk.main"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        until = time.monotonic() + 90
        while b" ready" not in log.read_bytes()[position:]:
            if self.copier.poll() is not None or time.monotonic() > until:
                raise RuntimeError(log.read_text())
            time.sleep(0.02)

    def stop_copier(self, number: int = signal.SIGTERM) -> None:
        """End the process that prepares copies."""
        if self.copier is not None and self.copier.poll() is None:
            self.copier.send_signal(number)
            try:
                self.copier.wait(timeout=60)
            except subprocess.TimeoutExpired:
                # One that doesn't end fails the test that ended it, and none after it.
                self.copier.kill()
                self.copier.wait(timeout=60)
                raise

    def bulk_grant(self, **changes: Any) -> Grant:
        """Issue a grant of mode bulk on the permits."""
        words: dict[str, Any] = {
            "resource": PERMITS,
            "mode": "bulk",
            "items": ITEMS,
            "channels": ("interface", "download", "browse"),
            "applications": (plane.APP, PORTAL),
        }
        return self.issue(**(words | changes))

    @contextlib.contextmanager
    def bulk(
        self, application: str = plane.APP, recipient: X25519PrivateKey | None = None
    ) -> Iterator[BulkClient]:
        """The project's own client for copies; with a recipient's key they are sealed to it."""
        with self.client(application) as client:
            bulk = BulkClient(client, self.url, self.promise_keys(), recipient)
            try:
                yield bulk
            finally:
                bulk.close()

    def pages(self) -> contextlib.AbstractContextManager[BulkClient]:
        """The client as the department's pages use it."""
        return self.bulk(PORTAL)

    def fill_permits(self, rows: int, *, sequence: int = 1) -> None:
        """Put invented permits into the base table, as the loader's merge leaves them."""
        self.admin.execute(
            f"INSERT INTO base.{PERMITS} (record_id, subject_id, identity_version, version,"
            " source_department, source_system, batch_sequence, first_received_at, received_at, permit_no,"
            " kind_code, issued_on, changed_at, remark, phone)"
            " SELECT gen_random_uuid(), gen_random_uuid(), 1, 1, %s, 'sample', %s,"
            " now(), now(), 'P' || lpad(i::text, 8, '0'), (1 + i %% 4)::text, date '2020-01-01' + i %% 1500,"
            " timestamptz '2026-01-01 08:00:00+08' + i * interval '1.5 second',"
            " CASE i %% 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'两\\n行,\"引\"' WHEN 3 THEN '=1+1'"
            " ELSE '普通 ' || i END, '1390000' || lpad((i %% 10000)::text, 4, '0')"
            " FROM generate_series(%s::int, %s::int) i",
            [PROVIDER, sequence, 1, rows],
        )
        self.note_batch(sequence, rows)

    def note_batch(self, sequence: int, rows: int) -> None:
        """Enter a merged batch in the ledger."""
        self.admin.execute(
            "INSERT INTO exchange.batch (department, resource_id, sequence, manifest, manifest_digest,"
            " accepted, inserted, updated, unchanged, rejected)"
            " VALUES (%s, %s, %s, '{}', decode(repeat('00', 32), 'hex'), %s, %s, 0, 0, '[]')",
            [PROVIDER, PERMITS, sequence, rows, rows],
        )

    def empty_permits(self) -> None:
        """Take permits, batches, copies and feeds away."""
        for table in ("bulk_job", "bulk_progress", "subscription", "batch"):
            self.admin.execute(f"DELETE FROM exchange.{table}".encode())
        self.admin.execute(f"DELETE FROM base.{PERMITS}".encode())
        self.admin.execute(f"DELETE FROM base_history.{PERMITS}".encode())


def publish(city: plane.City) -> None:
    """Publish the list of permits."""
    plane.publish(city, PERMITS, PROVIDER, SPEC, ("样例/2", "许可证", "Permits"))
    city.admin.execute("SELECT exchange.create_list(%s)", [PERMITS])


@contextlib.contextmanager
def running_copy_city(server: TestServer, template: str) -> Iterator[CopyCity]:
    """A city with vault, plane and the process for copies."""
    with plane.parts_of_city(server, template, "sq-bulk-") as parts, contextlib.ExitStack() as stack:
        city = CopyCity(*parts, free_port())
        keys.random_secret_file(city.folder / "bulk.key")
        plane.prepare(city)
        plane.enrol(city, PORTAL, "440100-housing", "ed25519")
        city.admin.execute("UPDATE exchange.application SET portal = true WHERE id = %s", [PORTAL])
        publish(city)
        stack.callback(city.stop)
        stack.callback(city.stop_copier, signal.SIGKILL)
        city.start()
        city.start_copier()
        yield city


@pytest.fixture(scope="session")
def shared_copy_city(pg_server: TestServer, hub_template: str) -> Iterator[CopyCity]:
    """One city for all tests of copies."""
    with running_copy_city(pg_server, hub_template) as city:
        yield city


@pytest.fixture
def city(shared_copy_city: CopyCity) -> CopyCity:
    """The shared city without grants, permits and copies; its log begins anew for the test."""
    city = shared_copy_city
    city.admin.execute('DELETE FROM exchange."grant"')
    city.empty_permits()
    city.seen_before = {row[0] for row in city.admin.execute("SELECT id FROM audit.entry").fetchall()}
    return city
