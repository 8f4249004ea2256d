"""What a node says of itself reaches the hub, and what the office asks reaches the node: real processes."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psycopg
import pytest

from shuqiao.security.keys import load_or_create_signing_key
from shuqiao.wire.nats_client import connect
from shuqiao.wire.node_home import NodeFiles, load_key
from shuqiao.wire.node_signed import NotTheNodes
from shuqiao.wire.node_state import NodeState, decode_orders, read_state, sign_state, state_subject
from shuqiao.wire.subjects import inbox_prefix
from tests.loader.line import BIRTHS, HEALTH, POLICE, Line, wait_for

pytestmark = pytest.mark.database


def heard(line: Line) -> dict[str, Any] | None:
    """The newest state the hub has of the health department's node."""
    found = line.ask(
        "SELECT heard_at, silent_since, state FROM exchange.node_state WHERE department = %s", HEALTH
    )
    return found[0] if found else None


def order(line: Line, what: str) -> bool:
    """Ask the node for something, as the office does."""
    sql = "SELECT exchange.order_node(%s, %s, %s, 'account:ren', clock_timestamp()) AS done"
    return bool(line.ask(sql, HEALTH, BIRTHS, what)[0]["done"])


@pytest.mark.requirement("ING-10")
async def test_the_hub_knows_how_a_node_is(line: Line) -> None:
    line.node_settings["NODE_STATE_SECONDS"] = "0.2"
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the load")

    def is_up() -> Any:
        known = heard(line)
        return known if known and known["state"]["state"] == "up" else None

    state = wait_for(is_up, what="its state")["state"]
    assert state["version"] == version("shuqiao") and state["department"] == HEALTH
    (own,) = state["lines"]
    assert own["resource"] == BIRTHS and own["phase"] == "changes" and len(own["mapping"]) == 16
    assert datetime.fromisoformat(state["certificate_until"]) > datetime.now(UTC)


@pytest.mark.requirement("ING-10")
async def test_a_silence_is_noticed_once_and_its_end_too(line: Line) -> None:
    line.node_settings["NODE_STATE_SECONDS"] = "0.2"
    await line.set_up(people=20)
    line.start("loader", "node")
    wait_for(lambda: heard(line), what="its state")
    note = "SELECT department FROM exchange.note_silence(%s::interval)"
    assert line.ask(note, "1 hour") == [], "who speaks is not silent"
    line.children["node"].kill()
    assert wait_for(lambda: line.ask(note, "1 second"), what="its silence") == [{"department": HEALTH}]
    assert line.ask(note, "1 second") == [], "told once"
    line.start("node")
    wait_for(lambda: (heard(line) or {})["silent_since"] is None, what="its word")
    entries = line.ask(
        "SELECT event, outcome, department FROM audit.entry WHERE event LIKE 'node_%%' ORDER BY occurred_at"
    )
    assert [(one["event"], one["outcome"]) for one in entries] == [
        ("node_silent", "silent"),
        ("node_heard", "heard"),
    ]
    assert {one["department"] for one in entries} == {HEALTH}


async def test_a_table_rests_goes_on_and_is_loaded_again_as_the_office_asks(line: Line) -> None:
    line.node_settings["NODE_STATE_SECONDS"] = "0.2"
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the load")
    assert order(line, "pause") and not order(line, "pause"), "an order that changes nothing is none"
    wait_for(lambda: (heard(line) or {})["state"]["state"] == "paused", what="its rest")
    before = len(line.ledger())
    line.change_source("UPDATE csyxzm SET qfjg = '样例医院', gxsj = now()")
    assert heard(line) is not None
    line.children["node"].kill()
    line.start("node")
    wait_for(lambda: (heard(line) or {})["state"]["state"] == "paused", what="its rest after a new start")
    assert order(line, "resume")
    wait_for(lambda: line.base_checksum() == line.source_checksum(), what="what changed meanwhile")
    wait_for(lambda: (heard(line) or {})["state"]["state"] == "up", what="its state")
    # A full load sends every row once more, and changes none.
    before = len(line.ledger())
    assert order(line, "reload")
    wait_for(lambda: sum(one["unchanged"] for one in line.ledger()[before:]) == rows, what="the full load")
    assert all(not one["updated"] and not one["inserted"] for one in line.ledger()[before:])
    line.children["node"].kill()
    line.start("node")
    seen = heard(line)
    wait_for(lambda: heard(line) != seen, what="its state after another start")
    wait_for(lambda: (heard(line) or {})["state"]["state"] == "up", what="its state")
    again = line.ask("SELECT sum(unchanged) AS n FROM exchange.batch WHERE sequence > %s", before)[0]["n"]
    assert again == rows, "the order was followed once"
    asked = line.ask(
        "SELECT outcome, actor FROM audit.entry WHERE event = 'node_ordered' ORDER BY occurred_at"
    )
    assert [one["outcome"] for one in asked] == ["paused", "resumed", "reloaded"]


async def test_a_state_the_database_cannot_hold_is_set_aside_and_the_next_one_heard(line: Line) -> None:
    await line.set_up(people=1)
    line.start("loader")
    wait_for(lambda: "loader_ready" in line.children["loader"].written(), what="the loader")
    now, key = datetime.now(UTC), load_key(line.node_home)
    files = NodeFiles(line.node_home)
    node = await connect(
        line.nats_url, files.credentials, files.authority, name="node", inbox_prefix=inbox_prefix(HEALTH)
    )
    for release in ("1\0", "1"):
        state = sign_state(NodeState(HEALTH, now, release, now, "up", 0), key)
        await node.publish(state_subject(HEALTH), state)
    await node.flush()
    wait_for(lambda: heard(line), what="the state")
    await node.close()
    written = line.children["loader"].written()
    assert f"node_report_refused {state_subject(HEALTH)} UntranslatableCharacterError" in written


def test_nobody_orders_for_another_department(line: Line) -> None:
    with pytest.raises(psycopg.DatabaseError, match="no such node, resource or order"):
        line.ask("SELECT exchange.order_node(%s, %s, 'pause', 'x', now())", POLICE, BIRTHS)


def test_a_state_is_believed_only_with_the_nodes_signature(tmp_path: Any) -> None:
    own, other = (load_or_create_signing_key(tmp_path / name) for name in ("own", "other"))
    now = datetime.now(UTC)
    message = sign_state(NodeState(HEALTH, now, "1", now, "up", 0), own)
    assert read_state(message, own.public_key()).state == "up"
    for faulty in (
        sign_state(NodeState(HEALTH, now, "1", now, "up", 0), other),
        message[:-1],
        b"",
        b"\x00" * 300_000,
    ):
        with pytest.raises(NotTheNodes):
            read_state(faulty, own.public_key())
    naive = sign_state(NodeState(HEALTH, now.replace(tzinfo=None), "1", now, "up", 0), own)
    with pytest.raises(NotTheNodes):
        read_state(naive, own.public_key())
    assert state_subject(HEALTH) == f"reports.{HEALTH}.node"
    assert decode_orders(b'{"paused":[],"reloads":{}}').paused == ()
