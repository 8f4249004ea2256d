"""The interface as it is served: real processes and connections, the client and the command of the node."""

import contextlib
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from shuqiao.cli import main
from shuqiao.client.catalogue import CatalogueClient
from shuqiao.control.compiling.interface.models import UsedSignature
from shuqiao.control.compiling.models import Compilation
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer, sign_request
from tests.compiling.interface_client import BASE, HEALTH, complete_entry, enrolled
from tests.control.conftest import committed_city
from tests.plugins.ports import free_port

__all__ = ["committed_city"]

pytestmark = pytest.mark.database

READY_S = 60


@dataclass
class Office:
    """Control at work in two processes, and an application of the health department."""

    port: int
    key: object

    @property
    def url(self) -> str:
        """Address of the pages."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, person: str = "chen") -> CatalogueClient:
        """The project's own client."""
        return CatalogueClient(self.url, key_signer(self.key), person)

    def signed(self, method: str, path: str, body: bytes = b"") -> dict[str, str]:
        """Headers of one signed request."""
        target = (method, f"127.0.0.1:{self.port}", path)
        return sign_request(
            key_signer(self.key), target, body, CallContext(end_user="chen"), int(time.time())
        )


@pytest.fixture
def office(committed_city, tmp_path: Path) -> Iterator[Office]:
    """Serve the city's database as the demonstration does."""
    key = enrolled("app-health-catalogue", HEALTH)
    port = free_port()
    program = [sys.executable, "-W", "ignore", "-m", "granian", "--interface", "asginl", "--workers", "2"]
    place = ["--host", "127.0.0.1", "--port", str(port), "--no-ws", "shuqiao.control.front:application"]
    log = (tmp_path / "granian.log").open("wb")
    served = subprocess.Popen([*program, *place], stdout=log, stderr=log)
    try:
        _wait_for(port, served, tmp_path / "granian.log")
        yield Office(port, key)
    finally:
        served.terminate()
        served.wait(timeout=60)
        log.close()
        UsedSignature.objects.all().delete()


def _wait_for(port: int, served: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(READY_S * 5):
        assert served.poll() is None, log.read_text(errors="replace")[-3000:]
        with contextlib.suppress(OSError):
            if _asked(port, f"{BASE}/openapi.json", {}) == 200:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


TABLE = """
CREATE TABLE jzdw (dwbh char(10) PRIMARY KEY, xm varchar(50), gxsj timestamptz NOT NULL);
COMMENT ON TABLE jzdw IS '接种单位';
COMMENT ON COLUMN jzdw.xm IS '联系人姓名';
"""


@pytest.mark.requirement("CAT-18")
def test_a_departments_system_compiles_over_the_wire(
    office: Office, empty_database: str, tmp_path: Path
) -> None:
    with office.client() as catalogue:
        said = catalogue.put("units", complete_entry(), dry_run=True)
        assert (said.status, said.code, said.content["result"], Compilation.objects.count()) == (
            200,
            "",
            "created",
            0,
        )
        assert catalogue.put("units", complete_entry()).content["result"] == "created"
        assert catalogue.put("units", complete_entry(), submit=True).content["state"] == "put_forward"
        assert catalogue.get("/entries/units/draft").content["faults"] == []
        assert catalogue.get("/entries", "?limit=1").content["next"]
        assert catalogue.put("units", complete_entry(scope="x")).code == "entry_being_changed"
    _signatures(office)
    _framing(office)


def _signatures(office: Office) -> None:
    """Sent again and again, whichever process gets it, a signature is answered once."""
    path = f"{BASE}/entries"
    headers = office.signed("GET", path)
    seen = [_asked(office.port, path, headers) for _ in range(12)]
    assert sorted(seen) == [200, *[401] * 11]


def _asked(port: int, path: str, headers: dict[str, str]) -> int:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        link.request("GET", path, headers=headers)
        return link.getresponse().status
    finally:
        link.close()


def _framing(office: Office) -> None:
    """What a body's frame may not be: chunked, larger than said, doubled headers."""
    path = f"{BASE}/entries/other"
    body = b'{"entry":{}}'
    base = office.signed("PUT", path, body) | {"content-type": "application/json"}
    chunked = b"c\r\n" + body + b"\r\n0\r\n\r\n"
    assert _raw(office.port, path, {**base, "transfer-encoding": "chunked"}, chunked)[9:12] in (
        b"400",
        b"411",
    )
    again = office.signed("PUT", path, body) | {"content-type": "application/json"}
    doubled = [*again.items(), ("content-length", str(len(body))), ("shuqiao-end-user", "gong")]
    assert _raw(office.port, path, doubled, body)[9:12] in (b"400", b"401")
    large = {**base, "content-length": str(1024 * 1024 + 1)}
    assert _raw(office.port, path, large, b" " * (1024 * 1024 + 1))[9:12] == b"413"
    assert Compilation.objects.filter(key="other").count() == 0


def _raw(port: int, path: str, headers: dict[str, str] | list[tuple[str, str]], body: bytes) -> bytes:
    pairs = headers.items() if isinstance(headers, dict) else headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(f"PUT {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{lines}\r\n".encode() + body)
        return link.recv(4096)


@pytest.mark.requirement("CAT-18")
def test_a_node_sends_the_structure_of_a_table(office, empty_database, tmp_path, monkeypatch, capsys) -> None:
    """The draft says what is left to a person; the same table again changes nothing."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(TABLE)
    file = tmp_path / "app.key"
    keys.write_secret_file(file, keys.private_pem(office.key))
    monkeypatch.setenv("NODE_SOURCE_URL", empty_database)
    options = ["--key-file", str(file), "--person", "chen"]

    def run(*more: str) -> tuple[int, str, str]:
        code = main(["node", "describe", "jzdw", "--submit", office.url, *more])
        return code, *capsys.readouterr()

    first, again = run(*options), run(*options)
    assert first[0] == again[0] == 0, first[2] + again[2]
    case = Compilation.objects.get(key="table.public.jzdw")
    assert first[1].startswith(f"created: draft {case.number}") and "unchanged" in again[1]
    assert [item["zh"] for item in case.content["items"]][1] == "联系人姓名"
    stranger = run(*options[:3], "hou")
    assert stranger[0] == 1 and stranger[2].startswith("end_user_refused")
    assert run()[0] == 2
