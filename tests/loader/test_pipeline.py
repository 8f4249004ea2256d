"""Batches under way side by side: the vault is ahead of the merge, and nothing is merged out of its turn."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.loader.line import BIRTHS, HEALTH, Line, wait_for
from tests.loader.test_refusals import ROW, make_batch, refused, send, start_hub

pytestmark = pytest.mark.database


def rows_from(first: int, count: int, **values: Any) -> list[dict[str, Any]]:
    """Invented births with certificates counted from `first`."""
    return [ROW | {"birth_certificate_number": f"Z{first + place:09d}"} | values for place in range(count)]


def assigned(line: Line) -> int:
    """How many batches the vault has stored."""
    with psycopg.connect(line.vault_url) as vault:
        found = vault.execute("SELECT count(*) FROM vault.operation WHERE op = 'assign'").fetchone()
    assert found is not None
    return int(found[0])


def merged(line: Line) -> list[int]:
    """The sequences in the ledger."""
    return [entry["sequence"] for entry in line.ledger()]


async def test_the_vault_works_ahead_and_a_kill_then_loses_and_doubles_nothing(line: Line) -> None:
    key = await start_hub(line)
    with psycopg.connect(line.hub.superuser) as holder:
        holder.execute(f"LOCK TABLE base.{BIRTHS} IN EXCLUSIVE MODE")
        for sequence in range(1, 6):
            rows = rows_from(100 * sequence, 3)
            await send(line, HEALTH, make_batch(line, HEALTH, key, rows, sequence=sequence))
        wait_for(lambda: assigned(line) == 3, what="the vault's part of three batches")
        line.children["loader"].kill()
        assert (line.count(), merged(line)) == (0, [])
    line.start("loader")
    wait_for(lambda: line.count() == 15, what="the merges")
    assert merged(line) == [1, 2, 3, 4, 5]
    assert [entry["inserted"] for entry in line.ledger()] == [3] * 5
    ids = line.ask(f"SELECT count(DISTINCT record_id) AS n FROM base.{BIRTHS} WHERE identity_version = 1")
    assert ids == [{"n": 15}]


async def test_a_refused_batch_keeps_those_behind_it_waiting(line: Line) -> None:
    key = await start_hub(line)
    line.children["loader"].kill()
    # Only unpacking its parts, beside the batch behind it, shows that a row is missing.
    wrong = make_batch(line, HEALTH, key, rows_from(200, 2), sequence=2, rows=3)
    await send(line, HEALTH, make_batch(line, HEALTH, key, rows_from(100, 2), sequence=1))
    await send(line, HEALTH, wrong)
    await send(line, HEALTH, make_batch(line, HEALTH, key, rows_from(300, 2), sequence=3))
    line.start("loader")
    wait_for(lambda: refused(line), what="the refusal")
    assert merged(line) == [1]
    await send(line, HEALTH, make_batch(line, HEALTH, key, rows_from(200, 2), sequence=2))
    wait_for(lambda: merged(line) == [1, 2, 3], what="the merges")
    assert line.count() == 6
    assert [entry["reason"] for entry in refused(line)] == ["batch_malformed"]
    assert "batch_malformed part=plain" in line.children["loader"].written()


async def test_a_failure_of_one_merge_merges_none_behind_it(line: Line) -> None:
    key = await start_hub(line)
    line.children["loader"].kill()
    for sequence in (1, 2, 3):
        rows = rows_from(100 * sequence, 2)
        await send(line, HEALTH, make_batch(line, HEALTH, key, rows, sequence=sequence))
    with psycopg.connect(line.hub.superuser) as holder:
        holder.execute(f"LOCK TABLE base.{BIRTHS} IN EXCLUSIVE MODE")
        line.start("loader")
        wait_for(lambda: assigned(line) == 3, what="the vault's part")
        ended = wait_for(lambda: _end_merging(line), what="the end of a merging connection")
        assert ended
        assert merged(line) == []
    wait_for(lambda: merged(line) == [1, 2, 3], what="the merges after the outage")
    assert "loading_waits" in line.children["loader"].written()
    assert line.count() == 6


async def test_a_small_batch_does_not_overtake_a_large_one_in_the_vault(line: Line) -> None:
    key = await start_hub(line)
    line.children["loader"].kill()
    await send(line, HEALTH, make_batch(line, HEALTH, key, rows_from(1, 4000), sequence=1))
    change = rows_from(1, 1, mother_name="李更名")
    await send(line, HEALTH, make_batch(line, HEALTH, key, change, sequence=2))
    line.start("loader")
    wait_for(lambda: merged(line) == [1, 2], what="the merges")
    versions = line.ask(
        f"SELECT identity_version AS v, count(*) AS n FROM base.{BIRTHS} GROUP BY 1 ORDER BY 1"
    )
    assert versions == [{"v": 1, "n": 3999}, {"v": 2, "n": 1}]
    assert [(entry["inserted"], entry["updated"]) for entry in line.ledger()] == [(4000, 0), (0, 1)]


def _end_merging(line: Line) -> bool:
    ended = line.ask(
        "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity"
        " WHERE usename = 'shuqiao_loader' AND datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(ended)
