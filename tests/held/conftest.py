"""A plane, a NATS server, a loader, a department's node and the department's own database, all real."""

import contextlib
import dataclasses
import json
import signal
import sqlite3
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from shuqiao.cli import main as shuqiao
from shuqiao.client.plane import PlaneAnswer
from shuqiao.loader.certify import certify_keys
from shuqiao.rules.identifiers import citizen_check_digit
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.grant import Grant
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from tests.loader.line import Child, wait_for
from tests.plane import conftest as plane
from tests.plane.node_city import PROVIDER, NodeCity
from tests.plugins.ports import free_port
from tests.plugins.server import RUN, TestServer

PERMITS = "r440100permitab23"
SPEC = ResourceSpec(
    record_key="holder_number",
    modes=("verify", "query"),
    items=(
        ItemSpec("holder_number", "持证人号码", "Holder's number", "string", True, "citizen_id", 3, True),
        ItemSpec("holder_name", "持证人姓名", "Holder's name", "string", True, "name", 2, True),
        ItemSpec("permit_no", "许可证号", "Permit number", "string"),
        ItemSpec("kind_code", "类别", "Kind", "code", codes=("1", "2")),
        ItemSpec("issued_on", "发证日期", "Issued on", "date"),
        ItemSpec("phone", "电话", "Phone", "string", True, "contact", 2, masked=True),
        ItemSpec("district", "区", "District", "string"),
    ),
    kept="node",
)
MAPPING = f"""
resource: {PERMITS}
kept: node
source: {{system: permits, table: permits, key: id, changed: changed}}
items:
  holder_number: holder
  holder_name: name
  permit_no: permit_no
  kind_code: {{column: kind, codes: {{A: "1", B: "2"}}}}
  issued_on: issued
  phone: phone
  district: district
"""
TABLE = """
CREATE TABLE permits (id bigserial PRIMARY KEY, holder char(18) UNIQUE, name text, permit_no text, kind text,
                      issued date, phone text, district text, changed timestamptz NOT NULL DEFAULT now())
"""
MODES = {"verify": ("permit_no",), "query": ("permit_no", "issued_on", "phone")}


def number(serial: int) -> str:
    """An invented citizen number."""
    first = f"44010019900101{serial:03d}"
    return first + citizen_check_digit(first)


AT_ONCE = """
from shuqiao.edge import main as node
own = node.Rhythm
node.Rhythm = lambda every_s, margin_s: own(every_s, 0.0)
node.main()
"""
"""A node that brings all of its log, also what is not old enough."""
NO_MARGIN = """
from shuqiao.loader import reports
assert "$9)" in reports._COMPARE
reports._COMPARE = reports._COMPARE.replace("$9)", "$9, interval '0')")
from shuqiao.loader.main import main
main()
"""
"""A loader that takes such a log."""
NOBODY = number(999)
"""A number that stands in no table."""


@dataclass
class HeldCity(NodeCity):
    """The plane's city with NATS, a loader, a node, and the department's own table behind it."""

    source: str = ""

    def environment(self) -> dict[str, str]:
        """Settings of the plane; a node has one second."""
        return super().environment() | {"PLANE_NODE_TIMEOUT_S": "1"}

    def node_environment(self) -> dict[str, str]:
        """Settings of the node; it brings its log when it starts."""
        return super().node_environment() | {"NODE_SOURCE_URL": self.source}

    def loader_environment(self) -> dict[str, str]:
        """Settings of the loader."""
        return {
            "LOADER_DATABASE_URL": self.hub.role("shuqiao_loader"),
            "NATS_URL": self.nats_url,
            "LOADER_CREDS": str(self.secrets / "nats-hub.creds"),
            "LOADER_CA": str(self.secrets / "ca.pem"),
            "VAULT_SOCKET": str(self.vault.socket),
            "VAULT_CLIENT_KEY_FILE": str(self.vault.folder / "secrets" / "vault-clients" / "loader"),
            "LOADER_RECEIPT_KEY_FILE": str(self.folder / "receipts.pem"),
        }

    def start_node(self, name: str = "node") -> None:
        """Start the node and wait until it hears calls."""
        self.start_child(name, "held_ready")

    def held_grant(self, mode: str = "verify", **changes: Any) -> Grant:
        """Issue a grant that the department has not confirmed yet."""
        words: dict[str, Any] = {"resource": PERMITS, "provider": PROVIDER, "mode": mode}
        return self.issue(**(words | {"items": MODES[mode]} | changes))

    def agreed(self, mode: str = "verify", application: str = plane.APP, **changes: Any) -> Grant:
        """Issue a grant and let the department confirm it, as its technician does after the first call."""
        grant = self.held_grant(mode, applications=(application,), **changes)
        asked = self.ask(grant, NOBODY, application=application, case="案-0")
        assert (asked.status, asked.code) == (403, "grant_not_confirmed"), asked.body
        words = [grant.id, self.signer(application).key_id, self.document(grant)]
        assert shuqiao(["node", "confirm", "--home", str(self.home), *words]) == 0
        return grant

    def document(self, grant: Grant) -> str:
        """The digits by which the node names the newest document of a grant."""
        with contextlib.closing(self.store()) as store:
            (digest,) = store.execute(
                'SELECT digest FROM permission WHERE "grant" = ? ORDER BY rowid DESC LIMIT 1', [grant.id]
            ).fetchone()
        return str(digest.hex()[:12])

    def ask(
        self,
        grant: Grant,
        subject: str,
        claims: dict[str, str] | None = None,
        application: str = plane.APP,
        case: str = "",
    ) -> PlaneAnswer:
        """Verify or query with the project's own client, which checks the promise."""
        context = CallContext(grant=grant.id)
        with self.client(application) as client:
            if grant.mode == "query":
                return client.query(PERMITS, subject, [], case=case, context=context)
            claims = claims if claims is not None else dict.fromkeys(grant.items, "P1")
            claims = {
                field: {"kind_code": "1", "issued_on": "2024-05-01"}.get(field, value)
                if value == "P1"
                else value
                for field, value in claims.items()
            }
            return client.verify(PERMITS, subject, claims, case=case, context=context)

    def store(self) -> sqlite3.Connection:
        """The node's own file, as whoever has its disk sees it."""
        return sqlite3.connect(self.home / "held" / "held.sqlite", isolation_level=None, timeout=5)

    def lines(self, *outcomes: str) -> list[dict[str, Any]]:
        """The node's lines with these outcomes, or all, in order."""
        with contextlib.closing(self.store()) as store:
            rows = store.execute("SELECT number, digest, body FROM line ORDER BY number").fetchall()
        found = [{"number": n, "digest": digest, **json.loads(body)} for n, digest, body in rows]
        return [row for row in found if not outcomes or row["outcome"] in outcomes]


def fill_source(url: str) -> None:
    """Make the department's own table with invented permits."""
    with psycopg.connect(url, autocommit=True) as source:
        source.execute(TABLE)
        for serial in range(1, 21):
            source.execute(
                "INSERT INTO permits (holder, name, permit_no, kind, issued, phone, district)"
                " VALUES (%s, %s, %s, %s, '2024-05-01', %s, %s)",
                [
                    number(serial).lower(),
                    f"样例{'甲乙丙丁戊己庚辛壬癸'[serial % 10]}",
                    f"P{serial:08d}",
                    "AB"[serial % 2],
                    f"1390000{serial:04d}",
                    "越秀区" if serial <= 10 else "天河区",
                ],
            )


def set_up(city: HeldCity) -> None:
    """Publish the entry, certify the applications, start NATS and loader, admit the node."""
    plane.publish(city, PERMITS, PROVIDER, SPEC, ("样例/3", "许可证", "Permits"))
    city.admit_node(keys.load_or_create_signing_key(city.folder / "receipts.pem"))
    certify_keys(city.secrets, city.hub.role("shuqiao_owner"))
    (city.home / "mappings" / "permits.yaml").write_text(MAPPING, encoding="utf-8")
    fill_source(city.source)
    for name, program, environment in (
        ("node", AT_ONCE, city.node_environment()),
        ("loader", NO_MARGIN, city.loader_environment()),
    ):
        command = [sys.executable, "-c", program]
        city.children[name] = Child(name, command, environment, city.folder / f"{name}.log")
    city.start_child("loader", "loader_ready")


@contextlib.contextmanager
def running_held_city(server: TestServer, template: str) -> Iterator[HeldCity]:
    """A city with everything between an application and a department's table."""
    with plane.parts_of_city(server, template, "sq-held-") as parts, contextlib.ExitStack() as stack:
        _, _, admin, _ = parts
        own = f"sq_{RUN}_{uuid.uuid4().hex[:8]}"
        admin.execute(f"CREATE DATABASE {own}".encode())
        stack.callback(lambda: admin.execute(f"DROP DATABASE {own} WITH (FORCE)".encode()))
        city = HeldCity(*parts, free_port(), source=server.superuser(own), nats_port=free_port())
        plane.prepare(city)
        stack.callback(lambda: [child.end(signal.SIGKILL) for child in city.children.values()])
        set_up(city)
        stack.callback(city.stop)
        city.start(workers=1)
        city.start_node()
        yield city


@pytest.fixture(scope="session")
def shared_held_city(pg_server: TestServer, hub_template: str) -> Iterator[HeldCity]:
    """One city for all tests of data that stay with their department."""
    with running_held_city(pg_server, hub_template) as city:
        yield city


@pytest.fixture
def city(shared_held_city: HeldCity) -> Iterator[HeldCity]:
    """The shared city without grants and, to the eyes of the test, entries; its node is at work."""
    city = shared_held_city
    city.admin.execute('DELETE FROM exchange."grant"')
    node = city.children["node"]
    if node.process is None or node.process.poll() is not None:
        city.start_node()
    seen = {entry for (entry,) in city.admin.execute("SELECT id FROM audit.entry").fetchall()}
    mine = dataclasses.replace(city, application_keys=dict(city.application_keys), seen_before=seen)
    yield mine
    # The node remembers grants by their numbers.
    city.grants = mine.grants


def settle(city: HeldCity, grant: Grant) -> None:
    """Wait until the plane asks a node again that it had left alone."""
    wait_for(lambda: city.ask(grant, NOBODY).code != "node_away", what="the node's return")
    time.sleep(0.1)
