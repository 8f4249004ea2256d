"""The running system, the catalogue system and the exchange system: each works while the others are down.

They are parted as the processes of a city are: what calls are answered by, what pages come from, and what
brings batches. All three stand on the hub's database and the vault, which stay.
"""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from shuqiao.demo.home import Home
from shuqiao.demo.people import STORY_CHILD_CERTIFICATE
from shuqiao.rules.ids import resource_id
from tests.acceptance.issuing import issue_grant
from tests.acceptance.test_copies_on_pages import signed_in, token_of
from tests.loader.line import wait_for
from tests.plugins.city import City

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

RUNNING = ("plane", "bulk")
CATALOGUE = ("control", "worker")
NODES = ("node-440100-health", "node-440100-police", "node-440100-housing")
EXCHANGE = ("nats", "loader", "admitting", *NODES)
BIRTH = resource_id("440100", "birth")
NUMBER = "G-2026-0913"
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def granted(city: City) -> City:
    """The city with a grant to query one item of births."""
    issue_grant(
        city, number=NUMBER, request_number="R-2026-0913", resource=BIRTH, consumer="440100-housing",
        provider="440100-health", mode="query", fields=["certificate_issuing_unit"], purpose="样例查询",
        applications=["app-housing-rental", "app-housing-portal"],
    )  # fmt: skip
    return city


@contextlib.contextmanager
def without(city: City, *names: str) -> Iterator[None]:
    """Take processes down for a while: what looks after them sleeps, and starts them again when it wakes."""
    state = city.state
    before = {name: state["processes"][name] for name in names}
    os.kill(state["pid"], signal.SIGSTOP)
    try:
        for pid in before.values():
            os.kill(pid, signal.SIGTERM)
        for name, pid in before.items():
            wait_for(lambda pid=pid: not is_at_work(pid), PATIENCE_S, f"the end of {name}")
        yield
    finally:
        os.kill(state["pid"], signal.SIGCONT)
        # Whatever a test found, the next one finds a city that works.
        wait_for(lambda: started_again(city, before), PATIENCE_S, "the processes started again")


def started_again(city: City, before: dict[str, int]) -> bool:
    """Whether other processes are in the place of those, and pages and plane answer."""
    now = city.state["processes"]
    return all(now[name] != pid for name, pid in before.items()) and (
        answers(f"{city.url}/sign-in/") and answers(plane_url(city) + "/health/ready")
    )


def is_at_work(pid: int) -> bool:
    """Whether a process is there and not only waits for its parent to look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def plane_url(city: City) -> str:
    """Where calls are answered."""
    return f"http://127.0.0.1:{city.plane_port}"


def answers(url: str) -> bool:
    """Whether somebody answers there, and well."""
    try:
        return httpx.get(url, timeout=20, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def change_source(city: City, unit: str) -> None:
    """Write another value into a record of the department's own database."""
    with psycopg.connect(Home(city.home).departments_server.url("health"), autocommit=True) as source:
        changed = source.execute(
            "UPDATE csyxzm SET qfjg = %s WHERE zsbh = %s", [unit, STORY_CHILD_CERTIFICATE]
        )
        assert changed.rowcount == 1


def merged(city: City) -> str:
    """The item as it stands in the base table: what the exchange has brought."""
    with psycopg.connect(Home(city.home).hub_superuser_url("shuqiao")) as hub:
        found = hub.execute(
            f"SELECT b.certificate_issuing_unit FROM base.{BIRTH} b"
            " JOIN audit.entry e ON e.record_id = b.record_id WHERE e.event = 'query'"
            " AND e.grant_id = %s LIMIT 1",
            [NUMBER],
        ).fetchone()
    assert found is not None
    return str(found[0])


def another(unit: str) -> str:
    """Another value than the item has now."""
    return "示例医院甲" if unit != "示例医院甲" else "示例医院乙"


def given(city: City) -> str | None:
    """The item as the plane gives it to an application, None where it doesn't answer."""
    done = city.run(
        "call", "query", "--app", "app-housing-rental", "--resource", BIRTH, "--grant", NUMBER,
        "--subject", STORY_CHILD_CERTIFICATE, "--case", "GZF-2026-0913",
    )  # fmt: skip
    return json.loads(done.stdout or "{}").get("data", {}).get("certificate_issuing_unit")


def assert_catalogue_works(city: City, browser: httpx.Client) -> None:
    """The catalogue is searched and an entry read."""
    found = browser.get("/catalogue/", params={"q": "出生"})
    assert found.status_code == 200 and f'href="/catalogue/{BIRTH}/"' in found.text
    entry = browser.get(f"/catalogue/{BIRTH}/")
    assert entry.status_code == 200 and "出生登记信息" in entry.text
    public = httpx.get(f"{city.url}/api/3/action/package_search", timeout=60, trust_env=False)
    assert public.status_code == 200 and public.json()["success"]


def assert_exchange_works(city: City, value: str) -> None:
    """A change at the source reaches the base table."""
    change_source(city, value)
    wait_for(lambda: merged(city) == value, PATIENCE_S, "the change merged")


@pytest.mark.requirement("ING-13")
def test_catalogue_and_calls_work_while_the_exchange_is_down(granted: City) -> None:
    city = granted
    before = given(city)
    assert before
    with signed_in(city, "ma") as operator, without(city, *EXCHANGE):
        other = another(before)
        change_source(city, other)
        assert_catalogue_works(city, operator)
        with signed_in(city, "lin") as clerk:
            assert_catalogue_works(city, clerk)
        assert answers(plane_url(city) + "/health/ready")
        assert given(city) == before, "calls are answered from what was merged before"
        wait_for(lambda: "没有消息" in operator.get("/exchange/").text, PATIENCE_S, "the silence shown")
    wait_for(lambda: given(city) == other, PATIENCE_S, "what changed meanwhile")
    with signed_in(city, "ma") as operator:
        wait_for(
            lambda: "没有消息" not in operator.get("/exchange/").text, PATIENCE_S, "the nodes heard again"
        )


@pytest.mark.requirement("ING-13")
def test_exchange_and_calls_work_while_the_catalogues_front_is_down(granted: City) -> None:
    city = granted
    before = given(city)
    assert before
    with without(city, *CATALOGUE):
        assert not answers(f"{city.url}/sign-in/")
        other = another(before)
        assert_exchange_works(city, other)
        assert given(city) == other
    with signed_in(city, "lin") as clerk:
        assert_catalogue_works(city, clerk)


@pytest.mark.requirement("ING-13")
def test_catalogue_and_exchange_work_while_the_plane_is_down(granted: City) -> None:
    city = granted
    before = given(city)
    assert before
    with signed_in(city, "lin") as clerk, without(city, *RUNNING):
        assert not answers(plane_url(city) + "/health/live")
        assert_catalogue_works(city, clerk)
        form = clerk.get(f"/query/{NUMBER}/")
        assert form.status_code == 200, form.text[:2000]
        said = {"csrfmiddlewaretoken": token_of(form.text), "subject": STORY_CHILD_CERTIFICATE}
        refused = clerk.post(f"/query/{NUMBER}/", data=said | {"case": "GZF-2026-0913"})
        assert refused.status_code == 503, refused.text[:2000]
        other = another(before)
        assert_exchange_works(city, other)
    assert given(city) == other
