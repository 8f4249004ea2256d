"""The plane with its database behind pgbouncer in transaction mode, with fewer connections than it makes."""

import concurrent.futures
import json
from collections.abc import Iterator

import httpx
import pytest

from tests.plane.bouncer import running_pooler, through
from tests.plane.conftest import PEOPLE, QUERY_ITEMS, RESOURCE, City, running_city
from tests.plugins.server import TestServer
from tests.vault import births


@pytest.fixture
def pooled_city(pg_server: TestServer, hub_template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    """A city whose plane knows only the pooler's address."""
    monkeypatch.setenv("PLANE_DATABASE_POOLER", "transaction")
    direct = City.environment
    with running_pooler(pg_server, "shuqiao_plane") as bouncer:

        def through_the_pooler(city: City) -> dict[str, str]:
            return direct(city) | {"PLANE_DATABASE_URL": through(bouncer, city.hub, "shuqiao_plane")}

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
