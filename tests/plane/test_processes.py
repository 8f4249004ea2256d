"""The plane's processes: killed, cut off from the database, left behind by their parent."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.plane.conftest import RESOURCE, City
from tests.vault import births

BODY = json.dumps({"subject": births.certificate(3), "claims": {"sex_code": "2"}}).encode()


def status(city: City) -> int:
    """Status of one fresh call, 0 when nobody answers."""
    url = f"{city.url}/v1/resources/{RESOURCE}/verify"
    try:
        headers = city.signed(BODY)
        return httpx.post(url, content=BODY, headers=headers, trust_env=False, timeout=15).status_code
    except httpx.HTTPError:
        return 0


def workers(city: City) -> list[int]:
    """Process ids of the workers."""
    assert city.process is not None
    pid = city.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(is_so: Callable[[], bool], patience_s: float = 20.0) -> bool:
    """Wait for something."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_calls_go_on_after_the_database_cut_every_connection(own_city: City) -> None:
    own_city.issue()
    assert status(own_city) == 200
    own_city.admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = 'shuqiao_plane' AND datname = current_database()"
    )
    assert until(lambda: [status(own_city) for _ in range(4)] == [200] * 4)


def test_a_worker_that_lost_its_listening_connection_listens_again_at_once(own_city: City) -> None:
    def listeners() -> set[int]:
        rows = own_city.admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        return {pid for (pid,) in rows}

    assert until(lambda: len(listeners()) == 2)
    before = listeners()
    for pid in before:
        own_city.admin.execute("SELECT pg_terminate_backend(%s)", [pid])
    # Sooner than the check every few seconds would notice.
    assert until(lambda: len(listeners() - before) == 2, patience_s=3)


def test_a_killed_worker_is_replaced_and_every_answer_has_its_entry(own_city: City) -> None:
    own_city.issue()
    [first, _] = workers(own_city)
    os.kill(first, signal.SIGKILL)
    statuses = [status(own_city) for _ in range(20)]
    assert until(lambda: len(workers(own_city)) == 2 and first not in workers(own_city))
    assert until(lambda: [status(own_city) for _ in range(6)] == [200] * 6)
    answered = statuses.count(200)
    [(entries,)] = own_city.admin.execute(
        "SELECT count(*) FROM audit.entry WHERE event = 'verify'"
    ).fetchall()
    assert entries >= answered


def test_workers_end_with_a_killed_parent_and_free_the_port(own_city: City) -> None:
    left = workers(own_city)
    assert len(left) == 2
    own_city.stop(signal.SIGKILL)
    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
    own_city.start()
    own_city.issue()
    assert status(own_city) == 200
