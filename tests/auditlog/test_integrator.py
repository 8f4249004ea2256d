"""The integrator on a real PostgreSQL: late commits, kills, two at once."""

import random
import signal
import time

import psycopg
import pytest

from shuqiao.rules import merkle
from tests.auditlog.conftest import Log

pytestmark = pytest.mark.database


def wait_until(condition, seconds: float = 60.0) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def leaves(log: Log) -> int:
    """How many leaves the tree has."""
    return log.admin.execute("SELECT count(*) FROM audit.leaf").fetchone()[0]


def test_entry_stands_in_the_tree_with_a_checkpoint(log: Log) -> None:
    entry = log.append()
    assert log.position(entry) is None
    assert log.integrate() == 1
    assert log.position(entry) == 0
    report = log.verify()
    assert report.fault is None
    assert (report.size, report.checkpoints, report.waiting) == (1, 1, 0)


def test_late_commit_is_numbered_later_and_never_lost(log: Log) -> None:
    with psycopg.connect(log.superuser_url) as slow:
        early = log.append(slow)
        late = log.append()
        assert log.integrate() == 1
        assert (log.position(early), log.position(late)) == (None, 0)
        slow.commit()
    assert log.integrate() == 2
    assert log.position(early) == 1
    assert log.verify().fault is None


def test_rolled_back_entry_leaves_no_trace(log: Log) -> None:
    with psycopg.connect(log.superuser_url) as connection:
        entry = log.append(connection)
        connection.rollback()
    log.append()
    assert log.integrate() == 1
    assert log.position(entry) is None
    assert log.verify().fault is None


def test_checkpoint_comes_within_a_second(log: Log) -> None:
    process = log.start()
    try:
        log.append()
        wait_until(lambda: leaves(log) == 1)
        waits = []
        for _ in range(10):
            time.sleep(random.uniform(0, 0.25))
            before, began = leaves(log), time.monotonic()
            log.append()
            wait_until(lambda before=before: leaves(log) > before)
            waits.append(time.monotonic() - began)
        assert max(waits) < 1.0
    finally:
        process.terminate()
        assert process.wait(10) == 0
    assert log.verify().fault is None


def test_killed_at_any_moment_nothing_is_lost_or_doubled(log: Log) -> None:
    dice = random.Random(7)
    total = 0
    for _ in range(4):
        process = log.start()
        end, before = time.monotonic() + 0.6 + dice.random(), leaves(log)
        # On a busy machine it has hardly begun by then, and nothing would be killed.
        while time.monotonic() < end or leaves(log) == before:
            log.append_many(700)
            total += 700
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert log.integrate() == total
    report = log.verify()
    assert report.fault is None
    assert (report.size, report.waiting) == (total, 0)
    assert report.checkpoints > 1


@pytest.mark.parametrize("table", ["leaf", "node", "checkpoint"])
def test_killed_between_its_writes_a_step_happens_wholly_or_not_at_all(log: Log, table: str) -> None:
    log.append_many(300)
    with psycopg.connect(log.superuser_url) as blocker:
        # The step stops exactly before its first write to this table.
        blocker.execute(f"LOCK TABLE audit.{table} IN SHARE MODE")
        process = log.start()
        wait_until(lambda: stopped_by_lock(log))
        process.kill()
        process.wait(10)
    assert leaves(log) == 0
    assert log.integrate() == 300
    report = log.verify()
    assert (report.fault, report.size, report.checkpoints, report.waiting) == (None, 300, 1, 0)


def stopped_by_lock(log: Log) -> bool:
    """Whether the integrator's step waits for a lock."""
    found = log.admin.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'shuqiao-integrator' AND wait_event_type = 'Lock'"
    ).fetchone()
    return found == (1,)


def test_second_integrator_waits_and_takes_over(log: Log) -> None:
    first = log.start()
    try:
        log.append()
        wait_until(lambda: leaves(log) == 1)
        second = log.start()
        try:
            for _ in range(5):
                log.append_many(300)
                time.sleep(0.15)
            wait_until(lambda: leaves(log) == 1501)
            holders = log.admin.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            ).fetchone()[0]
            assert holders == 1
            assert second.poll() is None
            first.kill()
            first.wait(10)
            log.append_many(300)
            wait_until(lambda: leaves(log) == 1801)
        finally:
            second.terminate()
            assert second.wait(10) == 0
    finally:
        first.kill()
        first.wait(10)
    assert log.verify().fault is None


def test_large_backlog_is_taken_in_steps_with_stored_subtrees(log: Log) -> None:
    log.append_many(10_300)
    assert log.integrate() == 10_300
    sizes = log.admin.execute("SELECT array_agg(size ORDER BY size) FROM audit.checkpoint").fetchone()[0]
    assert sizes == [10_000, 10_300]
    assert log.admin.execute("SELECT count(*) FROM audit.node").fetchone()[0] == 10_300 // 256
    hashes = [row[0] for row in log.admin.execute("SELECT hash FROM audit.leaf ORDER BY position")]
    root = log.admin.execute("SELECT root FROM audit.checkpoint ORDER BY size DESC LIMIT 1").fetchone()[0]
    assert merkle.root_of(hashes) == root
    assert log.verify().fault is None


def test_unregistered_key_signs_nothing(log: Log) -> None:
    log.admin.execute("UPDATE exchange.signing_key SET active = false")
    log.append()
    process = log.start()
    try:
        time.sleep(1.5)
        assert process.poll() is None
        assert leaves(log) == 0
        log.admin.execute("UPDATE exchange.signing_key SET active = true")
        wait_until(lambda: leaves(log) == 1)
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_broken_tree_is_not_built_upon(log: Log) -> None:
    log.append_many(3)
    log.integrate()
    log.tamper("UPDATE audit.leaf SET hash = sha256('') WHERE position = 2")
    log.append()
    process = log.start()
    assert process.wait(20) == 3
    assert leaves(log) == 3


def test_the_integrators_role_sees_no_body_and_writes_no_entry(log: Log) -> None:
    entry = log.append()
    with psycopg.connect(log.integrator_url, autocommit=True) as connection:
        assert connection.execute("SELECT id FROM audit.entry").fetchone() == (entry,)
        for statement in (
            "SELECT body FROM audit.entry", "SELECT salt FROM audit.entry", "SELECT actor FROM audit.entry",
            "INSERT INTO audit.pending (entry_id, digest) VALUES (gen_random_uuid(), sha256(''))",
            "SELECT audit.append(gen_random_uuid(), now(), 'x', '', '', '', '', NULL, '', '', '', '')",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
