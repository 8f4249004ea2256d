"""A link that is cut for longer than the spool has room for, and messages in any order and number."""

from __future__ import annotations

import os
import random

import pytest

from tests.loader.line import HEALTH, Line, wait_for
from tests.loader.test_kills import receipted
from tests.loader.test_pipeline import merged, rows_from
from tests.loader.test_refusals import make_batch, refused, send, start_hub
from tests.loader.test_stepping_back import status

pytestmark = pytest.mark.database

SEED = int(os.environ.get("SHUQIAO_TEST_SEED", random.randrange(10**6)))
SPOOL_BYTES = 1024**2
CHANGE = "UPDATE csyxzm SET qfjg = md5(random()::text) || md5(random()::text) || md5(random()::text)"


async def test_a_link_cut_for_longer_than_the_spool_has_room_for_loses_nothing(line: Line) -> None:
    line.node_settings = {"NODE_SPOOL_BYTES": str(SPOOL_BYTES)}
    rows = await line.set_up(people=8000)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    for name in ("nats", "loader"):
        line.children[name].kill()

    def full() -> bool:
        line.change_source(CHANGE)
        return "the spool is full" in (status(line).get("fault") or "")

    wait_for(full, what="the full spool")
    waiting = status(line)["waiting_rows"]
    # What comes now stays at the source, and a node that is started anew knows as much.
    line.children["node"].kill()
    line.change_source(CHANGE)
    (line.node_home / "status.json").unlink()
    line.start("node")
    wait_for(lambda: "the spool is full" in (status(line).get("fault") or ""), what="the full spool")
    assert status(line)["waiting_rows"] == waiting
    assert status(line)["state"] == "hub_away"
    line.start("nats", "loader")
    wait_for(lambda: line.base_checksum() == line.source_checksum() and receipted(line), what="all of it")
    assert line.count() == rows
    ledger = line.ledger()
    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert sum(entry["inserted"] for entry in ledger) == rows
    assert line.ask("SELECT count(*) AS n FROM exchange.batch_refusal") == [{"n": 0}]


async def test_batches_in_any_order_and_number_are_merged_once_and_in_theirs(line: Line) -> None:
    key = await start_hub(line)
    numbers = range(1, 7)
    batches = [
        make_batch(line, HEALTH, key, rows_from(100 * number, 3), sequence=number) for number in numbers
    ]
    sent = batches * 3
    random.Random(SEED).shuffle(sent)
    for batch in sent:
        await send(line, HEALTH, batch)
    wait_for(lambda: merged(line) == list(numbers), 150, what=f"the merges (seed {SEED})")
    assert line.count() == 18
    assert [(entry["inserted"], entry["updated"]) for entry in line.ledger()] == [(3, 0)] * len(numbers)
    assert refused(line) == []
