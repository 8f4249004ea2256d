"""The hub's database over TLS alone: every process checks the server's certificate and name, and works."""

import concurrent.futures
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.loader.line import Line, wait_for
from tests.plane.conftest import PEOPLE, QUERY_ITEMS, RESOURCE, City, running_city
from tests.plugins.clusters import TEMPLATE
from tests.plugins.hubs import copy_hub, environment
from tests.plugins.server import Hub, TestServer
from tests.plugins.tls import TlsPlace, tls_server
from tests.run import debian_programs
from tests.vault import births

pytestmark = pytest.mark.timeout(300)

CALLS = 120


@pytest.fixture
def place() -> Iterator[TlsPlace]:
    """A server of Debian's that takes nothing but TLS."""
    programs = debian_programs()
    if programs is None:
        pytest.skip("Debian's PostgreSQL is not installed: apt-get install postgresql")
    with tls_server(programs) as made:
        yield made


def encrypted(server: TestServer, database: str) -> dict[str, bool]:
    """Whether the connections of each role to a database are encrypted."""
    with psycopg.connect(server.superuser(database)) as connection:
        found = connection.execute(
            "SELECT usename, bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            " WHERE datname = %s AND pid <> pg_backend_pid() GROUP BY usename",
            [database],
        )
        return dict(found.fetchall())


def query(city: City, serial: int) -> int:
    """Status of one call."""
    body = json.dumps({"subject": births.certificate(serial % PEOPLE), "items": ["sex_code"]}).encode()
    url = f"{city.url}/v1/resources/{RESOURCE}/query"
    headers = city.signed(body, operation="query")
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=60).status_code


def test_the_server_takes_nothing_but_tls_and_its_name_is_checked(place: TlsPlace) -> None:
    plain = place.url().replace("verify-full", "disable")
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(plain)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(place.url(authority=place.other_authority))
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        psycopg.connect(place.url(host="127.0.0.1"))


@pytest.mark.requirement("SEC-01")
def test_the_plane_answers_under_load_over_tls(place: TlsPlace) -> None:
    server = place.server
    with running_city(server, TEMPLATE) as city:
        city.issue(mode="query", items=QUERY_ITEMS)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda serial: query(city, serial), range(CALLS))) == {200}
        assert len(city.entries()) == CALLS
        assert encrypted(server, city.hub.name)["shuqiao_plane"]


@pytest.mark.parametrize("fault", ["authority", "name"])
def test_a_server_that_is_not_vouched_for_is_not_asked(
    place: TlsPlace, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = City.environment

    def elsewhere(city: City) -> dict[str, str]:
        given = direct(city)
        url = given["PLANE_DATABASE_URL"]
        changed = {
            "authority": url.replace(str(place.authority), str(place.other_authority)),
            "name": url.replace("@localhost:", "@127.0.0.1:"),
        }
        assert changed[fault] != url
        return given | {"PLANE_DATABASE_URL": changed[fault]}

    with running_city(place.server, TEMPLATE) as city:
        city.issue(mode="query", items=QUERY_ITEMS)
        city.stop()
        monkeypatch.setattr(City, "environment", elsewhere)
        monkeypatch.setattr(City, "status", lambda _city, _path: 200)
        city.start()
        monkeypatch.undo()
        wait_for(lambda: city.status("/health/live") == 200, what="the plane")
        assert city.status("/health/ready") == 503
        assert query(city, 1) == 503


async def test_the_loader_loads_over_tls(place: TlsPlace, vault_url: str, empty_database: str) -> None:
    server = place.server
    copy_hub(server.superuser(), TEMPLATE, "hub")
    line = Line(Hub("hub", server), vault_url, empty_database)
    try:
        rows = await line.set_up(people=200)
        line.start("loader", "node")
        wait_for(lambda: line.count() == rows, what="the load")
        assert encrypted(server, "hub")["shuqiao_loader"]
        assert line.base_checksum() == line.source_checksum()
    finally:
        print(line.logs())
        line.close()


def test_control_asks_over_tls(place: TlsPlace, tmp_path: Path) -> None:
    server = place.server
    copy_hub(server.superuser(), TEMPLATE, "hub")
    program = (
        "import django; django.setup()\n"
        "from django.db import connection\n"
        "with connection.cursor() as cursor:\n"
        "    cursor.execute('SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()')\n"
        "    print(*cursor.fetchone())\n"
    )

    def asked(url: str) -> subprocess.CompletedProcess[str]:
        settings = environment(tmp_path, url) | {"DJANGO_SETTINGS_MODULE": "shuqiao.control.settings"}
        command = [sys.executable, "-W", "ignore", "-c", program]
        return subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=60)

    url = server.url("hub", "shuqiao_control")
    assert asked(url).stdout.split()[0] == "True"
    refused = asked(url.replace(str(place.authority), str(place.other_authority)))
    assert refused.returncode != 0 and "certificate verify failed" in refused.stderr
