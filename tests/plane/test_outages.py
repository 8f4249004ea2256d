"""The hub's database stopped and started while calls come in."""

import concurrent.futures
import itertools
import json
import signal
import threading
import time
from collections import Counter

import httpx
import psycopg
import pytest

from tests.plane.conftest import RESOURCE, City, running_city
from tests.plugins.clusters import TEMPLATE
from tests.plugins.server import TestServer
from tests.vault import births

pytestmark = [pytest.mark.database, pytest.mark.timeout(240)]

AWAY_S = 3.0


def call(city: City, serial: int) -> tuple[int, str | None]:
    """Status of one call, and its entry where it was answered."""
    child = serial % 20
    # What agrees is no guess, however often it is asked.
    claims = {"mother_name": f"样例母亲{child}"}
    body = json.dumps({"subject": births.certificate(child), "claims": claims}).encode()
    url = f"{city.url}/v1/resources/{RESOURCE}/verify"
    response = httpx.post(url, content=body, headers=city.signed(body), trust_env=False, timeout=30)
    answer = response.json()
    if response.status_code == 503:
        assert answer["code"] in ("unavailable", "overloaded")
        assert response.headers["retry-after"]
    return response.status_code, answer.get("entry")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_calls_answer_503_while_it_is_away_and_then_go_on(own_server: TestServer, number: int) -> None:
    with running_city(own_server, TEMPLATE) as city:
        city.issue()
        results: list[tuple[int, str | None]] = []
        ended = threading.Event()

        def keep_calling(first: int) -> None:
            for serial in itertools.count(first):
                if ended.is_set():
                    return
                results.append(call(city, serial))

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            callers = [pool.submit(keep_calling, 5 * n) for n in range(4)]
            try:
                time.sleep(1.5)
                city.admin.close()
                own_server.halt(number)
                time.sleep(AWAY_S)
                own_server.resume()
                deadline = time.monotonic() + 60
                while [status for status, _ in results[-12:]] != [200] * 12 and time.monotonic() < deadline:
                    time.sleep(0.2)
            finally:
                ended.set()
            for caller in callers:
                caller.result(timeout=60)
        statuses = Counter(status for status, _ in results)
        assert set(statuses) == {200, 503}
        assert [status for status, _ in results[-12:]] == [200] * 12
        city.admin = psycopg.connect(city.hub.superuser, autocommit=True)
        with city.admin:
            entries = [str(entry["id"]) for entry in city.entries() if entry["event"] == "verify"]
        answered = [entry for status, entry in results if status == 200]
        assert len(set(answered)) == len(answered)
        # Every answer has its entry; an entry without an answer was written just before the cut.
        assert set(answered) <= set(entries)
        assert len(entries) - len(answered) <= statuses[503]
