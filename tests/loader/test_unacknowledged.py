"""Batches that the message server does not acknowledge: node and hub say so, and all of them arrive."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from nats.js import JetStreamContext

from shuqiao.edge.status_command import status_command
from shuqiao.wire import nats_client
from shuqiao.wire.subjects import STREAM
from tests.loader.line import Line, wait_for
from tests.loader.test_emptied import told
from tests.loader.test_kills import receipted
from tests.loader.test_stepping_back import status

pytestmark = [pytest.mark.database, pytest.mark.timeout(600)]

PATIENCE_S = 120.0
CHANGE = "UPDATE csyxzm SET qfjg = '样例医院' WHERE zsbh = (SELECT min(zsbh) FROM csyxzm)"


@asynccontextmanager
async def jetstream(line: Line) -> AsyncIterator[JetStreamContext]:
    """The hub's streams, as its operator handles them."""
    client = await nats_client.connect(
        line.nats_url, line.secrets / "nats-hub.creds", line.secrets / "ca.pem", name="test"
    )
    try:
        yield client.jetstream(timeout=30)
    finally:
        await client.close()


async def loaded(line: Line) -> int:
    """Start a line and wait for its first load; returns the rows."""
    line.node_settings["NODE_STATE_SECONDS"] = "0.2"
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), PATIENCE_S, what="the load")
    return rows


def lasting(line: Line) -> dict[str, Any] | None:
    """What the hub has heard of batches that are not acknowledged now, after more than one try."""
    known = told(line).get("unacknowledged")
    return known if known and known["until"] is None and known["tries"] > 1 else None


def arrived(line: Line) -> bool:
    """Whether source and base agree, and the node has receipts for all of it."""
    return line.base_checksum() == line.source_checksum() and receipted(line)


@pytest.mark.requirement("ING-11")
async def test_a_stream_that_takes_nothing_is_told_at_the_node_and_at_the_hub(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    await loaded(line)
    assert told(line)["unacknowledged"] is None
    async with jetstream(line) as streams:
        config = (await streams.stream_info(STREAM)).config
        await streams.update_stream(config.evolve(max_bytes=64))
        line.change_source(CHANGE)
        known = wait_for(lambda: lasting(line), PATIENCE_S, what="the word of it at the hub")
        assert "maximum bytes" in known["why"]
        assert datetime.fromisoformat(known["since"]) < datetime.now(UTC)
        assert told(line)["state"] == "not_acknowledged", "the hub is heard, it is not out of reach"
        own = status(line)
        assert own["state"] == "not_acknowledged" and own["unacknowledged"]["tries"]
        assert status_command(argparse.Namespace(home=str(line.node_home))) == 1
        said = capsys.readouterr().out
        assert "its message server takes no batch" in said and "were not acknowledged, since" in said
        await streams.update_stream(config)
    wait_for(lambda: arrived(line), PATIENCE_S, what="the change")
    wait_for(lambda: told(line)["state"] == "up", PATIENCE_S, what="the end of it")
    assert told(line)["unacknowledged"]["until"] is not None, "that it was so stays to be seen"


async def test_a_stream_that_was_removed_is_made_again(line: Line) -> None:
    await loaded(line)
    async with jetstream(line) as streams:
        await streams.delete_stream(STREAM)
    line.change_source(CHANGE)
    wait_for(lambda: arrived(line), PATIENCE_S, what="the change")
    loader = line.children["loader"].process
    assert loader is not None and loader.poll() is None, "it was not restarted"


async def test_what_was_not_acknowledged_while_nobody_heard_the_node_is_told_afterwards(line: Line) -> None:
    await loaded(line)
    line.children["nats"].kill()
    line.change_source(CHANGE)
    wait_for(lambda: (status(line)["unacknowledged"] or {}).get("tries", 0) > 1, PATIENCE_S, what="the tries")
    assert status(line)["state"] == "hub_away"
    line.start("nats")
    wait_for(lambda: arrived(line), PATIENCE_S, what="the change")

    def over() -> bool:
        known = told(line)["unacknowledged"]
        return bool(known and known["until"])

    wait_for(over, PATIENCE_S, what="the word of it at the hub")
