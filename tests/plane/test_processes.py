"""The plane's processes: killed, cut off from the database, left behind by their parent."""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.plane.conftest import RESOURCE, City
from tests.vault import births

BODY = json.dumps(
    {"subject": births.certificate(3), "claims": {"mother_name": "样例母亲3", "sex_code": "2"}}
).encode()


def status(city: City) -> int:
    """Status of one fresh call, 0 when nobody answers."""
    url = f"{city.url}/v1/resources/{RESOURCE}/verify"
    try:
        headers = city.signed(BODY)
        return httpx.post(url, content=BODY, headers=headers, trust_env=False, timeout=30).status_code
    except httpx.HTTPError:
        return 0


def workers(city: City) -> list[int]:
    """Process ids of the workers."""
    assert city.process is not None
    pid = city.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(is_so: Callable[[], bool], patience_s: float = 60.0) -> bool:
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


def test_a_second_plane_on_the_same_port_is_refused(city: City) -> None:
    command = [sys.executable, "-m", "shuqiao.plane.main", "--port", str(city.port)]
    second = subprocess.run(command, env=city.environment(), capture_output=True, text=True, timeout=60)
    assert second.returncode == 2
    assert "the plane can't start" in second.stderr


def test_a_call_under_way_is_answered_before_the_plane_ends(own_city: City) -> None:
    own_city.issue()
    process = own_city.process
    assert process is not None
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with own_city.admin.transaction():
            own_city.admin.execute("LOCK TABLE audit.pending IN ACCESS EXCLUSIVE MODE")
            answer = pool.submit(status, own_city)
            time.sleep(1)
            process.send_signal(signal.SIGTERM)
            time.sleep(1)
            assert process.poll() is None
        assert answer.result() == 200
    assert process.wait(timeout=60) == 0


def test_without_a_database_a_starting_plane_says_so_and_asks_again(own_city: City) -> None:
    own_city.stop()
    own_city.admin.execute("ALTER ROLE shuqiao_plane CONNECTION LIMIT 0")
    try:
        command = [sys.executable, "-m", "shuqiao.plane.main", "--port", str(own_city.port)]
        own_city.process = subprocess.Popen(command, env=own_city.environment(), stderr=subprocess.DEVNULL)
        assert until(lambda: own_city.status("/health/live") == 200)
        assert own_city.status("/health/ready") == 503
        assert status(own_city) == 503
    finally:
        own_city.admin.execute("ALTER ROLE shuqiao_plane CONNECTION LIMIT -1")
    own_city.issue()
    assert until(lambda: status(own_city) == 200)
