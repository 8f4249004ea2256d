"""A revoked node is cut off at once, and what it had sent is refused: all parts are real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from shuqiao.wire import nats_client
from shuqiao.wire.subjects import STREAM
from tests.loader.line import HEALTH, Line, wait_for

pytestmark = pytest.mark.database

REVOKE = "SELECT exchange.revoke_node(%s, 'ma', 'lost', clock_timestamp()) AS done"


def tell_server(line: Line) -> None:
    """Run the process that admits, once."""
    environment = {
        "ADMITTING_DATABASE_URL": line.hub.role("shuqiao_admitting"),
        "ADMITTING_SECRETS": str(line.secrets),
        "NATS_URL": line.nats_url,
    }
    command = [sys.executable, "-m", "shuqiao.loader.admitting"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


async def test_a_revoked_node_is_cut_and_its_batches_are_refused(line: Line) -> None:
    line.node_settings["NODE_STATE_SECONDS"] = "0.2"
    rows = await line.set_up(people=200)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the load")
    merged = line.ledger()
    # Stopped, not killed: what the node sends now waits in the stream.
    loader = line.children["loader"].process
    assert loader is not None
    loader.send_signal(signal.SIGSTOP)
    line.change_source("UPDATE csyxzm SET jkzk = '3'")
    assert await streamed(line)
    assert line.ask(REVOKE, HEALTH)[0]["done"] and not line.ask(REVOKE, HEALTH)[0]["done"]
    assert "nats_lost" not in line.children["node"].written()
    tell_server(line)
    wait_for(lambda: "nats_lost" in line.children["node"].written(), what="the cut of an open connection")
    loader.send_signal(signal.SIGCONT)
    refused = "SELECT reason FROM exchange.batch_refusal WHERE department = %s"
    assert wait_for(lambda: line.ask(refused, HEALTH), what="the refusal")
    assert line.ledger() == merged
    # It stays out when it is started anew, also after the message server was.
    for name in ("node", "nats"):
        line.children[name].kill()
    line.start("nats", "node")
    wait_for(lambda: line.children["node"].written().count("nats_") > 3, what="its attempts")
    assert line.ledger() == merged
    assert line.children["node"].written().count("nats_connected") == 1
    told = "the hub refuses these credentials"
    wait_for(lambda: told in (line.node_home / "status.json").read_text(), what="the diagnosis")
    entries = line.ask("SELECT actor, outcome FROM audit.entry WHERE event = 'node_revoked'")
    assert [(one["actor"], one["outcome"]) for one in entries] == [("account:ma", "revoked")]


async def streamed(line: Line) -> bool:
    """The stream holds a batch."""
    client = await nats_client.connect(
        line.nats_url, line.secrets / "nats-hub.creds", line.secrets / "ca.pem", name="test"
    )
    try:
        for _ in range(300):
            if (await client.jetstream().stream_info(STREAM)).state.messages:
                return True
            await asyncio.sleep(0.1)
    finally:
        await client.close()
    return False
