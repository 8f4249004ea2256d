"""What is shared is held against its source: through every real process, whatever is killed."""

from __future__ import annotations

import random
import threading
import uuid
from typing import Any

import msgspec
import psycopg
import pytest

from shuqiao.loader.reconciling import Counted
from shuqiao.rules.ids import resource_id
from shuqiao.security.keys import load_sealing_key
from shuqiao.security.sealing import seal
from shuqiao.wire.node_home import load_key
from shuqiao.wire.reconciliation import (
    MAX_LISTED,
    Step,
    Sums,
    SumsSealed,
    sealing_context,
    sign_step,
    structure_of,
)
from tests.loader.line import BIRTH_SPEC, BIRTHS, HEALTH, POLICE, Line, wait_for
from tests.loader.test_kills import receipted

pytestmark = pytest.mark.database
OTHER = str(resource_id("440100", "household_registration"))


def ask(line: Line) -> uuid.UUID:
    """Ask for a reconciliation, as the office does."""
    key = uuid.uuid4()
    asked = "SELECT exchange.ask_reconciliation(%s, %s, %s, 'account:ren', clock_timestamp()) AS id"
    assert line.ask(asked, key, HEALTH, BIRTHS)[0]["id"] == key
    return key


def state(line: Line, key: uuid.UUID) -> dict[str, Any]:
    """What the ledger says of it."""
    return line.ask("SELECT * FROM exchange.reconciliation WHERE id = %s", key)[0]


def result(line: Line, key: uuid.UUID) -> dict[str, Any]:
    """Wait for its end."""
    found: dict[str, Any] = wait_for(
        lambda: one if (one := state(line, key))["state"] != "open" else None, 60, "the result"
    )
    return found


def differences(line: Line, key: uuid.UUID) -> list[tuple[str, str, list[str]]]:
    """What was found: kind, masked key and items."""
    found = line.ask(
        "SELECT kind, shown, items FROM exchange.reconciliation_difference WHERE reconciliation = %s"
        " ORDER BY kind, number",
        key,
    )
    return [(one["kind"], one["shown"], one["items"]) for one in found]


async def loaded(line: Line, people: int = 3000) -> int:
    """A line whose list holds what its source holds."""
    line.node_settings["NODE_STATE_SECONDS"] = "0.2"
    rows = await line.set_up(people=people)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    return rows


@pytest.mark.requirement("UPD-05")
async def test_equal_tables_agree_and_what_was_done_behind_their_back_is_listed(line: Line) -> None:
    rows = await loaded(line)
    first = result(line, ask(line))
    assert (first["state"], first["found"], first["differing"]) == ("agreed", 0, [])
    assert first["source_rows"] == first["shared_rows"] == rows
    assert first["sampled"] == first["sample_agrees"] == 50
    assert first["message"] is None and first["work"] == {}
    keys = [one["record_id"] for one in line.ask(f"SELECT record_id FROM base.{BIRTHS} ORDER BY 1 LIMIT 4")]
    line.ask(f"UPDATE base.{BIRTHS} SET health_status = '样例' WHERE record_id = %s", keys[0])
    line.ask(f"DELETE FROM base.{BIRTHS} WHERE record_id = %s", keys[1])
    line.ask(
        f"INSERT INTO base.{BIRTHS} SELECT (jsonb_populate_record(b,"
        " jsonb_build_object('record_id', gen_random_uuid()))).*"
        f" FROM base.{BIRTHS} b WHERE record_id = %s",
        keys[2],
    )
    # The department's own table changes without a new time of change, which no run of changes can see.
    line.change_source("ALTER TABLE csyxzm DISABLE TRIGGER USER")
    line.change_source(
        "UPDATE csyxzm SET jkzk = '3', mqxm = '样例甲乙' WHERE zsbh ="
        " (SELECT max(zsbh) FROM csyxzm WHERE jkzk <> '3')"
    )
    line.change_source("DELETE FROM csyxzm WHERE zsbh = (SELECT min(zsbh) FROM csyxzm)")
    second = result(line, ask(line))
    found = differences(line, second["id"])
    assert second["state"] == "differs" and second["found"] == 5 and second["is_complete"]
    assert [kind for kind, _, _ in found] == ["absent_here", "absent_there", "differs", "differs", "unknown"]
    items = sorted(items for kind, _, items in found if kind == "differs")
    assert items == [["health_status"], ["health_status", "health_status_code", "mother_name"]]
    assert all("****" in shown for kind, shown, _ in found if kind != "unknown")
    assert second["shared_rows"] == rows and second["source_rows"] == rows - 1
    events = line.ask(
        "SELECT event, outcome FROM audit.entry WHERE event LIKE 'reconciliation%%' ORDER BY id"
    )
    assert [(one["event"], one["outcome"]) for one in events] == [
        ("reconciliation_asked", "asked"),
        ("reconciliation_ended", "agreed"),
        ("reconciliation_asked", "asked"),
        ("reconciliation_ended", "differs"),
    ]
    # Their ranges are sent again: what the source has is made good, what it has no more needs a full load.
    mend = "SELECT exchange.mend_reconciliation(%s, 'account:ren', clock_timestamp()) AS done"
    assert line.ask(mend, second["id"])[0]["done"]
    wait_for(lambda: state(line, second["id"])["mended_at"], what="the ranges")
    third = result(line, ask(line))
    assert [kind for kind, _, _ in differences(line, third["id"])] == ["absent_there", "unknown"]
    line.ask("SELECT exchange.order_node(%s, %s, 'reload', 'x', clock_timestamp())", HEALTH, BIRTHS)
    wait_for(lambda: line.count() == rows and receipted(line), what="the row that is gone")
    line.ask(f"DELETE FROM base.{BIRTHS} WHERE record_id <> ALL (%s)", known(line))
    assert result(line, ask(line))["state"] == "agreed"


@pytest.mark.requirement("UPD-05")
async def test_rows_on_their_way_are_no_difference_whatever_is_killed(line: Line) -> None:
    line.node_settings["NODE_BATCH_ROWS"] = "50"
    await loaded(line)
    stop = threading.Event()
    writer = threading.Thread(target=_write, args=(line.source, stop))
    writer.start()
    try:
        first = result(line, ask(line))
        killed = ask(line)
        for name in ("node", "loader", "vault"):
            run = state(line, killed)["run"]
            line.children[name].kill()
            line.start(name)
            if name == "node":
                wait_for(lambda before=run: state(line, killed)["run"] not in (None, before), what="a run")
        second = result(line, killed)
    finally:
        stop.set()
        writer.join()
    assert [one["state"] for one in (first, second)] == ["agreed", "agreed"], differences(line, killed)
    assert first["found"] == second["found"] == 0
    # Once all is at rest, a change behind its back is found nevertheless.
    line.ask(
        f"UPDATE base.{BIRTHS} SET sex = '样例' WHERE record_id = (SELECT min(record_id::text)::uuid"
        f" FROM base.{BIRTHS})"
    )
    third = result(line, ask(line))
    assert [items for _, _, items in differences(line, third["id"])] == [["sex"]]


async def test_a_table_that_rests_is_not_compared(line: Line) -> None:
    await loaded(line, people=60)
    line.ask(f"UPDATE base.{BIRTHS} SET sex = '样例'")
    order = "SELECT exchange.order_node(%s, %s, 'pause', 'x', clock_timestamp())"
    line.ask(order, HEALTH, BIRTHS)
    paused = "SELECT state -> 'lines' -> 0 ->> 'state' AS how FROM exchange.node_state"
    wait_for(lambda: line.ask(paused)[0]["how"] == "paused", what="its rest")
    ended = result(line, ask(line))
    assert (ended["state"], ended["failure"]) == ("failed", "paused")


def say_sums(line: Line, key: uuid.UUID, mapping: str) -> None:
    """Say the first step of a run, as the health department's node does."""
    run = "0123456789abcdef"
    vault = load_sealing_key(line.secrets / "vault" / "sealing.pem").public_key()
    part = SumsSealed(b"k" * 32, (1,), bytes(16), ())
    context = sealing_context(HEALTH, BIRTHS, key.hex, run, 1)
    sealed = seal(vault, msgspec.msgpack.encode(part), context)
    said = Sums(structure_of(BIRTH_SPEC), mapping, 1, 1, (), sealed)
    message = sign_step(Step(HEALTH, BIRTHS, key.hex, run, 1, said), load_key(line.node_home))
    take = "SELECT exchange.take_reconciliation_step(%s, %s, %s, %s, 1, %s)"
    line.ask(take, HEALTH, BIRTHS, key, run, message)


async def test_what_the_ledger_cannot_hold_ends_one_comparison_and_no_process(line: Line) -> None:
    await line.set_up(people=20)
    key = ask(line)
    say_sums(line, key, "a mapping\0")
    line.start("loader")
    ended = result(line, key)
    assert (ended["state"], ended["failure"], ended["mapping"]) == ("failed", "malformed", None)
    loader = line.children["loader"].process
    assert loader is not None and loader.poll() is None


async def test_a_departments_slow_comparison_holds_up_no_other(line: Line) -> None:
    await line.set_up(people=20)
    await line.enrol(POLICE)
    line.ask(
        "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
        " SELECT %s, 'H/1', '户籍', 'Household', %s, spec FROM exchange.resource WHERE id = %s",
        OTHER,
        POLICE,
        BIRTHS,
    )
    slow = ask(line)
    say_sums(line, slow, "a mapping")
    quick = uuid.uuid4()
    asked = "SELECT exchange.ask_reconciliation(%s, %s, %s, 'account:ren', clock_timestamp())"
    line.ask(asked, quick, POLICE, OTHER)
    take = "SELECT exchange.take_reconciliation_step(%s, %s, %s, '0123456789abcdef', 1, %s)"
    line.ask(take, POLICE, OTHER, quick, b"nothing that can be read")
    with psycopg.connect(line.hub.superuser) as holding:
        holding.execute(f"LOCK TABLE base.{BIRTHS} IN ACCESS EXCLUSIVE MODE")
        line.start("loader")
        assert result(line, quick)["failure"] == "malformed"
        assert state(line, slow)["answer"] is None, "it waits for the table"
    wait_for(lambda: state(line, slow)["answer"], what="its answer")


def test_of_very_many_the_first_are_kept_and_all_are_counted() -> None:
    found: Counted[int] = Counted()
    for page in range(10):
        found.add(*range(page * 90, page * 90 + 90))
    assert (found.first, found.count) == (list(range(MAX_LISTED)), 900)


def known(line: Line) -> list[uuid.UUID]:
    """The records that the vault knows."""
    with psycopg.connect(line.vault_url) as link:
        return [row[0] for row in link.execute("SELECT record_id FROM vault.record WHERE NOT removed")]


def _write(url: str, stop: threading.Event) -> None:
    """Change, add and remove rows without end."""
    chance = random.Random(41)
    with psycopg.connect(url, autocommit=True) as link:
        keys = [row[0] for row in link.execute("SELECT zsbh FROM csyxzm").fetchall()]
        while not stop.wait(0.02):
            key = chance.choice(keys)
            link.execute("UPDATE csyxzm SET jkzk = %s WHERE zsbh = %s", (chance.choice("123"), key))
