"""A plane, a NATS server, a department's node and the department's own little HTTP interface, all real."""

import contextlib
import dataclasses
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from shuqiao.client.plane import PlaneAnswer
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.grant import Grant
from shuqiao.wire.interface import InterfaceSpec, Limits
from shuqiao.wire.interface_reading import read_description
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from tests.loader.line import Child
from tests.plane import conftest as plane
from tests.plane.node_city import PROVIDER, NodeCity
from tests.plugins.ports import free_port
from tests.plugins.server import TestServer

PERMITS = "r440100permitab23"
SECRET = "Bearer sample-secret"
DOCUMENT = Path(__file__).with_name("permits.yaml")
LIMITS = Limits(timeout_s=3.0, max_answer_bytes=8 * 1024 * 1024, failures=3, rest_s=1.0)
SPEC = ResourceSpec(
    record_key="holder_number",
    modes=("query",),
    items=(
        ItemSpec(
            "holder_number", "持证人号码", "Number of the holder", "string", True, "citizen_id", 3, True
        ),
        ItemSpec("permit_no", "许可证号", "Permit number", "string"),
        ItemSpec("kind_code", "类别", "Kind", "code"),
        ItemSpec("issued_on", "发证日期", "Issued on", "date"),
        ItemSpec("phone", "电话", "Phone", "string", False, "contact", 2, masked=True),
    ),
)


def permit(number: str) -> dict[str, Any]:
    """An invented permit as the department's interface gives it: more than anybody is granted."""
    return {
        "permit_no": number,
        "kind_code": "2",
        "issued": "2024-05-01",
        "phone": "13900001234",
        "inspector_note": "内部备注",
        "undeclared": {"secret": 1},
    }


SCAN = b"%PDF-1.4 sample"


class Api(BaseHTTPRequestHandler):
    """The department's own interface; what it should do wrong stands in `server.fault`."""

    protocol_version = "HTTP/1.1"
    server: "ApiServer"

    def do_GET(self) -> None:
        """Answer a permit or its scan."""
        self.server.seen.append((self.command, self.path, dict(self.headers), b""))
        parts = self.path.partition("?")[0].split("/")
        if parts[-1] == "scan":
            self._send("application/pdf", self.server.scan)
        else:
            self._send("application/json", json.dumps(permit(unquote(parts[-1]))).encode())

    def do_POST(self) -> None:
        """Answer a page of permits, as many as the body asks for."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        rows = [permit(f"P{number:08d}") for number in range(json.loads(body).get("rows", 2))]
        self._send("application/json", json.dumps({"total": len(rows), "rows": rows}).encode())

    def _send(self, kind: str, body: bytes) -> None:
        fault = self.server.fault
        if fault in ("slow", "late"):
            time.sleep(4 if fault == "slow" else 1)
        if fault == "hangs_up":
            self.close_connection = True
            return
        if fault == "wrong_type":
            kind = "text/html"
        if fault == "not_json":
            body = b"<oops>"
        self.send_response(500 if fault == "broken" else 404 if fault == "missing" else 200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body) + (10 if fault == "cut" else 0)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        if fault == "cut":
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class ApiServer(ThreadingHTTPServer):
    """Keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Api)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.fault = ""
        self.scan = SCAN


@dataclass
class InterfaceCity(NodeCity):
    """The plane's city with NATS, a node, and the interface behind it."""

    api: ApiServer | None = None

    def node_environment(self) -> dict[str, str]:
        """Settings of the node: nothing but an interface."""
        return super().node_environment() | {
            "NODE_INTERFACES": str(self.home / "interfaces"),
            "NODE_SOURCE_URL": "postgresql://nobody@127.0.0.1:1/none",
        }

    def start_node(self) -> None:
        """Start the node and wait until it hears calls."""
        self.start_child("node", "interfaces_ready")

    def interface_grant(self, **changes: Any) -> Grant:
        """Issue a grant of the interface's operations."""
        words: dict[str, Any] = {
            "resource": PERMITS,
            "provider": PROVIDER,
            "mode": "query",
            "items": ("permit_no", "issued_on", "phone"),
            "operations": ("getPermit", "searchPermits", "getScan"),
        }
        return self.issue(**(words | changes))

    def call(
        self,
        operation: str,
        parameters: dict[str, str] | None = None,
        application: str = plane.APP,
        **more: Any,
    ) -> PlaneAnswer:
        """Call an operation with the project's own client, which checks the promise."""
        body = {"parameters": parameters or {}, **more}
        with self.client(application) as client:
            path = f"/v1/resources/{PERMITS}/interface/{operation}"
            return client.post(path, body, CallContext())


def publish(city: InterfaceCity) -> None:
    """Publish the permits and their interface, as control does."""
    plane.publish(city, PERMITS, PROVIDER, SPEC, ("样例/2", "许可证", "Permits"))
    spec = InterfaceSpec(description=read_description(DOCUMENT.read_bytes()), limits=LIMITS)
    city.admin.execute(
        "INSERT INTO exchange.interface (resource_id, spec) VALUES (%s, %s)",
        [PERMITS, msgspec.json.encode(spec).decode()],
    )


def set_up_node(city: InterfaceCity) -> None:
    """Start NATS, admit the node and tell it of the interface."""
    city.admit_node(keys.generate_signing_key())
    folder = city.home / "interfaces"
    folder.mkdir()
    (folder / "permits.openapi").write_bytes(DOCUMENT.read_bytes())
    (folder / "secret").write_text(SECRET)
    assert city.api is not None
    (folder / "permits.yaml").write_text(
        f"resource: {PERMITS}\ndescription: permits.openapi\n"
        f"base_url: http://127.0.0.1:{city.api.server_port}/api/\nheaders: {{authorization: secret}}\n"
    )
    city.children["node"] = Child(
        "node", [sys.executable, "-m", "shuqiao.edge.main"], city.node_environment(), city.folder / "node.log"
    )


@contextlib.contextmanager
def running_interface_city(server: TestServer, template: str) -> Iterator[InterfaceCity]:
    """A city with everything between an application and a department's interface."""
    with plane.parts_of_city(server, template, "sq-face-") as parts, contextlib.ExitStack() as stack:
        api = ApiServer()
        threading.Thread(target=api.serve_forever, daemon=True).start()
        stack.callback(api.server_close)
        stack.callback(api.shutdown)
        city = InterfaceCity(*parts, free_port(), api=api, nats_port=free_port())
        plane.prepare(city)
        publish(city)
        stack.callback(lambda: [child.end(signal.SIGKILL) for child in city.children.values()])
        set_up_node(city)
        stack.callback(city.stop)
        city.start(workers=1)
        city.start_node()
        yield city


@pytest.fixture(scope="session")
def shared_interface_city(pg_server: TestServer, hub_template: str) -> Iterator[InterfaceCity]:
    """One city for all tests of interfaces."""
    with running_interface_city(pg_server, hub_template) as city:
        yield city


@pytest.fixture
def city(shared_interface_city: InterfaceCity) -> Iterator[InterfaceCity]:
    """The shared city without grants, faults and, to the eyes of the test, entries."""
    city = shared_interface_city
    assert city.api is not None
    city.admin.execute('DELETE FROM exchange."grant"')
    city.admin.execute("DELETE FROM exchange.interface_outcome")
    city.api.seen.clear()
    city.api.fault, city.api.scan = "", SCAN
    seen = {entry for (entry,) in city.admin.execute("SELECT id FROM audit.entry").fetchall()}
    yield dataclasses.replace(city, application_keys=dict(city.application_keys), seen_before=seen)
    city.api.fault = ""
