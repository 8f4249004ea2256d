"""The plane with its database behind pgbouncer in transaction mode, with fewer connections than it makes."""

import concurrent.futures
import getpass
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from psycopg.conninfo import conninfo_to_dict

from shuqiao.embedded.postgres import SYSTEM_USER
from shuqiao.embedded.processes import is_root, system_user
from tests.plane.conftest import PEOPLE, QUERY_ITEMS, RESOURCE, City, free_port, running_city
from tests.plugins.server import TestServer
from tests.vault import births

pytestmark = pytest.mark.timeout(120)

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
CONNECTIONS = 2

SETTINGS = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 100
"""


@pytest.fixture
def bouncer(pg_server: TestServer) -> Iterator[int]:
    """The port of a pooler before the server of the tests."""
    if not Path(PROGRAM).exists():
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    place = conninfo_to_dict(pg_server.url("postgres", "shuqiao_plane"))
    folder = Path(tempfile.mkdtemp(prefix="sqb-"))
    listen = free_port()
    words = {"host": place["host"], "port": place.get("port", 5432), "listen": listen, "folder": folder}
    (folder / "pgbouncer.ini").write_text(SETTINGS.format(**words, size=CONNECTIONS))
    (folder / "users").write_text(f'"shuqiao_plane" "{place["password"]}"\n')
    user = SYSTEM_USER if is_root() else getpass.getuser()
    if is_root():
        account = system_user(user)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, account.pw_uid, account.pw_gid)
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [PROGRAM, str(folder / "pgbouncer.ini")],
        stdout=log,
        stderr=log,
        user=user if is_root() else None,
        cwd=folder,
    )
    try:
        _wait_for(listen, process, folder / "log")
        yield listen
    finally:
        process.kill()
        process.wait(timeout=10)
        log.close()
        shutil.rmtree(folder)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.fixture
def pooled_city(
    bouncer: int, pg_server: TestServer, hub_template: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[City]:
    """A city whose plane knows only the pooler's address."""
    monkeypatch.setenv("PLANE_DATABASE_POOLER", "transaction")
    direct = City.environment

    def through_the_pooler(city: City) -> dict[str, str]:
        password = conninfo_to_dict(city.hub.role("shuqiao_plane"))["password"]
        url = f"postgresql://shuqiao_plane:{password}@127.0.0.1:{bouncer}/{city.hub.name}"
        return direct(city) | {"PLANE_DATABASE_URL": url}

    monkeypatch.setattr(City, "environment", through_the_pooler)
    with running_city(pg_server, hub_template) as city:
        yield city


def query(city: City, serial: int) -> httpx.Response:
    """Ask for one item of one subject."""
    body = json.dumps({"subject": births.certificate(serial % PEOPLE), "items": ["sex_code"]}).encode()
    url = f"{city.url}/v1/resources/{RESOURCE}/query"
    headers = city.signed(body, operation="query")
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30)


def test_calls_and_revocation_go_through_a_pooler(pooled_city: City) -> None:
    city = pooled_city
    grant = city.issue(mode="query", items=QUERY_ITEMS)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda serial: query(city, serial), range(64)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(city.entries()) == 64
    city.revoke(grant)
    assert query(city, 1).json()["code"] == "grant_revoked"
    granted = city.issue(mode="query", items=QUERY_ITEMS)
    assert query(city, 1).status_code == 200
    assert city.entries()[-1]["grant_id"] == granted.id
    log = (city.folder / "plane.log").read_text()
    assert "prepared statement" not in log and "Traceback" not in log
