"""More calls than the plane can or will serve: turned away at once, and the others answered in their time."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from shuqiao.plane.allowance import Allowance
from shuqiao.rules.errors import TooManyCalls
from tests.plane.conftest import APP, OTHER_APP, PEOPLE, QUERY_ITEMS, RESOURCE, City, running_city
from tests.plugins.server import TestServer
from tests.vault import births

LIMIT = 4
WAITING = 8
HELD_S = 4.0


def test_an_allowance_fills_again_and_belongs_to_one_application() -> None:
    now = [100.0]
    allowance = Allowance(2, lambda: now[0])
    for _ in range(2):
        allowance.take("one")
    with pytest.raises(TooManyCalls):
        allowance.take("one")
    allowance.take("other")
    now[0] += 0.5
    allowance.take("one")
    with pytest.raises(TooManyCalls):
        allowance.take("one")
    now[0] += 1000
    for _ in range(2):
        allowance.take("one")
    with pytest.raises(TooManyCalls):
        allowance.take("one")


@pytest.fixture
def narrow_city(pg_server: TestServer, hub_template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    """A city whose applications may call little."""
    monkeypatch.setenv("PLANE_CALLS_PER_S", str(LIMIT))
    with running_city(pg_server, hub_template) as city:
        yield city


@pytest.fixture
def short_city(pg_server: TestServer, hub_template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    """A city where few calls may wait."""
    monkeypatch.setenv("PLANE_MAX_WAITING", str(WAITING))
    with running_city(pg_server, hub_template) as city:
        yield city


def query(city: City, serial: int, application: str = APP) -> tuple[str, bytes, dict[str, str]]:
    """URL, body and headers of a signed query."""
    body = json.dumps({"subject": births.certificate(serial % PEOPLE), "items": ["sex_code"]}).encode()
    url = f"{city.url}/v1/resources/{RESOURCE}/query"
    return url, body, city.signed(body, operation="query", application=application)


def test_who_calls_too_often_is_turned_away_and_the_others_are_not(narrow_city: City) -> None:
    city = narrow_city
    city.issue(mode="query", items=QUERY_ITEMS)
    city.issue(mode="query", items=QUERY_ITEMS, department="440100-education", applications=(OTHER_APP,))
    # One connection is one worker, and so one bucket.
    with httpx.Client(trust_env=False, timeout=20) as client:
        calls = [query(city, serial) for serial in range(30)]
        answers = [client.post(url, content=body, headers=headers) for url, body, headers in calls]
        counted = Counter(answer.status_code for answer in answers)
        assert set(counted) == {200, 429} and counted[200] < 20
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["code"] == "too_many_calls"
        assert refused.headers["retry-after"] == "1"
        url, body, headers = query(city, 1, OTHER_APP)
        assert client.post(url, content=body, headers=headers).status_code == 200
        time.sleep(1.1)
        url, body, headers = query(city, 2)
        assert client.post(url, content=body, headers=headers).status_code == 200
        # What was turned away has used up nothing: the very same request is taken later.
        again = next(call for call, answer in zip(calls, answers, strict=True) if answer.status_code == 429)
        assert client.post(again[0], content=again[1], headers=again[2]).status_code == 200
    assert len(city.entries()) == counted[200] + 3


async def _ask_all(city: City, number: int) -> list[tuple[int, str, float]]:
    """Status, code and seconds of many queries at once."""
    limits = httpx.Limits(max_connections=number)
    async with httpx.AsyncClient(trust_env=False, timeout=30, limits=limits) as client:

        async def ask(serial: int) -> tuple[int, str, float]:
            url, body, headers = query(city, serial)
            started = time.perf_counter()
            answer = await client.post(url, content=body, headers=headers)
            if answer.status_code == 503:
                assert answer.headers["retry-after"]
            return answer.status_code, answer.json().get("code", ""), time.perf_counter() - started

        return await asyncio.gather(*(ask(serial) for serial in range(number)))


def test_a_full_queue_is_shed_at_once_and_what_was_taken_is_answered(short_city: City) -> None:
    """The log is locked for some seconds; who finds the queue full does not wait for it."""
    city = short_city
    city.issue(mode="query", items=QUERY_ITEMS)

    async def locked() -> list[tuple[int, str, float]]:
        with city.admin.transaction():
            city.admin.execute("LOCK TABLE audit.entry IN SHARE MODE")
            first = [asyncio.create_task(_ask_all(city, 8)) for _ in range(2)]
            await asyncio.sleep(0.5)
            shed = asyncio.create_task(_ask_all(city, 80))
            await asyncio.sleep(HELD_S)
        return [answer for group in [*first, shed] for answer in await group]

    answers = asyncio.run(locked())
    counted = Counter((status, code) for status, code, _ in answers)
    assert set(counted) == {(200, ""), (503, "overloaded")}
    assert counted[503, "overloaded"] >= 40
    assert max(seconds for status, _, seconds in answers if status == 503) < HELD_S - 0.5
    assert max(seconds for status, _, seconds in answers if status == 200) < HELD_S + 3
    assert len(city.entries()) == counted[200, ""]
    assert {status for status, _, _ in asyncio.run(_ask_all(city, 4))} == {200}
