"""Servers stopped and started during a load: the loader goes on by itself, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import psycopg
import pytest

from tests.loader.line import BIRTHS, Line, wait_for
from tests.loader.test_kills import receipted
from tests.plugins.clusters import TEMPLATE
from tests.plugins.hubs import copy_hub
from tests.plugins.server import Hub, TestServer

pytestmark = [pytest.mark.database, pytest.mark.timeout(300)]

AWAY_S = 3.0


@pytest.fixture
def own_line(own_server: TestServer, vault_url: str, empty_database: str) -> Iterator[Line]:
    """A line whose hub database is on a server of its own."""
    copy_hub(own_server.superuser(), TEMPLATE, "hub")
    made = Line(Hub("hub", own_server), vault_url, empty_database, node_settings={"NODE_BATCH_ROWS": "50"})
    yield made
    print(made.logs())
    made.close()


def assert_whole(line: Line, rows: int) -> None:
    """Source, base table, vault and ledger agree."""
    assert line.base_checksum() == line.source_checksum()
    ledger = line.ledger()
    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert (sum(entry["inserted"] for entry in ledger), sum(entry["updated"] for entry in ledger)) == (
        rows,
        0,
    )
    assert line.ask("SELECT count(*) AS n FROM exchange.batch_refusal") == [{"n": 0}]
    with psycopg.connect(line.vault_url) as vault:
        assert vault.execute("SELECT count(*), max(version) FROM vault.record").fetchone() == (rows, 1)


async def test_the_hubs_database_stopped_and_started_during_a_load(
    own_line: Line, own_server: TestServer
) -> None:
    rows = await own_line.set_up(people=8000)
    own_line.start("loader", "node")
    for share, number in ((0.1, signal.SIGINT), (0.5, signal.SIGQUIT)):
        wait_for(lambda reached=share * rows: own_line.count() >= reached, what="part of the load")
        own_server.halt(number)
        await asyncio.sleep(AWAY_S)
        own_server.resume()
    wait_for(lambda: own_line.count() == rows and receipted(own_line), 120, what="the whole load")
    loader = own_line.children["loader"]
    assert loader.process is not None and loader.process.poll() is None, "it waited and was not restarted"
    assert "loading_waits" in loader.written()
    assert_whole(own_line, rows)
    assert own_line.ask(f"SELECT count(DISTINCT record_id) AS n FROM base.{BIRTHS}") == [{"n": rows}]


async def test_the_message_server_stopped_and_started_during_a_load(line: Line) -> None:
    line.node_settings = {"NODE_BATCH_ROWS": "50"}
    rows = await line.set_up(people=8000)
    line.start("loader", "node")
    for share in (0.1, 0.5):
        wait_for(lambda reached=share * rows: line.count() >= reached, what="part of the load")
        line.children["nats"].end()
        await asyncio.sleep(AWAY_S)
        line.start("nats")
    wait_for(lambda: line.count() == rows and receipted(line), 120, what="the whole load")
    for name in ("loader", "node"):
        process = line.children[name].process
        assert process is not None and process.poll() is None, f"{name} waited and was not restarted"
    assert_whole(line, rows)
