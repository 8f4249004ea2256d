"""A mark of secrecy, or personal data where none is declared, does not leave the node: real line."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pytest

from tests.loader.line import BIRTHS, HEALTH, Line, wait_for
from tests.loader.test_kills import receipted
from tests.loader.test_stepping_back import status

pytestmark = pytest.mark.database

SECRET = "内部资料注意保存（样例）"
STOPPING = "机密★样例"
PHONE = "样例医院 电话 138-0013-8000"


def keys(line: Line, *places: int) -> list[str]:
    """The keys of some rows of the source."""
    with psycopg.connect(line.source) as source:
        rows = source.execute("SELECT zsbh FROM csyxzm ORDER BY zsbh").fetchall()
    return [rows[place][0] for place in places]


def write(line: Line, key: str, unit: str) -> None:
    """Put a text into the unit of one row."""
    line.change_source("UPDATE csyxzm SET qfjg = %s, gxsj = now() WHERE zsbh = %s", unit, key)


def node(line: Line, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command of whoever runs the node."""
    return subprocess.run(
        [sys.executable, "-m", "shuqiao.cli", "node", "held", *words, "--home", str(line.node_home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
    )


def restart_node(line: Line, **settings: str) -> None:
    """Kill the node and start it with other settings."""
    line.children["node"].kill()
    line.children["node"].environment |= settings
    line.start("node")


def units(line: Line) -> set[str]:
    """What the hub has of the issuing units."""
    return {row["u"] for row in line.ask(f"SELECT DISTINCT certificate_issuing_unit AS u FROM base.{BIRTHS}")}


def entries(line: Line, event: str) -> list[dict[str, Any]]:
    """Bodies of the log's entries."""
    found = line.ask("SELECT body FROM audit.entry WHERE event = %s", event)
    return [msgspec.json.decode(one["body"].splitlines()[0]) for one in found]


def left_anywhere(line: Line, text: str) -> list[str]:
    """Files of node and stream, and tables of the hub, in which a text stands in clear."""
    folders = (line.node_home, line.home / "nats")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if text.encode() in path.read_bytes()]


async def test_a_caught_row_stays_at_the_node_until_a_person_releases_it(line: Line) -> None:
    rows = await line.set_up(people=300)
    secret, phone = keys(line, 20, 90)
    write(line, secret, SECRET)
    write(line, phone, PHONE)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows - 2 and receipted(line), what="the others")
    assert not {SECRET, PHONE} & units(line)
    faults = [fault for entry in line.ledger() for fault in entry["rejected"]]
    assert sorted(fault["code"] for fault in faults) == ["personal_undeclared", "secrecy_marked"]
    told = [one for entry in entries(line, "rows_held") for one in entry["screened"]]
    assert {(one["item"], one["rule"]) for one in told} == {
        ("certificate_issuing_unit", "internal_document"),
        ("certificate_issuing_unit", "phone"),
    }
    wait_for(lambda: status(line).get("screened") == 2, what="the status")
    marks = {one["mark"] for one in told}
    said = "SELECT row ->> 'mark' AS mark FROM exchange.node_state,"
    said += " jsonb_path_query(state, '$.lines[0].screened_rows[*]') AS row"
    wait_for(lambda: {one["mark"] for one in line.ask(said)} == marks, what="the hub's news of it")
    assert left_anywhere(line, SECRET) == []
    listed = node(line, "list").stdout
    assert all(mark in listed for mark in marks) and SECRET not in listed
    mark = next(one["mark"] for one in told if one["rule"] == "phone")
    assert PHONE in node(line, "show", mark).stdout
    assert node(line, "release", mark, "--by", "样例陈敏", "--reason", "医院公开电话").returncode == 0
    wait_for(lambda: line.count() == rows - 1 and receipted(line), what="the released row")
    assert PHONE in units(line)
    [released] = entries(line, "rows_released")
    assert [(one["by"], one["rule"]) for one in released["screened"]] == [("样例陈敏", "phone")]
    # The other one is corrected at its source: it comes by itself, and is held no more.
    write(line, secret, "样例更正医院")
    wait_for(lambda: line.count() == rows, what="the corrected row")
    wait_for(lambda: status(line).get("screened") == 0, what="nothing held")
    # A full load holds nothing back that a person has released.
    before = len(entries(line, "rows_held"))
    line.ask(
        "SELECT exchange.order_node(%s, %s, 'reload', 'account:chen', clock_timestamp())", HEALTH, BIRTHS
    )
    merged = len(line.ledger())
    wait_for(lambda: len(line.ledger()) > merged and receipted(line), what="the load")
    assert line.count() == rows and len(entries(line, "rows_held")) == before


async def test_a_mark_of_a_state_secret_stops_the_table_until_somebody_has_decided(line: Line) -> None:
    rows = await line.set_up(people=200)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    [stopping, other] = keys(line, 10, 50)
    write(line, stopping, STOPPING)
    wait_for(lambda: status(line).get("state") == "screening_stopped", what="the stop")
    write(line, other, "样例后来医院")
    line.children["node"].kill()
    line.start("node")
    wait_for(
        lambda: (
            line.ask("SELECT state ->> 'state' AS s FROM exchange.node_state") == [{"s": "screening_stopped"}]
        ),
        what="the hub's news of it",
    )
    assert not {STOPPING, "样例后来医院"} & units(line)
    write(line, stopping, "样例改好医院")
    mark = status(line)["screened_rows"][0]["mark"]
    assert node(line, "again", mark).returncode == 0
    wait_for(lambda: {"样例后来医院", "样例改好医院"} <= units(line), what="what waited")
    assert STOPPING not in units(line)
    assert line.base_checksum() == line.source_checksum()


async def test_the_hub_catches_what_a_node_lets_through_and_the_node_takes_the_offices_rules(
    line: Line,
) -> None:
    line.node_settings = {"NODE_STATE_SECONDS": "600"}
    rows = await line.set_up(people=100)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    wait_for(lambda: line.ask("SELECT 1 AS n FROM exchange.node_state"), what="the one word of the node")
    # The office puts a word into force; a node that has not heard of it yet lets the row go.
    rule = {"key": "word", "zh": "样例字样", "en": "Sample", "kind": "mark", "patterns": ["样例涉密[甲乙]#"]}
    line.ask(
        "SELECT exchange.set_screening(0, %s::jsonb, 'chen', '试行', %s)",
        msgspec.json.encode([rule | {"action": "hold", "only": [], "besides": []}]).decode(),
        datetime.now(UTC),
    )
    [key] = keys(line, 30)
    line.children["loader"].kill()
    line.start("loader")
    write(line, key, "样例 涉密 乙 12 号")
    wait_for(
        lambda: any(f["code"] == "secrecy_marked" for e in line.ledger() for f in e["rejected"]),
        what="the refusal of the row",
    )
    assert "样例 涉密 乙 12 号" not in units(line)
    assert [one["actor"] for one in entries(line, "rows_held")] == ["system:loader"]
    # With the next word of the node it holds such rows itself, also after a restart.
    restart_node(line, NODE_STATE_SECONDS="0.2")
    wait_for((line.node_home / "screening.json").exists, what="the rules at the node")
    write(line, key, "样例涉密甲3号")
    wait_for(lambda: status(line).get("screened") == 1, what="the row held at the node")
