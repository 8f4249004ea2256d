"""The power of a machine goes at any moment: what was told as kept is there, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import threading
from pathlib import Path

import pytest

from tests.loader.line import BIRTHS, Line, wait_for
from tests.loader.test_followed import department, follow, write
from tests.loader.test_kills import receipted
from tests.loader.test_revoked import streamed
from tests.plugins.departments import Department
from tests.plugins.power import power_of

pytestmark = pytest.mark.database

SEED = int(os.environ.get("SHUQIAO_TEST_SEED", random.randrange(10**6)))
__all__ = ["department"]


async def test_a_node_whose_power_is_cut_loses_nothing(
    line: Line, department: Department, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    line.node_settings = {"NODE_BATCH_ROWS": "60"}
    await line.set_up(people=3000)
    follow(line)
    node = line.children["node"]
    power = power_of(line.node_home, tmp_path / "kept", tmp_path)
    node.environment |= power.environment
    power.on()
    stop = threading.Event()
    writer = threading.Thread(target=write, args=(department.url, stop, SEED))
    writer.start()
    line.start("loader", "node")
    lost = 0
    for _ in range(6):
        await asyncio.sleep(chance.uniform(1.5, 4))
        node.kill()
        lost += power.cut(chance)
        line.start("node")
    stop.set()
    writer.join()
    wait_for(
        lambda: line.base_checksum() == line.source_checksum() and receipted(line),
        90,
        what=f"source and base are equal (seed {SEED})",
    )
    ledger = line.ledger()
    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert all(entry["rejected"] == [] for entry in ledger)
    assert line.ask("SELECT count(*) AS n FROM exchange.batch_refusal") == [{"n": 0}]
    assert lost, "what was not flushed was there to be lost"


async def test_messages_that_the_server_had_not_flushed_are_sent_again(line: Line, tmp_path: Path) -> None:
    """The message server acknowledges before it flushes; a cut takes it back to what it had on the disk."""
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    nats, loader = (line.children[name] for name in ("nats", "loader"))
    store, flushed = line.home / "nats", tmp_path / "flushed"
    assert nats.process is not None and loader.process is not None
    nats.process.send_signal(signal.SIGSTOP)
    shutil.copytree(store, flushed)
    nats.process.send_signal(signal.SIGCONT)
    change = "UPDATE csyxzm SET qfjg = %s WHERE zsbh IN (SELECT zsbh FROM csyxzm ORDER BY zsbh LIMIT %s)"
    issued_by = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE certificate_issuing_unit = %s"
    line.change_source(change, "样例甲医院", 9)
    wait_for(lambda: line.ask(issued_by, "样例甲医院") == [{"n": 9}], what="a change that is merged")
    loader.process.send_signal(signal.SIGSTOP)
    line.change_source(change, "样例乙医院", 4)
    assert await streamed(line)
    nats.kill()
    shutil.rmtree(store)
    shutil.copytree(flushed, store)
    nats.start()
    loader.process.send_signal(signal.SIGCONT)
    late = [{"n": 4}]
    wait_for(lambda: line.ask(issued_by, "样例乙医院") == late and receipted(line), what="what was lost")
    assert line.base_checksum() == line.source_checksum()
    ledger = line.ledger()
    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert line.ask("SELECT count(*) AS n FROM exchange.batch_refusal") == [{"n": 0}]
