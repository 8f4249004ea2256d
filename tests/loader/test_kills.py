"""Any process may be killed at any moment: every row arrives, none twice, no sequence is left out."""

from __future__ import annotations

import msgspec
import pytest

from tests.loader.line import BIRTHS, Line, wait_for

pytestmark = pytest.mark.database


@pytest.mark.parametrize("victim", ["node", "loader", "nats", "vault"])
async def test_nothing_is_lost_or_doubled_when_a_process_is_killed(line: Line, victim: str) -> None:
    line.node_settings = {"NODE_BATCH_ROWS": "100"}
    rows = await line.set_up(people=8000)
    line.start("loader", "node")
    for share in (0.05, 0.3, 0.6):
        wait_for(lambda reached=share * rows: line.count() >= reached, what="part of the load")
        line.children[victim].kill()
        line.start(victim)
    wait_for(lambda: line.count() == rows, what="the whole load")
    settled = wait_for(lambda: receipted(line), what="all receipts at the node")
    assert settled
    assert line.base_checksum() == line.source_checksum()
    ledger = line.ledger()
    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert sum(entry["inserted"] for entry in ledger) == rows
    assert sum(entry["updated"] for entry in ledger) == 0
    subjects = line.ask(f"SELECT count(DISTINCT record_id) AS n FROM base.{BIRTHS}")
    assert subjects == [{"n": rows}]
    assert line.ask("SELECT count(*) AS n FROM exchange.batch_refusal") == [{"n": 0}]


async def test_a_node_reads_on_while_the_hub_is_away(line: Line) -> None:
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load and its receipts")
    line.children["nats"].kill()
    line.children["loader"].kill()
    line.change_source("UPDATE csyxzm SET jkzk = '7' WHERE zsbh IN (SELECT zsbh FROM csyxzm LIMIT 10)")
    wait_for(lambda: _status(line)["waiting_rows"] == 10, what="the changes in the spool")
    wait_for(lambda: _status(line)["state"] == "hub_away", what="the state")
    line.children["node"].kill()
    line.change_source("DROP TABLE csyxzm")
    line.start("nats", "loader", "node")
    changed = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE health_status_code = '7' AND version = 2"
    wait_for(lambda: line.ask(changed) == [{"n": 10}], what="the spooled changes")
    assert line.count() == rows


def _status(line: Line) -> dict[str, object]:
    status = msgspec.json.decode((line.node_home / "status.json").read_bytes())
    found: dict[str, object] = status["resources"][BIRTHS]
    return found


def receipted(line: Line) -> bool:
    """Say whether the node waits for nothing and reads changes."""
    status = _status(line)
    return status["waiting_rows"] == 0 and status["phase"] == "changes"
